"""A local AWS: MiniStack with what matters here made like AWS, and moto for what it lacks.

    GATEWAY_PORT=4566 python serve.py

Everything listens on 127.0.0.1. Each deviation from AWS that our tests would otherwise pass or fail by is one function
below, listed in PATCHES; tests/local_aws.rs has a test for each. It reaches into MiniStack's inside, so its version is
pinned, and a name that is gone fails here at the start, not in some test later.
"""

import asyncio
import http.client
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time

import cbor2  # noqa: F401  MiniStack does without it, and then silently stores no metric that the Rust SDK writes.
import ministack.app as gateway
import permissions
from ministack.services import autoscaling, cloudwatch, stepfunctions
from ministack.services.cloudformation import provisioners
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.server import ThreadedMotoServer

FIVE_MINUTE_POINTS_KEPT_S = 63 * 86_400
FORWARDED = {"application-autoscaling"}
FORWARD_TIMEOUT_S = 60
SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")


def answer_invocations_at_once():
    """Lambda's runtime API waits for nothing: without this, every invocation takes 40 ms longer."""
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def keep_metrics_as_long_as_cloudwatch():
    """Five-minute points are kept for 63 days, not for 14."""
    cloudwatch.TWO_WEEKS_SECONDS = FIVE_MINUTE_POINTS_KEPT_S


def number(params, name):
    text = autoscaling._p(params, name)
    return None if text in ("", None) else int(text)


def refused(sentence):
    return autoscaling._error("ValidationError", sentence)


def check_bounds_of_groups():
    """AWS refuses a capacity outside a group's bounds, and bounds that cross; a new bound moves the capacity along."""
    set_unchecked, update_unchecked = autoscaling._set_desired_capacity, autoscaling._update_asg

    def set_desired(params):
        group = autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"))
        desired = number(params, "DesiredCapacity")
        if group and desired is not None:
            if desired > group["MaxSize"]:
                return refused(f"New SetDesiredCapacity value {desired} is above max value {group['MaxSize']}.")
            if desired < group["MinSize"]:
                return refused(f"New SetDesiredCapacity value {desired} is below min value {group['MinSize']}.")
        return set_unchecked(params)

    def update(params):
        group = autoscaling._asgs.get(autoscaling._p(params, "AutoScalingGroupName"))
        if not group:
            return update_unchecked(params)
        given = {name: number(params, name) for name in ("MinSize", "MaxSize", "DesiredCapacity")}
        least = group["MinSize"] if given["MinSize"] is None else given["MinSize"]
        most = group["MaxSize"] if given["MaxSize"] is None else given["MaxSize"]
        desired = given["DesiredCapacity"]
        if least > most:
            return refused(f"Max bound, {most}, must be greater than or equal to min bound, {least}.")
        if desired is not None and not least <= desired <= most:
            return refused(f"Desired capacity:{desired} must be between {least} and {most}.")
        answer = update_unchecked(params)
        group.update(MinSize=least, MaxSize=most)
        group["DesiredCapacity"] = min(max(group["DesiredCapacity"], least), most)
        autoscaling._reconcile_instances(group)
        return answer

    actions = [value for value in vars(autoscaling).values() if isinstance(value, dict) and "SetDesiredCapacity" in value]
    if not actions:
        raise SystemExit("MiniStack's table of Auto Scaling actions is gone")
    for table in actions:
        table.update(SetDesiredCapacity=set_desired, UpdateAutoScalingGroup=update)


def launch_instances_of_groups_from_templates():
    """A group made by CloudFormation has its instances, like one made by a call."""
    create = provisioners._asg_create

    def create_with_instances(logical_id, props, stack_name):
        made = create(logical_id, props, stack_name)
        autoscaling._reconcile_instances(autoscaling._asgs[made[0]])
        return made

    handlers = provisioners._RESOURCE_HANDLERS["AWS::AutoScaling::AutoScalingGroup"]
    if handlers.get("create") is not create:
        raise SystemExit("MiniStack's provisioner of groups is gone")
    handlers["create"] = create_with_instances


def read_numbers_given_by_parameters():
    """A number that reaches a service or a table through a template's parameter is a number, not text."""

    def service(props):
        return {**props, "DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else props

    def table(props):
        units = props.get("ProvisionedThroughput")
        return {**props, "ProvisionedThroughput": {name: int(count) for name, count in units.items()}} if units else props

    def wrap(kind, numbers):
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        create = handlers["create"]
        handlers["create"] = lambda logical_id, props, stack_name: create(logical_id, numbers(props), stack_name)

    wrap("AWS::ECS::Service", service)
    wrap("AWS::DynamoDB::Table", table)


def name_throttled_invocations():
    """Step Functions calls a throttled function Lambda.TooManyRequestsException."""
    call = stepfunctions._call_lambda

    def call_named(function, event):
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as error:
            if "TooManyRequests" in str(error) or "TooManyRequests" in str(vars(error)):
                raise stepfunctions._ExecutionError("Lambda.TooManyRequestsException", str(error)) from error
            raise

    stepfunctions._call_lambda = call_named


def forward_what_is_missing():
    """Requests signed for a service that MiniStack lacks go to moto, which runs beside it."""
    # moto looks for the ECS service in its own ECS, where nothing is.
    ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda self, resource_id: True
    moto = ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    inner = gateway.app

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
        if scope["type"] != "http" or not signed or signed.group(1) not in FORWARDED:
            return await inner(scope, receive, send)
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope.get("query_string") else "")
        headers.pop("content-length", None)
        status, kept, answer = await asyncio.to_thread(ask, scope["method"], path, headers, body)
        await send({"type": "http.response.start", "status": status, "headers": kept + [(b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})

    gateway.app = app


def inject_faults(port):
    """microburst listens on this port and passes everything on to us, except what a rule of a test breaks."""
    upstream = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    start = "from microburst.cli import main; main()"
    subprocess.Popen([sys.executable, "-c", start, "--upstream", upstream, "--host", "127.0.0.1", "--port", port])


def end(*_):
    """Ends us and what we started. The gateway has its own way of ending at a signal, which leaves the others."""
    os.killpg(0, signal.SIGKILL)


def stop_with_parent():
    """Whoever started us may be killed; nothing must be left running then: neither we nor what we started."""
    parent = os.getppid()
    os.setpgid(0, 0)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        end()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=watch, daemon=True).start()


PATCHES = (
    answer_invocations_at_once,
    keep_metrics_as_long_as_cloudwatch,
    check_bounds_of_groups,
    launch_instances_of_groups_from_templates,
    read_numbers_given_by_parameters,
    name_throttled_invocations,
    forward_what_is_missing,
    permissions.check_permissions,
)

if __name__ == "__main__":
    for patch in PATCHES:
        patch()
    stop_with_parent()
    if "FAULTS_PORT" in os.environ:
        inject_faults(os.environ["FAULTS_PORT"])
    try:
        gateway.main()
    finally:
        end()
