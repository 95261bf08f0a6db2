"""EC2 Auto Scaling: bounds, instances that come and go over time, weights, refreshes, pages."""

import copy
import time
from xml.etree import ElementTree

from ministack.core.responses import new_uuid, now_iso
from ministack.services import autoscaling
from ministack.services.cloudformation import provisioners

from . import settings
from .past import Past

SPACE = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
ALIVE = ("Pending", "InService")
REFRESH_STEPS_MAX = 10
ACTIVITIES_KEPT = 100
NAMES_MAX = 50

_past = Past()
ElementTree.register_namespace("", SPACE)


def number(params, name):
    text = autoscaling._p(params, name)
    return None if text in ("", None) else int(text)


def refused(sentence, code="ValidationError"):
    return autoscaling._error(code, sentence)


def group_of(params):
    return autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"))


def wrap(action, wrapper):
    """Puts something around an action of MiniStack; fails at the start if the action is gone."""
    actions = autoscaling._ACTION_MAP
    inner = actions[action]
    actions[action] = lambda params: wrapper(inner, params)


def check_bounds_of_groups():
    """EC2 Auto Scaling API reference, SetDesiredCapacity and UpdateAutoScalingGroup: a capacity outside the bounds, or bounds that cross, are refused.

    A new bound moves the capacity along.
    """

    def set_desired(inner, params):
        group, desired = group_of(params), number(params, "DesiredCapacity")
        if group and desired is not None:
            if desired > group["MaxSize"]:
                return refused(f"New SetDesiredCapacity value {desired} is above max value {group['MaxSize']}.")
            if desired < group["MinSize"]:
                return refused(f"New SetDesiredCapacity value {desired} is below min value {group['MinSize']}.")
        return inner(params)

    def update(inner, params):
        group = group_of(params)
        if not group:
            return inner(params)
        given = {name: number(params, name) for name in ("MinSize", "MaxSize", "DesiredCapacity")}
        least = group["MinSize"] if given["MinSize"] is None else given["MinSize"]
        most = group["MaxSize"] if given["MaxSize"] is None else given["MaxSize"]
        desired = given["DesiredCapacity"]
        if least > most:
            return refused(f"Max bound, {most}, must be greater than or equal to min bound, {least}.")
        if desired is not None and not least <= desired <= most:
            return refused(f"Desired capacity:{desired} must be between {least} and {most}.")
        answer = inner(params)
        group.update(MinSize=least, MaxSize=most)
        group["DesiredCapacity"] = min(max(group["DesiredCapacity"], least), most)
        autoscaling._reconcile_instances(group)
        return answer

    wrap("SetDesiredCapacity", set_desired)
    wrap("UpdateAutoScalingGroup", update)


