"""Step Functions: how much a state and an execution may hold."""

import json
from datetime import datetime, timedelta

from ministack.services import stepfunctions

from . import settings

PAYLOAD_BYTES_MAX = 256 * 1024
EVENTS_MAX = 25_000
# No Catch of States.ALL or States.TaskFailed sees these.
TERMINAL = ("States.DataLimitExceeded", "States.Runtime")


def too_large(value):
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) > PAYLOAD_BYTES_MAX


def check(value, of):
    if too_large(value):
        sentence = f"The {of} exceeded the maximum number of bytes service limit."
        raise stepfunctions._ExecutionError("States.DataLimitExceeded", sentence)
    return value


def limit_payloads():
    """Step Functions developer guide, Quotas: what goes into or comes out of a task or state is at most 256 KiB, else States.DataLimitExceeded."""
    invoke, items, branches = stepfunctions._invoke_resource, stepfunctions._run_map_items, stepfunctions._run_parallel_branches

    def invoke_limited(resource, given, *rest):
        check(given, "state/task input")
        return check(invoke(resource, given, *rest), f"state/task '{resource}' result")

    stepfunctions._invoke_resource = invoke_limited
    stepfunctions._run_map_items = lambda *given: check(items(*given), "state/task 'Map' result")
    stepfunctions._run_parallel_branches = lambda *given: check(branches(*given), "state/task 'Parallel' result")


def catch_by_name_only():
    """Step Functions developer guide, Handling errors: States.ALL catches neither States.DataLimitExceeded nor States.Runtime."""
    matches = stepfunctions._error_matches

    def matches_by_name(names, error):
        return error in names if error in TERMINAL else matches(names, error)

    stepfunctions._error_matches = matches_by_name


def limit_events():
    """Step Functions developer guide, Quotas: an execution has at most 25,000 events in its history, else it fails."""
    add = stepfunctions._add_event

    def add_limited(execution, kind, details=None):
        # The failure is the last event.
        if kind != "ExecutionFailed" and len(execution["events"]) >= EVENTS_MAX - 1:
            sentence = f"The execution reached the maximum number of history events ({EVENTS_MAX})."
            raise stepfunctions._ExecutionError("States.Runtime", sentence)
        return add(execution, kind, details)

    stepfunctions._add_event = add_limited


def tell_ends_earlier():
    """No page of AWS: executions say that they ended some seconds earlier than they did, so that a test need not wait until what they had called is sure to be over."""
    describe = stepfunctions._describe_execution

    def describe_earlier(data):
        status, headers, body = describe(data)
        told = json.loads(body)
        ago = settings.of(told["stateMachineArn"].rpartition(":")[2]).ended_ago if status == 200 else 0
        if not ago or not told.get("stopDate"):
            return status, headers, body
        return status, headers, json.dumps({**told, "stopDate": earlier(told["stopDate"], ago)}).encode()

    stepfunctions._describe_execution = describe_earlier


def earlier(at, seconds):
    if isinstance(at, (int, float)):
        return at - seconds
    moved = datetime.fromisoformat(at.replace("Z", "+00:00")) - timedelta(seconds=seconds)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
