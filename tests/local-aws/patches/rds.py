"""RDS: clusters and instances change over time, and refuse what AWS refuses."""

import copy
import re
import time

from ministack.services import rds

from . import settings
from .past import Past

AVAILABLE = "available"
RANGE = "ServerlessV2ScalingConfiguration"
PENDING = "_pending"
ACU_MAX, MAXIMUM_LEAST = 256, 1
PAUSE_S = (300, 86_400)
# Of an instance: when it was made and asked to go, and what of its storage is under way, was made last and is optimised since.
MADE, GOING, GROWING, GREW, OPTIMISED = "_made", "_going", "_growing", "_grew", "_optimised"
STORAGE_SPACED_S = 6 * 3_600
# Aurora user guide, "Amazon Aurora Auto Scaling with Aurora Replicas": how the readers that it makes are called.
AUTOSCALED = "application-autoscaling-"
REPLICAS_MAX = {"db2": 3, "oracle": 5, "sqlserver": 5}

_past = Past()


def cluster_of(given):
    """The cluster of a request, as it is now."""
    cluster = rds._resolve_cluster_in_request_region(rds._p(given, "DBClusterIdentifier"))
    if cluster:
        settle(cluster)
    return cluster


def settle(cluster):
    """A modification that has had its time is done."""
    since, wanted = cluster.get(PENDING) or (0, None)
    if wanted is not None and since + settings.of(cluster["DBClusterIdentifier"]).pace <= time.time():
        del cluster[PENDING]
        cluster[RANGE], cluster["Status"] = wanted, AVAILABLE
    elif wanted is not None:
        cluster["Status"] = "modifying"


def keep_pause_delays():
    """RDS API reference, ServerlessV2ScalingConfigurationInfo: the delay of a cluster whose minimum is 0, which a higher minimum removes."""
    read, told = rds._serverlessv2_from_params, rds._serverlessv2_xml

    def read_delay(given):
        wanted = read(given)
        delay = rds._p(given, f"{RANGE}.SecondsUntilAutoPause")
        if wanted and wanted.get("MinCapacity") == 0:
            wanted["SecondsUntilAutoPause"] = int(delay or PAUSE_S[0])
        return wanted

    def tell_delay(cluster):
        delay = (cluster.get(RANGE) or {}).get("SecondsUntilAutoPause")
        if delay is None:
            return told(cluster)
        return told(cluster).replace(f"</{RANGE}>", f"<SecondsUntilAutoPause>{delay}</SecondsUntilAutoPause></{RANGE}>")

    rds._serverlessv2_from_params, rds._serverlessv2_xml = read_delay, tell_delay


def modify_clusters_over_time():
    """RDS API reference, ModifyDBCluster: it is asynchronous; while it runs the cluster is modifying."""
    modify = rds._ACTION_MAP["ModifyDBCluster"]

    def modify_slowly(given):
        cluster = cluster_of(given)
        before = cluster.get(RANGE) if cluster else None
        answer = modify(given)
        if answer[0] < 400 and cluster.get(RANGE) != before:
            cluster[PENDING] = (time.time(), cluster[RANGE])
            cluster[RANGE] = before
            settle(cluster)
        return answer

    rds._ACTION_MAP["ModifyDBCluster"] = modify_slowly


def refuse_modifications():
    """Aurora user guide, "Aurora Serverless v2 capacity": halves of an ACU, a maximum of 1 at least; RDS API reference: only what is available."""
    modify = rds._ACTION_MAP["ModifyDBCluster"]

    def modify_allowed(given):
        cluster = cluster_of(given)
        return (refusal(cluster, given) if cluster else None) or modify(given)

    rds._ACTION_MAP["ModifyDBCluster"] = modify_allowed


def refusal(cluster, given):
    name = cluster["DBClusterIdentifier"]
    if cluster["Status"] != AVAILABLE:
        return rds._error("InvalidDBClusterStateFault", f"DB cluster {name} is not in available state", 400)
    low, high, delay = (rds._p(given, f"{RANGE}.{part}") for part in ("MinCapacity", "MaxCapacity", "SecondsUntilAutoPause"))
    if not (low or high or delay):
        return None
    if not (low and high):
        return rds._error("InvalidParameterCombination", "Specify both a minimum and a maximum capacity", 400)
    low, high = float(low), float(high)
    valid = all(2 * acu == int(2 * acu) for acu in (low, high)) and 0 <= low <= high <= ACU_MAX and high >= MAXIMUM_LEAST
    if not valid:
        return rds._error("InvalidParameterValue", f"Serverless v2 capacity {low} to {high} isn't valid", 400)
    if delay and not (low == 0 and PAUSE_S[0] <= int(delay) <= PAUSE_S[1]):
        return rds._error("InvalidParameterValue", f"The auto-pause delay {delay} isn't valid", 400)
    return None


