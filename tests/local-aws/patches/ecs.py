"""ECS: tasks of services start and stop over time, deployments roll, task sets, limits.

A service for which a test asks for this is simulated here: it has counts of tasks, and no tasks to list. All others stay
MiniStack's.
"""

import json
import math
import time

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import ecs
from ministack.services.cloudformation import provisioners

from . import settings
from .past import Past

SERVICES_MAX = 10
EVENTS_KEPT = 100
TASKS = "_tasks"
SETS_BY = ("CODE_DEPLOY", "EXTERNAL")

_past = Past()


def read_numbers_of_services():
    """CloudFormation user guide, AWS::ECS::Service: a DesiredCount that comes by a parameter is a number."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]
    create = handlers["create"]

    def create_numbers(logical_id, props, stack_name):
        counts = {"DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else {}
        return create(logical_id, {**props, **counts}, stack_name)

    handlers["create"] = create_numbers


def wrap(action, wrapper):
    """Puts something around an action of MiniStack; fails at the start if the action is gone."""
    actions, inner = ecs._ACTION_MAP, ecs._ACTION_MAP[action]
    actions[action] = lambda data: wrapper(inner, data)
    # Templates call MiniStack's functions by their names.
    name = inner.__name__
    if getattr(ecs, name, None) is inner:
        setattr(ecs, name, actions[action])


def find(data):
    """The service that a request is about, if there is one."""
    cluster, ref = ecs._resolve_cluster_name(data.get("cluster", "default")), ecs._resolve_service_ref(data.get("service") or data.get("serviceName") or "")
    return ecs._services.get(f"{cluster}/{ref[0]}") if ref else None


def controller(service):
    return (service.get("deploymentController") or {}).get("type", "ECS")


def simulated(service):
    asked = settings.of(service["serviceName"])
    return TASKS in service or asked.pace > 0 or asked.units_max is not None or controller(service) in SETS_BY


def owners(service):
    """What a service has tasks for, with how many each wants: deployments or task sets, the newest first."""
    if controller(service) in SETS_BY:
        if "taskSets" not in service:
            first = controller(service) == "CODE_DEPLOY"
            service["taskSets"] = [task_set(service, service, "PRIMARY")] if first else []
        for one in service["taskSets"]:
            one["computedDesiredCount"] = math.ceil(service["desiredCount"] * one["scale"]["value"] / 100)
        return [(one, one["computedDesiredCount"]) for one in service["taskSets"]]
    primary = [(one, service["desiredCount"]) for one in service["deployments"] if one["status"] == "PRIMARY"]
    # The tasks before a deployment stay until it has reached its steady state.
    done = all(one["rolloutState"] != "IN_PROGRESS" for one, _ in primary)
    return primary + [(one, 0 if done else one["desiredCount"]) for one in service["deployments"] if one["status"] != "PRIMARY"]


def say(service, sentence):
    message = f"(service {service['serviceName']}) {sentence}"
    if not service["events"] or service["events"][0]["message"] != message:
        service["events"].insert(0, {"id": new_uuid(), "createdAt": ecs._iso(), "message": message})
        del service["events"][EVENTS_KEPT:]


def settle(service):
    """Takes the tasks of a simulated service as far as they have come, starts what is missing and stops what is too many."""
    now, asked = time.time(), settings.of(service["serviceName"])
    begun = now - asked.pace
    if TASKS not in service:
        service[TASKS] = [{"of": one["id"], "is": "RUNNING", "since": now} for one, _ in owners(service) for _ in range(one["runningCount"])]
    tasks = service[TASKS]
    for _ in range(2):
        for task in tasks:
            if task["is"] == "PENDING" and task["since"] <= begun:
                task["is"] = "RUNNING"
        tasks[:] = [task for task in tasks if task["is"] != "STOPPING" or begun < task["since"]]
        for owner, wanted in owners(service):
            mine = [task for task in tasks if task["of"] == owner["id"] and task["is"] != "STOPPING"]
            for _ in range(wanted - len(mine)):
                if asked.units_max is not None and len(tasks) >= asked.units_max:
                    say(service, "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.")
                    break
                tasks.append({"of": owner["id"], "is": "PENDING", "since": now})
            for task in mine[wanted:]:
                task.update({"is": "STOPPING", "since": now})
                say(service, "has begun draining connections on tasks.")
        if asked.pace > 0:
            break
    count(service)


def count(service):
    """Tells counts and states by the tasks. A task that drains still runs."""
    tasks = service[TASKS]

    def number(state, owner=None):
        return sum(1 for task in tasks if task["is"] in state and owner in (None, task["of"]))

    service.update(runningCount=number(("RUNNING", "STOPPING")), pendingCount=number(("PENDING",)))
    for owner, wanted in owners(service):
        running, pending = number(("RUNNING", "STOPPING"), owner["id"]), number(("PENDING",), owner["id"])
        owner.update(runningCount=running, pendingCount=pending, updatedAt=owner.get("updatedAt"))
        steady = running == wanted and pending == 0
        if "stabilityStatus" in owner:
            owner["stabilityStatus"] = "STEADY_STATE" if steady else "STABILIZING"
        elif owner["status"] == "PRIMARY" and owner["rolloutState"] == "IN_PROGRESS" and running >= wanted and pending == 0:
            owner.update(rolloutState="COMPLETED", rolloutStateReason="ECS deployment completed.")
            say(service, "has reached a steady state.")
    if controller(service) not in SETS_BY:
        alive = {task["of"] for task in tasks}
        service["deployments"] = [one for one in service["deployments"] if one["status"] == "PRIMARY" or one["id"] in alive]
    service["taskSets"] = [one for one in service.get("taskSets", []) if one["status"] != "DRAINING" or one["runningCount"]]


def move_tasks_over_time():
    """ECS developer guide, task lifecycle and rolling updates: tasks are PENDING before they run and drain before they stop.

    The tasks of a deployment start beside the old ones, which drain when it has reached its steady state; only then is its
    rolloutState COMPLETED. Where no capacity is found, the service says so in an event and has fewer tasks than desired.
    """
    reconcile, refresh = ecs._reconcile_service_tasks, ecs._refresh_service_state

    def reconcile_simulated(cluster, key):
        service = ecs._services.get(key)
        if service is None or not simulated(service):
            return reconcile(cluster, key)
        settle(service)

    def refresh_simulated(cluster, group):
        service = ecs._services.get(f"{cluster}/{(group or '').partition(':')[2]}")
        if service is None or TASKS not in service:
            return refresh(cluster, group)

    def describe(inner, data):
        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        for ref in data.get("services", []):
            service = find({"cluster": cluster, "service": ref})
            if service and service["status"] == "ACTIVE" and simulated(service):
                settle(service)
        return inner(data)

    ecs._reconcile_service_tasks, ecs._refresh_service_state = reconcile_simulated, refresh_simulated
    wrap("DescribeServices", describe)


def task_set(service, data, status):
    return {
        "id": f"ecs-svc/{new_uuid().replace('-', '')[:19]}",
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "status": status,
        "taskDefinition": data.get("taskDefinition", ""),
        "computedDesiredCount": 0,
        "runningCount": 0,
        "pendingCount": 0,
        "scale": data.get("scale") or {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STABILIZING",
        "createdAt": ecs._iso(),
        "updatedAt": ecs._iso(),
    }


def have_task_sets():
    """ECS API reference, Service and TaskSet: a service of CODE_DEPLOY or EXTERNAL has task sets and no deployments.

    UpdateService changes the desired count of such a service and of each task set its share of it, rounded up; a new task
    definition needs a new task set. CodeDeploy makes the first one with the service.
    """

    def create(inner, data):
        answer, service = inner(data), find(data)
        if answer[0] < 400 and controller(service) in SETS_BY:
            service["deployments"].clear()
            settle(service)
            return json_response({"service": ecs._sanitize(service)})
        return answer

    def update(inner, data):
        service = find(data)
        if service and controller(service) in SETS_BY and (data.get("taskDefinition") or data.get("forceNewDeployment")):
            return error_response_json("InvalidParameterException", f"Unable to update task definition on services with a {controller(service)} deployment controller.", 400)
        return inner(data)

    def with_sets(change):
        def action(data):
            service = find(data)
            if service is None:
                return error_response_json("ServiceNotFoundException", "Service not found.", 400)
            if controller(service) not in SETS_BY:
                return error_response_json("InvalidParameterException", "The service has no task sets.", 400)
            settle(service)
            changed = change(service, data)
            if changed is None:
                return error_response_json("TaskSetNotFoundException", "The specified task set wasn't found.", 400)
            settle(service)
            return json_response({"taskSet": ecs._sanitize(changed)})

        return action

    def named(service, ref):
        return next((one for one in service["taskSets"] if one["id"] == ref), None)

    def create_set(service, data):
        service["taskSets"].insert(0, task_set(service, data, "ACTIVE"))
        return service["taskSets"][0]

    def update_set(service, data):
        one = named(service, data.get("taskSet"))
        if one:
            one["scale"] = data["scale"]
        return one

    def make_primary(service, data):
        one = named(service, data.get("primaryTaskSet"))
        if one:
            for other in service["taskSets"]:
                other["status"] = "PRIMARY" if other is one else "ACTIVE"
            service["taskDefinition"] = one["taskDefinition"]
        return one

    def delete_set(service, data):
        one = named(service, data.get("taskSet"))
        if one:
            one.update(status="DRAINING", scale={"value": 0.0, "unit": "PERCENT"})
        return one

    wrap("CreateService", create)
    wrap("UpdateService", update)
    for name, change in (
        ("CreateTaskSet", create_set),
        ("UpdateTaskSet", update_set),
        ("UpdateServicePrimaryTaskSet", make_primary),
        ("DeleteTaskSet", delete_set),
    ):
        ecs._ACTION_MAP[name] = with_sets(change)


def limit_services_described():
    """ECS API reference, DescribeServices: up to 10 services in one call."""

    def describe(inner, data):
        if len(data.get("services", [])) > SERVICES_MAX:
            return error_response_json("InvalidParameterException", f"Services cannot have more than {SERVICES_MAX} items.", 400)
        return inner(data)

    wrap("DescribeServices", describe)


def tell_services_late():
    """ECS developer guide, eventual consistency of its API: what DescribeServices tells may be what stood a moment ago."""

    def update(inner, data):
        service = find(data)
        told = json.dumps(ecs._sanitize(dict(service))) if service else None
        answer = inner(data)
        if told and answer[0] < 400:
            _past.wrote(service["serviceArn"], json.loads(told))
        return answer

    def describe(inner, data):
        status, headers, body = inner(data)
        told = json.loads(body)
        for position, service in enumerate(told.get("services", [])):
            for past in _past.told(service["serviceArn"], settings.of(service["serviceName"]).lag):
                told["services"][position] = past
        return status, headers, json.dumps(told).encode()

    wrap("UpdateService", update)
    wrap("DescribeServices", describe)
