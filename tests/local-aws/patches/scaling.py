"""Application Auto Scaling, which MiniStack lacks: moto answers for it, and MiniStack's resources move."""

import asyncio
import http.client
import json
import re

import ministack.app as ministack
from ministack.core.responses import get_account_id, request_scope
from ministack.services import dynamodb, ecs
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.server import ThreadedMotoServer

from . import dynamodb as tables
from . import concurrency, rds, settings
from .gateway import read, reply
from .past import Past

FORWARDED = {"application-autoscaling"}
FORWARD_TIMEOUT_S = 60
SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
# AWS goes on until its update is taken; a table is busy for as long as its own update takes.
MOVES_TRIED_MAX = 20
MOVE_RETRY_S = 0.25
RESOURCES_NAMED_MAX = 50
# How many AWS tells in a page: as many as can be asked for.
PAGES = {
    "DescribeScalableTargets": ("ScalableTargets", 50),
    "DescribeScalingPolicies": ("ScalingPolicies", 10),
    "DescribeScheduledActions": ("ScheduledActions", 50),
}
# More than moto will ever have.
ALL = 1_000_000

_past = Past()


def refused(code, sentence):
    return 400, [(b"content-type", b"application/x-amz-json-1.1")], json.dumps({"__type": code, "message": sentence}).encode()


def resource_name(resource_id):
    """The name of a table or service in an id such as table/orders/index/by-owner or service/cluster/api."""
    parts = resource_id.split("/")
    if resource_id.startswith(("cluster:", "function:")):
        return resource_id.split(":")[1]
    return parts[1] if parts[0] == "table" else parts[-1]


def forward_what_is_missing():
    """No page of AWS: requests signed for a service that MiniStack lacks go to moto, which runs beside it."""
    # moto looks for the ECS service in its own ECS, where nothing is.
    ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda self, resource_id: True
    moto = ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    inner = ministack.app

    def ask(method, path, headers, body):
        connection = http.client.HTTPConnection(host, port, timeout=FORWARD_TIMEOUT_S)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            hop = ("transfer-encoding", "connection", "content-length")
            kept = [(name.lower().encode(), value.encode()) for name, value in answer.getheaders() if name.lower() not in hop]
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    async def app(scope, receive, send):
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
        signed = SIGNED_FOR.search(headers.get("authorization", ""))
        if scope["type"] != "http" or not signed or signed.group(2) not in FORWARDED:
            return await inner(scope, receive, send)
        body = await read(receive)
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope.get("query_string") else "")
        headers.pop("content-length", None)

        service, _, action = headers.get("x-amz-target", "").rpartition(".")

        async def forward(request, action=action):
            named = {**headers, "x-amz-target": f"{service}.{action}"}
            return await asyncio.to_thread(ask, scope["method"], path, named, json.dumps(request).encode())

        await reply(send, *await ACTIONS.get(action, pass_on)(action, json.loads(body or b"{}"), forward, signed.group(1)))

    ministack.app = app


async def pass_on(action, request, forward, region):
    return await forward(request)


ACTIONS = {}


def tell_targets_and_policies_by_pages():
    """Application Auto Scaling API reference, MaxResults: policies come by 10, targets and scheduled actions by 50, never more.

    DescribeScalableTargets takes up to 50 ids, and tells for a moment what stood before a write.
    """

    async def page(action, request, forward, region):
        listed, most = PAGES[action]
        limit, token = request.pop("MaxResults", most), request.pop("NextToken", None)
        if not 1 <= limit <= most:
            return refused("ValidationException", f"MaxResults must be between 1 and {most}.")
        if len(request.get("ResourceIds", [])) > RESOURCES_NAMED_MAX:
            return refused("ValidationException", f"Maximum number of resource IDs must be less than or equal to {RESOURCES_NAMED_MAX}.")
        if token is not None and not token.isdigit():
            return refused("InvalidNextTokenException", "The NextToken is not valid.")
        status, headers, body = await forward({**request, "MaxResults": ALL})
        if status >= 400:
            return status, headers, body
        told = json.loads(body)
        start = int(token or 0)
        # moto takes a part of an id for the id.
        wanted = request.get("ResourceId")
        found = [as_it_was(one) for one in told[listed] if wanted in (None, one["ResourceId"])]
        told = {listed: found[start : start + limit]}
        if start + limit < len(found):
            told["NextToken"] = str(start + limit)
        return status, headers, json.dumps(told).encode()

    ACTIONS.update({action: page for action in PAGES})