def launch_instances_of_groups_from_templates():
    """CloudFormation user guide, AWS::AutoScaling::AutoScalingGroup: a group made by a stack has its instances, like one made by a call."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::AutoScaling::AutoScalingGroup"]
    create, update = handlers["create"], handlers["update"]

    def create_with_instances(logical_id, props, stack_name):
        made = create(logical_id, props, stack_name)
        autoscaling._reconcile_instances(autoscaling._asgs[made[0]])
        return made

    def update_with_instances(physical_id, *rest, **more):
        made = update(physical_id, *rest, **more)
        if physical_id in autoscaling._asgs:
            autoscaling._reconcile_instances(autoscaling._asgs[physical_id])
        return made

    handlers.update(create=create_with_instances, update=update_with_instances)


def keep_what_else_groups_have():
    """EC2 Auto Scaling API reference, AutoScalingGroup: MixedInstancesPolicy, DefaultInstanceWarmup and TargetGroupARNs are kept and told."""

    def keep(group, given):
        for name in ("MixedInstancesPolicy", "TargetGroupARNs"):
            if given.get(name):
                group[name] = given[name]
        warmup = given.get("DefaultInstanceWarmup")
        if warmup not in (None, ""):
            group["DefaultInstanceWarmup"] = int(warmup)
            if int(warmup) < 0:
                del group["DefaultInstanceWarmup"]

    def call(inner, params):
        answer, group = inner(params), group_of(params)
        if answer[0] < 400 and group:
            nested = autoscaling._parse_nested(params, "MixedInstancesPolicy")
            warmup, arns = autoscaling._p(params, "DefaultInstanceWarmup"), autoscaling._parse_member_list(params, "TargetGroupARNs")
            keep(group, {"MixedInstancesPolicy": nested, "DefaultInstanceWarmup": warmup, "TargetGroupARNs": arns})
            autoscaling._reconcile_instances(group)
        return answer

    def create_call(inner, params):
        answer, group = call(inner, params), group_of(params)
        if answer[0] < 400 and group.get("MixedInstancesPolicy"):
            # MiniStack has launched them before it was told of the weights.
            group["Instances"].clear()
            autoscaling._reconcile_instances(group)
        return answer

    wrap("CreateAutoScalingGroup", create_call)
    wrap("UpdateAutoScalingGroup", call)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::AutoScaling::AutoScalingGroup"]
    create = handlers["create"]

    def create_kept(logical_id, props, stack_name):
        made = create(logical_id, props, stack_name)
        keep(autoscaling._asgs[made[0]], props)
        return made

    handlers["create"] = create_kept
    tell_group, tell_instance = autoscaling._instances_xml, autoscaling._instance_member_xml

    def told(record, names):
        return "".join(f"<{name}>{autoscaling._member_xml(record[name])}</{name}>" for name in names if name in record)

    def tell_group_and_more(group):
        return tell_group(group) + told(group, ("MixedInstancesPolicy", "DefaultInstanceWarmup", "TargetGroupARNs"))

    def tell_instance_and_more(instance, include_group_name=""):
        text = tell_instance(instance, include_group_name)
        return text.replace("</member>", told(instance, ("InstanceType", "WeightedCapacity")) + "</member>")

    autoscaling._instances_xml, autoscaling._instance_member_xml = tell_group_and_more, tell_instance_and_more


def overrides(group):
    """The instance types that a group may launch, with their weights."""
    policy = group.get("MixedInstancesPolicy") or {}
    return (policy.get("LaunchTemplate") or {}).get("Overrides") or [{}]


def weight(instance):
    return int(instance.get("WeightedCapacity") or 1)


def settle(group):
    """Instances whose time has come are in service, or gone."""
    begun = time.time() - settings.of(group["AutoScalingGroupName"]).pace
    instances = group["Instances"]
    for instance in instances:
        if instance["LifecycleState"] == "Pending" and instance["_since"] <= begun:
            instance["LifecycleState"] = "InService"
    instances[:] = [one for one in instances if one["LifecycleState"] != "Terminating" or one["_since"] > begun]


def launch(group):
    """A new instance of the group's next type, from its warm pool if that has one."""
    warmed = [one for one in group.get("WarmInstances", []) if one["LifecycleState"] == "Warmed:Stopped"]
    if warmed:
        instance = warmed[0]
        group["WarmInstances"].remove(instance)
        # It has booted before.
        instance.update(LifecycleState="InService", _since=time.time())
        group["Instances"].append(instance)
        return instance
    return new_instance(group)


def new_instance(group):
    """A new instance of the group's next type."""
    chosen = overrides(group)[len(group["Instances"]) % len(overrides(group))]
    pace = settings.of(group["AutoScalingGroupName"]).pace
    zones = group["AvailabilityZones"] or ["us-east-1a"]
    instance = {
        "InstanceId": "i-" + new_uuid().replace("-", "")[:17],
        "LifecycleState": "Pending" if pace > 0 else "InService",
        "HealthStatus": "Healthy",
        "AvailabilityZone": zones[len(group["Instances"]) % len(zones)],
        "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
        "LaunchTemplate": group.get("LaunchTemplate") or {},
        "LaunchConfigurationName": group.get("LaunchConfigurationName", ""),
        "_since": time.time(),
    }
    instance.update({name: chosen[name] for name in ("InstanceType", "WeightedCapacity") if chosen.get(name)})
    group["Instances"].append(instance)
    return instance