def tell_clusters_late():
    """No page of AWS says that DescribeDBClusters is consistent, so it may tell what stood a moment ago."""
    modify, told = rds._ACTION_MAP["ModifyDBCluster"], rds._cluster_xml

    def modify_noted(given):
        cluster = cluster_of(given)
        before = copy.deepcopy(cluster)
        answer = modify(given)
        if cluster and answer[0] < 400:
            _past.wrote(cluster["DBClusterIdentifier"], before)
        return answer

    def tell_late(cluster):
        name = cluster["DBClusterIdentifier"]
        settle(cluster)
        past = _past.told(name, settings.of(name).lag)
        return told(past[0] if past else cluster)

    rds._ACTION_MAP["ModifyDBCluster"], rds._cluster_xml = modify_noted, tell_late


def name_of(instance):
    return instance["DBInstanceIdentifier"]


def instance_of(given, key="DBInstanceIdentifier"):
    """The instance of a request, as it is now."""
    name = rds._p(given, key)
    instance = rds._instances.get(name)
    if instance:
        settle_instance(instance)
    return rds._instances.get(name)


def settle_instance(instance):
    """What has had its time is done."""
    now, pace = time.time(), settings.of(name_of(instance)).pace
    if MADE in instance:
        instance["DBInstanceStatus"] = "creating"
        if instance[MADE] + pace <= now:
            del instance[MADE]
            instance["DBInstanceStatus"] = "insufficient-capacity" if is_too_much(instance) else AVAILABLE
    if GROWING in instance and instance[GROWING] + pace <= now:
        instance["AllocatedStorage"] = instance["PendingModifiedValues"].pop("AllocatedStorage")
        instance[OPTIMISED] = instance.pop(GROWING) + pace
    if OPTIMISED in instance:
        instance["DBInstanceStatus"] = "storage-optimization"
        if instance[OPTIMISED] + pace <= now:
            del instance[OPTIMISED]
            instance["DBInstanceStatus"] = AVAILABLE
    if GOING in instance and instance[GOING] + pace <= now:
        remove(instance)


def readers_of(database):
    """The readers of a cluster or the replicas of an instance, by the database's name."""
    writers = {member["DBInstanceIdentifier"] for cluster in rds._clusters.values() for member in cluster["DBClusterMembers"] if member["IsClusterWriter"]}
    of = ("DBClusterIdentifier", "ReadReplicaSourceDBInstanceIdentifier")
    readers = [one for one in list(rds._instances.values()) if database in (one.get(key) for key in of)]
    return [one for one in readers if name_of(one) not in writers]


def is_too_much(instance):
    """Whether there is no capacity for a reader."""
    most = settings.of(name_of(instance)).units_max
    database = instance.get("DBClusterIdentifier") or instance.get("ReadReplicaSourceDBInstanceIdentifier")
    return bool(most is not None and database and len(readers_of(database)) > most)


_delete = rds._ACTION_MAP["DeleteDBInstance"]


def remove(instance):
    source = rds._instances.get(instance.get("ReadReplicaSourceDBInstanceIdentifier") or "")
    if source:
        source["ReadReplicaDBInstanceIdentifiers"].remove(name_of(instance))
    _delete({"DBInstanceIdentifier": [name_of(instance)], "SkipFinalSnapshot": ["true"]})


def move(cluster, inside):
    """Moves the readers of a cluster into bounds, as Application Auto Scaling does; whether that is done."""
    readers = [name_of(reader) for reader in readers_of(cluster) if GOING not in reader]
    made = [name for name in readers if name.startswith(AUTOSCALED)]
    for number in range(inside(len(readers)) - len(readers)):
        rds._ACTION_MAP["CreateDBInstance"]({
            "DBInstanceIdentifier": [f"{AUTOSCALED}{cluster}-{len(made) + number}"], "DBClusterIdentifier": [cluster],
            "Engine": [rds._clusters[cluster]["Engine"]], "DBInstanceClass": ["db.r6g.large"],
        })
    for name in made[: max(0, len(readers) - inside(len(readers)))]:
        rds._ACTION_MAP["DeleteDBInstance"]({"DBInstanceIdentifier": [name], "SkipFinalSnapshot": ["true"]})
    return True


def make_and_remove_instances_over_time():
    """RDS API reference, CreateDBInstance, CreateDBInstanceReadReplica, DeleteDBInstance: an instance is creating, then available; deleting, then gone."""

    def slowly(create):
        def create_slowly(given):
            answer = create(given)
            if answer[0] < 400:
                instance = rds._instances[rds._p(given, "DBInstanceIdentifier")]
                instance[MADE] = time.time()
                settle_instance(instance)
            return answer

        return create_slowly

    def delete_slowly(given):
        instance = instance_of(given)
        if not instance:
            return _delete(given)
        instance[GOING], instance["DBInstanceStatus"] = time.time(), "deleting"
        answer = rds._single_instance_response("DeleteDBInstanceResponse", "DeleteDBInstanceResult", instance)
        settle_instance(instance)
        return answer

    describe = rds._ACTION_MAP["DescribeDBInstances"]

    def describe_settled(given):
        for instance in list(rds._instances.values()):
            settle_instance(instance)
        return describe(given)

    for action in ("CreateDBInstance", "CreateDBInstanceReadReplica"):
        rds._ACTION_MAP[action] = slowly(rds._ACTION_MAP[action])
    rds._ACTION_MAP["DeleteDBInstance"], rds._ACTION_MAP["DescribeDBInstances"] = delete_slowly, describe_settled


