"""RDS: clusters are modified over time, and refuse what AWS refuses."""

import copy
import time

from ministack.services import rds

from . import settings
from .past import Past

AVAILABLE = "available"
RANGE = "ServerlessV2ScalingConfiguration"
PENDING = "_pending"
ACU_MAX, MAXIMUM_LEAST = 256, 1
PAUSE_S = (300, 86_400)

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