def fill(group):
    """Takes a group's warm pool toward its size: up to the prepared capacity, and to its minimum at least."""
    pool = group.get("WarmPoolConfiguration")
    warm = group.setdefault("WarmInstances", [])
    begun = time.time() - settings.of(group["AutoScalingGroupName"]).pace
    for one in warm:
        if one["LifecycleState"] == "Warmed:Pending" and one["_since"] <= begun:
            one["LifecycleState"] = "Warmed:Stopped"
    if not pool:
        warm.clear()
        return
    prepared = group["MaxSize"] if pool["MaxGroupPreparedCapacity"] < 0 else pool["MaxGroupPreparedCapacity"]
    size = max(prepared - group["DesiredCapacity"], pool["MinSize"])
    del warm[size:]
    while len(warm) < size:
        instance = new_instance(group)
        group["Instances"].remove(instance)
        instance["LifecycleState"] = "Warmed:Pending" if begun < instance["_since"] else "Warmed:Stopped"
        warm.append(instance)


def end(group, instance):
    instance.update(LifecycleState="Terminating", _since=time.time())


def note_failure(group):
    """AWS tries again all the time; one activity a second is enough to be seen."""
    activities, now = group.setdefault("Activities", []), now_iso()
    second = len("2026-01-01T00:00:00")
    if not activities or activities[0]["StartTime"][:second] != now[:second]:
        activities.insert(0, {
            "ActivityId": new_uuid(),
            "AutoScalingGroupName": group["AutoScalingGroupName"],
            "Description": "Launching a new EC2 instance.",
            "Cause": "An instance was started to reach the desired capacity.",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": "Failed",
            "StatusMessage": "We currently do not have sufficient capacity in the Availability Zone you requested. Launching EC2 instance failed.",
            "Progress": 100,
        })
        del activities[ACTIVITIES_KEPT:]


