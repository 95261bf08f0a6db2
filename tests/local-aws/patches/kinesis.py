"""Kinesis: streams are resharded over time, and refuse what AWS refuses."""

import json
import time

from ministack.core.responses import error_response_json, json_response
from ministack.services import kinesis

from . import settings
from .past import Past

CHANGES_DAILY = 10
DAY_S = 86_400
PENDING = "_pending"
CHANGED = "_changed"

_past = Past()


def find(data):
    name, stream = kinesis._resolve_stream(data)
    if stream:
        settle(stream)
    return name, stream


def settle(stream):
    """A resharding that has had its time is done."""
    since, target = stream.get(PENDING) or (0, None)
    if target is not None and since + settings.of(stream["StreamName"]).pace <= time.time():
        del stream[PENDING]
        stream["shards"] = kinesis._build_shards(target)
        stream["StreamStatus"] = "ACTIVE"


def reshard_over_time():
    """Kinesis API reference, UpdateShardCount: it is asynchronous; while it runs the stream is UPDATING.

    Shards are split and merged one by one, so that meanwhile neither the number from before nor the one that is wanted is open.
    """
    update, describe = kinesis._update_shard_count, kinesis._describe_stream_summary

    def update_slowly(data):
        name, stream = find(data)
        before = stream["shards"] if stream else None
        answer = update(data)
        if answer[0] < 400:
            stream.setdefault(CHANGED, []).append(time.time())
            stream["shards"] = before
            stream[PENDING] = (time.time(), int(data["TargetShardCount"]))
            stream["StreamStatus"] = "UPDATING"
            settle(stream)
        return answer

    def describe_settled(data):
        _, stream = find(data)
        answer = describe(data)
        if not stream or PENDING not in stream:
            return answer
        told = json.loads(answer[2])
        told["StreamDescriptionSummary"]["OpenShardCount"] = (len(stream["shards"]) + stream[PENDING][1]) // 2
        return json_response(told)

    kinesis._update_shard_count, kinesis._describe_stream_summary = update_slowly, describe_settled


def refuse_reshardings():
    """Kinesis API reference, UpdateShardCount: only an ACTIVE stream in provisioned mode, to double or half at most, ten times in 24 hours."""
    update = kinesis._update_shard_count

    def update_allowed(data):
        name, stream = find(data)
        return (refusal(name, stream, data) if stream else None) or update(data)

    kinesis._update_shard_count = update_allowed


def refusal(name, stream, data):
    open_shards, target = len(stream["shards"]), int(data.get("TargetShardCount") or 0)
    lately = [at for at in stream.get(CHANGED, []) if time.time() - at < DAY_S]
    told = f"Current open shard count: {open_shards} Target shard count: {target}"
    if data.get("ScalingType") != "UNIFORM_SCALING":
        return error_response_json("ValidationException", "ScalingType must be UNIFORM_SCALING", 400)
    if stream.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND":
        return error_response_json("ValidationException", f"Stream {name} is in the on-demand capacity mode", 400)
    if stream["StreamStatus"] != "ACTIVE":
        return error_response_json("ResourceInUseException", f"Stream {name} not ACTIVE, instead in state {stream['StreamStatus']}", 400)
    if target > 2 * open_shards:
        return error_response_json("LimitExceededException", f"UpdateShardCount cannot scale up over double your current open shard count. {told}", 400)
    if 2 * target < open_shards:
        return error_response_json("LimitExceededException", f"UpdateShardCount cannot scale down below half your current open shard count. {told}", 400)
    if len(lately) >= CHANGES_DAILY:
        return error_response_json("LimitExceededException", f"Stream {name} was updated {CHANGES_DAILY} times within 24 hours", 400)
    return None


def tell_streams_late():
    """No page of AWS says that DescribeStreamSummary is consistent, so it may tell what stood a moment ago."""
    update, describe = kinesis._update_shard_count, kinesis._describe_stream_summary

    def update_noted(data):
        name, stream = find(data)
        told = json.loads(describe(data)[2]) if stream else None
        answer = update(data)
        if told and answer[0] < 400:
            _past.wrote(name, told)
        return answer

    def describe_late(data):
        name, stream = find(data)
        past = _past.told(name, settings.of(name).lag) if stream else []
        return json_response(past[0]) if past else describe(data)

    kinesis._update_shard_count, kinesis._describe_stream_summary = update_noted, describe_late
