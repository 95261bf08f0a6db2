"""EKS: node groups have Auto Scaling groups behind them, and are updated over time, one update at a time."""

import copy
import json
import re
import time
from urllib.parse import unquote

from ministack.core.responses import new_uuid
from ministack.services import autoscaling, eks

from . import settings
from .past import Past

UPDATE = re.compile(r"/clusters/([^/]+)/node-groups/([^/]+)/update-config")
SIZES = ("minSize", "desiredSize", "maxSize")
ALIVE = ("Pending", "InService")
PENDING = "_pending"
STUCK = "_stuck"

_past = Past()


def behind(group):
    """The Auto Scaling group behind a node group."""
    return autoscaling._asgs[group["resources"]["autoScalingGroups"][0]["name"]]


def act(action, group, sizes):
    """A call to EC2 Auto Scaling, as EKS makes it."""
    params = {"MinSize": sizes["minSize"], "DesiredCapacity": sizes["desiredSize"], "MaxSize": sizes["maxSize"]}
    name = group["resources"]["autoScalingGroups"][0]["name"]
    tags = [
        ("eks:cluster-name", group["clusterName"]), ("eks:nodegroup-name", group["nodegroupName"]),
        ("k8s.io/cluster-autoscaler/enabled", "true"), (f"k8s.io/cluster-autoscaler/{group['clusterName']}", "owned"),
    ]
    params |= {f"Tags.member.{place + 1}.{part}": pair[part == "Value"] for place, pair in enumerate(tags) for part in ("Key", "Value")}
    return autoscaling._ACTION_MAP[action]({"AutoScalingGroupName": name, **{key: str(value) for key, value in params.items()}})


def settle(group):
    """An update that has had its time is done; what could not be launched degrades the group until a launch works."""
    since, sizes = group.get(PENDING) or (0, None)
    if sizes and since + settings.of(group["nodegroupName"]).pace <= time.time():
        del group[PENDING]
        group["scalingConfig"] = sizes
        act("UpdateAutoScalingGroup", group, sizes)
        group["status"] = "ACTIVE"
    if PENDING in group:
        return
    nodes = behind(group)
    autoscaling._reconcile_instances(nodes)
    alive = sum(one["LifecycleState"] in ALIVE for one in nodes["Instances"])
    if alive < nodes["DesiredCapacity"]:
        group[STUCK] = alive
    elif STUCK in group and alive > group[STUCK]:
        del group[STUCK]
    issue = {"code": "AsgInstanceLaunchFailures", "message": "We currently do not have sufficient capacity.", "resourceIds": [nodes["AutoScalingGroupName"]]}
    group["status"] = "DEGRADED" if STUCK in group else "ACTIVE"
    group["health"] = {"issues": [issue] if STUCK in group else []}


def have_groups_behind():
    """EKS user guide, "Managed node groups": every node is part of an Auto Scaling group, which EKS makes, and tags for the cluster autoscaler."""
    create = eks._create_nodegroup

    def create_with_group(cluster, body):
        answer = create(cluster, body)
        group = eks._nodegroups.get(f"{cluster}/{body.get('nodegroupName')}")
        if answer[0] < 400:
            name = f"eks-{group['nodegroupName']}-{new_uuid()}"
            group["resources"]["autoScalingGroups"] = [{"name": name}]
            act("CreateAutoScalingGroup", group, group["scalingConfig"])
        return answer

    eks._create_nodegroup = create_with_group


def update_over_time():
    """EKS API reference, UpdateNodegroupConfig, which MiniStack lacks: asynchronous, one at a time, and sizes in order."""
    inner = eks._handle_request_sync

    def update(cluster, name, given):
        group = eks._nodegroups.get(f"{cluster}/{name}")
        if not group:
            return eks._error(404, "ResourceNotFoundException", f"No node group found for name: {name}.")
        settle(group)
        if group["status"] not in ("ACTIVE", "DEGRADED"):
            return eks._error(409, "ResourceInUseException", "Nodegroup cannot be updated as it is currently not in Active State")
        sizes = {**group["scalingConfig"], **given.get("scalingConfig", {})}
        least, desired, most = (sizes[size] for size in SIZES)
        if least > desired:
            return eks._error(400, "InvalidParameterException", f"Minimum capacity {least} can't be greater than desired size {desired}")
        if desired > most:
            return eks._error(400, "InvalidParameterException", f"Desired capacity {desired} can't be greater than max size {most}")
        _past.wrote(f"{cluster}/{name}", copy.deepcopy(told(group)))
        group["status"] = "UPDATING"
        group[PENDING] = (time.time(), sizes)
        settle(group)
        return eks._json_resp(200, {"update": {"id": new_uuid(), "status": "InProgress", "type": "ConfigUpdate", "params": [], "errors": []}})

    def handle(method, path, headers, body, query):
        asked = UPDATE.fullmatch(unquote(path))
        if asked and method == "POST":
            return update(*asked.groups(), json.loads(body))
        return inner(method, path, headers, body, query)

    eks._handle_request_sync = handle


def told(group):
    kept = {name: value for name, value in group.items() if not name.startswith("_")}
    return {**kept, "tags": dict(eks._tags.get(group["nodegroupArn"], {}))}


def tell_node_groups_late():
    """No page of AWS says that DescribeNodegroup tells the latest write, so it may tell what stood a moment ago."""
    describe = eks._describe_nodegroup

    def describe_late(cluster, name):
        group = eks._nodegroups.get(f"{cluster}/{name}")
        if not group:
            return describe(cluster, name)
        settle(group)
        past = _past.told(f"{cluster}/{name}", settings.of(name).lag)
        return eks._json_resp(200, {"nodegroup": past[0] if past else told(group)})

    eks._describe_nodegroup = describe_late