def move_instances_over_time():
    """EC2 Auto Scaling user guide, instance lifecycle: an instance is Pending before it is InService, and Terminating before it is gone.

    User guide, instance weights: capacity and bounds are sums of weights, and a group may exceed what is desired by up to the largest
    weight less one. Where AWS has no capacity for more instances, the group has fewer, keeps what is desired, and goes on trying.
    """

    def reconcile(group):
        settle(group)
        most = settings.of(group["AutoScalingGroupName"]).units_max
        alive = [one for one in group["Instances"] if one["LifecycleState"] in ALIVE]
        capacity = sum(map(weight, alive))
        while capacity < group["DesiredCapacity"]:
            if most is not None and len(alive) >= most:
                note_failure(group)
                break
            alive.append(launch(group))
            capacity += weight(alive[-1])
        for instance in reversed(alive):
            if capacity - weight(instance) >= group["DesiredCapacity"] and not instance["ProtectedFromScaleIn"]:
                end(group, instance)
                capacity -= weight(instance)
        settle(group)
        fill(group)

    def reconciled(inner, params):
        for group in list(autoscaling._asgs.values()):
            refresh(group)
            reconcile(group)
        return inner(params)

    autoscaling._reconcile_instances = reconcile
    for action in ("DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "DescribeInstanceRefreshes", "DescribeScalingActivities"):
        wrap(action, reconciled)


def refresh(group):
    """Takes the running instance refresh as far as it has come: with each step, a part of the instances is replaced."""
    running = next((one for one in group.get("InstanceRefreshes", []) if one["Status"] == "InProgress"), None)
    if not running:
        return
    plan = running["_plan"]
    pace = settings.of(group["AutoScalingGroupName"]).pace
    passed = (time.time() - plan["started"]) / pace if pace > 0 else plan["steps"]
    done = min(int(passed), plan["steps"]) + 1
    for step in range(plan["done"], min(done, plan["steps"])):
        for instance in list(group["Instances"]):
            if instance["InstanceId"] in plan["old"][step :: plan["steps"]] and instance["LifecycleState"] in ALIVE:
                end(group, instance)
                launch(group)
    plan["done"] = done
    running["PercentageComplete"] = 100 * (done - 1) // plan["steps"]
    if done > plan["steps"]:
        running.update(Status="Successful", StatusReason="Refresh completed", EndTime=now_iso())


def refresh_instances_over_time():
    """EC2 Auto Scaling API reference, StartInstanceRefresh: it replaces the instances part by part, and a second one meanwhile is refused."""

    def start(inner, params):
        group, name = group_of(params), autoscaling._p(params, "AutoScalingGroupName")
        pace = settings.of(name).pace
        if group and any(one["Status"] == "InProgress" for one in group.get("InstanceRefreshes", [])):
            refresh(group)
        if group and any(one["Status"] == "InProgress" for one in group.get("InstanceRefreshes", [])):
            return refused("An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.", "InstanceRefreshInProgress")
        answer = inner(params)
        if answer[0] < 400 and pace > 0:
            old = [one["InstanceId"] for one in group["Instances"] if one["LifecycleState"] in ALIVE]
            plan = {"started": time.time(), "steps": max(1, min(len(old), REFRESH_STEPS_MAX)), "old": old, "done": 0}
            group["InstanceRefreshes"][0].update(
                Status="InProgress", StatusReason="", EndTime="", PercentageComplete=0, InstancesToUpdate=len(old), _plan=plan
            )
            refresh(group)
        return answer

    def describe(inner, params):
        status, headers, body = inner(params)
        return status, headers, body.replace(b"<EndTime></EndTime>", b"").replace(b"<StatusReason></StatusReason>", b"")

    def activities(inner, params):
        group = group_of(params)
        if not group or not group.get("Activities"):
            return inner(params)
        told = f"<Activities>{autoscaling._member_xml(group['Activities'])}</Activities>"
        return autoscaling._xml(200, "DescribeScalingActivitiesResponse", f"<DescribeScalingActivitiesResult>{told}</DescribeScalingActivitiesResult>")

    wrap("StartInstanceRefresh", start)
    wrap("DescribeInstanceRefreshes", describe)
    wrap("DescribeScalingActivities", activities)


def keep_warm_pools():
    """EC2 Auto Scaling API reference, PutWarmPool, DescribeWarmPool and DeleteWarmPool; MiniStack has none of them.

    User guide, warm pools: the pool's size is the prepared capacity, or the group's maximum, less the desired capacity, and the minimum at
    least; a group takes its instances from the pool before it launches new ones. A pool with instances goes only when forced.
    """
    tell_group = autoscaling._instances_xml

    def tell_group_and_pool(group):
        pool, size = group.get("WarmPoolConfiguration"), len(group.get("WarmInstances", []))
        if not pool:
            return tell_group(group)
        told = f"<WarmPoolConfiguration>{autoscaling._member_xml(pool)}</WarmPoolConfiguration><WarmPoolSize>{size}</WarmPoolSize>"
        return tell_group(group) + told

    def answer(action, result=""):
        return autoscaling._xml(200, f"{action}Response", f"<{action}Result>{result}</{action}Result>")

    def of_group(act):
        def checked(params):
            group = group_of(params)
            return act(group, params) if group else refused("AutoScalingGroup name not found - no such group")

        return checked

    def put(group, params):
        least, prepared = number(params, "MinSize"), number(params, "MaxGroupPreparedCapacity")
        if (least or 0) < 0 or (prepared is not None and prepared < -1):
            return refused("MinSize must be at least 0, and MaxGroupPreparedCapacity at least -1.")
        reuse = autoscaling._p(params, "InstanceReusePolicy.ReuseOnScaleIn") == "true"
        group["WarmPoolConfiguration"] = {
            "MinSize": least or 0,
            "MaxGroupPreparedCapacity": -1 if prepared is None else prepared,
            "PoolState": autoscaling._p(params, "PoolState") or "Stopped",
            "InstanceReusePolicy": {"ReuseOnScaleIn": str(reuse).lower()},
        }
        fill(group)
        return answer("PutWarmPool")

    def delete(group, params):
        if group.get("WarmInstances") and autoscaling._p(params, "ForceDelete") != "true":
            # AWS ends the instances first, and deletes the pool then.
            group["WarmInstances"].clear()
        group.pop("WarmPoolConfiguration", None)
        fill(group)
        return answer("DeleteWarmPool")

    def describe(group, _):
        autoscaling._reconcile_instances(group)
        told = "".join(autoscaling._instance_member_xml(one) for one in group.get("WarmInstances", []))
        return answer("DescribeWarmPool", f"<Instances>{told}</Instances>")

    autoscaling._instances_xml = tell_group_and_pool
    for action, act in {"PutWarmPool": put, "DeleteWarmPool": delete, "DescribeWarmPool": describe}.items():
        autoscaling._ACTION_MAP[action] = of_group(act)


def tell_groups_late():
    """EC2 Auto Scaling API reference, DescribeAutoScalingGroups: what is told is eventually consistent, so it may be what stood a moment ago."""
    describe = autoscaling._ACTION_MAP["DescribeAutoScalingGroups"]

    def told(name):
        answer = describe({"AutoScalingGroupNames.member.1": name})
        return list(ElementTree.fromstring(answer[2]).find(f".//{{{SPACE}}}AutoScalingGroups"))[0]

    def noted(inner, params):
        group, name = group_of(params), autoscaling._p(params, "AutoScalingGroupName")
        before = told(name) if group and settings.of(name).lag > 0 else None
        answer = inner(params)
        if before is not None and answer[0] < 400:
            _past.wrote(name, before)
        return answer

    def late(inner, params):
        status, headers, body = inner(params)
        root = ElementTree.fromstring(body)
        groups = root.find(f".//{{{SPACE}}}AutoScalingGroups")
        if groups is None:
            return status, headers, body
        for position, group in enumerate(list(groups)):
            name = group.findtext(f"{{{SPACE}}}AutoScalingGroupName")
            for past in _past.told(name, settings.of(name).lag):
                groups[position] = copy.deepcopy(past)
        return status, headers, ElementTree.tostring(root, "utf-8", xml_declaration=True)

    wrap("SetDesiredCapacity", noted)
    wrap("UpdateAutoScalingGroup", noted)
    wrap("DescribeAutoScalingGroups", late)


def tell_by_pages():
    """EC2 Auto Scaling API reference, MaxRecords of each description: 50 by default and 100 at most, and a NextToken if there is more.

    Activities come by 100 unless asked for fewer, instances by 50 at most. So many groups as a page may have can be named.
    """

    def paged(action, listed, by_default, most):
        def page(inner, params):
            limit = number(params, "MaxRecords")
            limit = by_default if limit is None else limit
            if not 1 <= limit <= most:
                return refused(f"MaxRecords must be between 1 and {most}.")
            names = autoscaling._parse_member_list(params, "AutoScalingGroupNames")
            if len(names) > max(limit, NAMES_MAX):
                return refused(f"The number of group names exceeds {max(limit, NAMES_MAX)}.")
            token = autoscaling._p(params, "NextToken")
            if token and not token.isdigit():
                return refused("The NextToken is not valid.", "InvalidNextToken")
            status, headers, body = inner(params)
            root = ElementTree.fromstring(body)
            found = root.find(f".//{{{SPACE}}}{listed}")
            if found is None or len(found) <= limit and not token:
                return status, headers, body
            start = int(token or 0)
            rest = list(found)
            for member in rest[:start] + rest[start + limit :]:
                found.remove(member)
            if start + limit < len(rest):
                result = next(element for element in root if found in list(element))
                ElementTree.SubElement(result, f"{{{SPACE}}}NextToken").text = str(start + limit)
            return status, headers, ElementTree.tostring(root, "utf-8", xml_declaration=True)

        wrap(action, page)

    paged("DescribeAutoScalingGroups", "AutoScalingGroups", 50, 100)
    paged("DescribePolicies", "ScalingPolicies", 50, 100)
    paged("DescribeInstanceRefreshes", "InstanceRefreshes", 50, 100)
    paged("DescribeAutoScalingInstances", "AutoScalingInstances", 50, 50)
    paged("DescribeScalingActivities", "Activities", 100, 100)
