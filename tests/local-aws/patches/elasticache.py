"""ElastiCache: replication groups are changed over time, one change at a time, and refuse what AWS refuses."""

import copy
import time
from urllib.parse import parse_qs

from ministack.services import elasticache

from . import settings
from .past import Past

REPLICAS_MAX = 5
PENDING = "_pending"

_past = Past()


def find(given):
    name = elasticache._p(given, "ReplicationGroupId")
    group = elasticache._replication_groups.get(name)
    if group:
        settle(group)
    return name, group


def settle(group):
    """A change that has had its time is done."""
    since, change = group.get(PENDING) or (0, None)
    if change and since + settings.of(group["ReplicationGroupId"]).pace <= time.time():
        del group[PENDING]
        change(group)
        group["Status"] = "available"


def begin(group, change):
    _past.wrote(group["ReplicationGroupId"], copy.copy(group))
    group["Status"] = "modifying"
    group[PENDING] = (time.time(), change)
    settle(group)


def answer(action, group):
    told = elasticache._rg_xml(group)
    return elasticache._xml(200, f"{action}Response", f"<{action}Result><ReplicationGroup>{told}</ReplicationGroup></{action}Result>")


def refusal(name, group):
    if not group:
        return elasticache._error("ReplicationGroupNotFoundFault", f"Replication group {name} not found", 404)
    if group["Status"] != "available":
        return elasticache._error("InvalidReplicationGroupState", f"Replication group {name} is not in available state", 400)
    return None


def replicas(group):
    return len(group["NodeGroups"][0]["NodeGroupMembers"]) - 1


def with_nodes(group, shard, count):
    """A shard with so many nodes."""
    number, members = shard["NodeGroupId"], shard["NodeGroupMembers"][:count]
    model = shard["NodeGroupMembers"][0]
    more = [
        {**model, "CacheClusterId": f"{group['ReplicationGroupId']}-{number}-{node + 1:03d}", "CurrentRole": "replica"}
        for node in range(len(members), count)
    ]
    return {**shard, "NodeGroupMembers": members + more}


def change_replicas_over_time():
    """ElastiCache API reference, IncreaseReplicaCount and DecreaseReplicaCount: of every shard, from 0 to 5, one where failover needs it."""

    def set_replicas(action, fits):
        def call(given):
            name, group = find(given)
            wanted = int(elasticache._p(given, "NewReplicaCount") or "0")
            if refused := refusal(name, group):
                return refused
            if wanted == replicas(group):
                return elasticache._error("NoOperationFault", "The operation was not performed because no changes were required.", 400)
            needed = "enabled" in (group.get("MultiAZ"), group.get("AutomaticFailover"))
            if not fits(replicas(group), wanted) or not needed <= wanted <= REPLICAS_MAX:
                return elasticache._error("InvalidParameterValue", f"The number of replicas cannot be {wanted}.", 400)

            def change(group):
                group["NodeGroups"] = [with_nodes(group, shard, wanted + 1) for shard in group["NodeGroups"]]

            begin(group, change)
            return answer(action, group)

        return call

    elasticache._increase_replica_count = set_replicas("IncreaseReplicaCount", lambda had, wanted: had < wanted)
    elasticache._decrease_replica_count = set_replicas("DecreaseReplicaCount", lambda had, wanted: wanted < had)


def reshard_over_time():
    """ElastiCache API reference, ModifyReplicationGroupShardConfiguration, which MiniStack lacks: only with cluster mode, and shards that go are named."""
    inner = elasticache.handle_request

    def reshard(given):
        name, group = find(given)
        wanted = int(elasticache._p(given, "NodeGroupCount") or "0")
        gone = {values[0] for key, values in given.items() if key.startswith("NodeGroupsToRemove.")}
        if refused := refusal(name, group):
            return refused
        had = [shard["NodeGroupId"] for shard in group["NodeGroups"]]
        if not group["ClusterEnabled"]:
            return elasticache._error("InvalidParameterCombination", "Cluster mode is disabled.", 400)
        if wanted < 1 or wanted == len(had) or len(gone & set(had)) != max(len(had) - wanted, 0):
            return elasticache._error("InvalidParameterValue", f"{len(had)} shards cannot become {wanted} without {sorted(gone)}.", 400)

        def change(group):
            kept = [shard for shard in group["NodeGroups"] if shard["NodeGroupId"] not in gone]
            last, nodes = int(max(had)), replicas(group) + 1
            more = [{**kept[0], "NodeGroupId": f"{last + new:04d}"} for new in range(1, wanted - len(kept) + 1)]
            group["NodeGroups"] = kept + [with_nodes(group, {**shard, "NodeGroupMembers": shard["NodeGroupMembers"][:1]}, nodes) for shard in more]

        begin(group, change)
        return answer("ModifyReplicationGroupShardConfiguration", group)

    async def handle(method, path, headers, body, query):
        given = parse_qs((body or b"").decode("utf-8", errors="replace"))
        if given.get("Action") == ["ModifyReplicationGroupShardConfiguration"]:
            return reshard(given)
        return await inner(method, path, headers, body, query)

    elasticache.handle_request = handle


def tell_groups_late():
    """ElastiCache API reference, DescribeReplicationGroups: nothing says that it tells the latest write."""
    told = elasticache._rg_xml

    def told_late(group):
        settle(group)
        name = group["ReplicationGroupId"]
        past = _past.told(name, settings.of(name).lag)
        return told(past[0] if past else group)

    elasticache._rg_xml = told_late