def key(target):
    return f"{target['ResourceId']} {target['ScalableDimension']}"


def as_it_was(one):
    if "MinCapacity" not in one:
        return one
    past = _past.told(key(one), settings.of(resource_name(one["ResourceId"])).lag)
    return past[0] if past else one


def move_capacity_into_its_bounds():
    """Application Auto Scaling API reference, RegisterScalableTarget: it changes the resource's capacity to a value inside the bounds.

    It does so by itself, some time after it has answered. At a pace of 0 nothing moves.
    """
    moving = set()

    async def register(action, request, forward, region):
        before = await target(request, forward)
        answer = await forward(request)
        if answer[0] >= 400:
            return answer
        if before:
            _past.wrote(key(before), before)
        pace = settings.of(resource_name(request["ResourceId"])).pace
        if pace > 0:
            task = asyncio.create_task(move(await target(request, forward), pace, region))
            # A task that nobody holds may be dropped before it ends.
            moving.add(task)
            task.add_done_callback(moving.discard)
        return answer

    async def target(request, forward):
        asked = {"ServiceNamespace": request["ServiceNamespace"], "ResourceIds": [request["ResourceId"]], "MaxResults": ALL}
        _, _, body = await forward(asked, "DescribeScalableTargets")
        return next((one for one in json.loads(body).get("ScalableTargets", []) if key(one) == key(request)), None)

    async def move(bounds, pace, region):
        for _ in range(MOVES_TRIED_MAX):
            await asyncio.sleep(min(pace, MOVE_RETRY_S))
            with request_scope(get_account_id(), region):
                if await asyncio.to_thread(moved, bounds):
                    return

    ACTIONS["RegisterScalableTarget"] = register


def moved(bounds):
    """Moves a capacity into its bounds; whether that is done, or there is nothing to do."""
    parts, dimension = bounds["ResourceId"].split("/"), bounds["ScalableDimension"]
    inside = lambda units: min(max(units, bounds["MinCapacity"]), bounds["MaxCapacity"])  # noqa: E731
    if parts[0] == "service":
        which = {"cluster": parts[1], "service": parts[2]}
        services = json.loads(ecs._describe_services({"cluster": parts[1], "services": [parts[2]]})[2]).get("services", [])
        wanted = inside(services[0]["desiredCount"]) if services else None
        done = wanted in (None, services[0]["desiredCount"])
        return done or ecs._ACTION_MAP["UpdateService"]({**which, "desiredCount": wanted})[0] < 400
    if parts[0].startswith("function:"):
        _, name, qualifier = parts[0].split(":")
        return concurrency.move(name, qualifier, inside)
    if parts[0].startswith("cluster:"):
        return rds.move(resource_name(parts[0]), inside)
    _, table = tables.find({"TableName": parts[1]}) if parts[0] == "table" else ("", None)
    index = parts[3] if len(parts) > 3 else ""
    record = tables.parts(table).get(index) if table else None
    if record is None:
        return True
    units = dict(zip(tables.UNITS, tables.units(record["ProvisionedThroughput"])))
    unit = next(unit for unit in tables.UNITS if dimension.endswith(unit))
    if units[unit] == inside(units[unit]):
        return True
    throughput = {**units, unit: inside(units[unit])}
    change = {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": index, "ProvisionedThroughput": throughput}}]}
    return dynamodb._update_table({"TableName": parts[1], **(change if index else {"ProvisionedThroughput": throughput})})[0] < 400