def grow_storage_over_time():
    """RDS user guide, "Increasing DB instance storage capacity": 10 % more at least, then optimised; not again for six hours; never less."""
    modify = rds._ACTION_MAP["ModifyDBInstance"]

    def modify_slowly(given):
        instance, wanted = instance_of(given), rds._p(given, "AllocatedStorage")
        if not (instance and wanted):
            return modify(given)
        before = instance["AllocatedStorage"]
        if refused := refusal_of_storage(instance, int(wanted)):
            return refused
        wanted = max(int(wanted), -(-before * 11 // 10))
        instance[GROWING] = instance[GREW] = time.time()
        instance["DBInstanceStatus"] = "modifying"
        instance["PendingModifiedValues"] = {**instance.get("PendingModifiedValues", {}), "AllocatedStorage": wanted}
        settle_instance(instance)
        return rds._single_instance_response("ModifyDBInstanceResponse", "ModifyDBInstanceResult", instance)

    rds._ACTION_MAP["ModifyDBInstance"] = modify_slowly


def refusal_of_storage(instance, wanted):
    name = name_of(instance)
    if wanted <= instance["AllocatedStorage"]:
        return rds._error("InvalidParameterCombination", f"Invalid storage size for {name}: it can't be reduced", 400)
    if OPTIMISED in instance or time.time() - instance.get(GREW, 0) < STORAGE_SPACED_S:
        sentence = "You can't currently modify the storage of this DB instance because the previous storage change is being optimized."
        return rds._error("InvalidParameterCombination", sentence, 400)
    if instance["DBInstanceStatus"] != AVAILABLE:
        return rds._error("InvalidDBInstanceState", f"DB instance {name} is not in available state", 400)
    return None


def refuse_instances():
    """RDS API reference: what is being deleted is not deleted again; a source that is busy or keeps no backups, or has enough, has no new replica."""
    delete, replicate = rds._ACTION_MAP["DeleteDBInstance"], rds._ACTION_MAP["CreateDBInstanceReadReplica"]

    def delete_allowed(given):
        instance = instance_of(given)
        if instance and GOING in instance:
            return rds._error("InvalidDBInstanceState", f"Instance {name_of(instance)} is already being deleted.", 400)
        return delete(given)

    def replicate_allowed(given):
        source = instance_of(given, "SourceDBInstanceIdentifier")
        if source and source["DBInstanceStatus"] != AVAILABLE:
            return rds._error("InvalidDBInstanceState", f"DB instance {name_of(source)} is not in available state", 400)
        if source and source["BackupRetentionPeriod"] == 0:
            return rds._error("InvalidDBInstanceState", "Automated backups are not enabled for this database instance.", 400)
        if source and len(readers_of(name_of(source))) >= REPLICAS_MAX.get(source["Engine"].split("-")[0], 15):
            return rds._error("InstanceQuotaExceeded", "The source has as many replicas as it may have", 400)
        return replicate(given)

    rds._ACTION_MAP["DeleteDBInstance"], rds._ACTION_MAP["CreateDBInstanceReadReplica"] = delete_allowed, replicate_allowed


def tell_nothing_that_is_not_there():
    """AWS leaves out what an instance has not, such as the cluster of one that is in none; here it is told as an empty text."""
    told = rds._instance_xml
    empty = re.compile(r"<(DBClusterIdentifier|ReadReplicaSourceDBInstanceIdentifier)></\1>")
    rds._instance_xml = lambda instance: empty.sub("", told(instance))


def tell_instances_late():
    """No page of AWS says that DescribeDBInstances is consistent, so it may tell what stood a moment ago."""
    told = rds._instance_xml

    def noting(change):
        def change_noted(given):
            instance = instance_of(given)
            before = copy.deepcopy(instance)
            answer = change(given)
            if instance and answer[0] < 400:
                _past.wrote(f"db:{name_of(instance)}", before)
            return answer

        return change_noted

    def tell_late(instance):
        past = _past.told(f"db:{name_of(instance)}", settings.of(name_of(instance)).lag)
        return told(past[0] if past else instance)

    for action in ("DeleteDBInstance", "ModifyDBInstance"):
        rds._ACTION_MAP[action] = noting(rds._ACTION_MAP[action])
    rds._instance_xml = tell_late
