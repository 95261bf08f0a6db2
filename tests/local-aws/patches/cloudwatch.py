"""CloudWatch: how long points are kept, how late they come, and how much is told at once."""

import json
import time
from datetime import timezone

import cbor2
from ministack.services import cloudwatch

from . import settings

FIVE_MINUTE_POINTS_KEPT_S = 63 * 86_400
EVICTION_S = 60.0
QUERIES_MAX = 500
POINTS_MAX = 100_800
# Of what a count will be, this is there when its point appears.
FIRST_SHARE = 0.25


def keep_metrics_as_long_as_cloudwatch():
    """CloudWatch user guide, metrics retention: five-minute points are kept for 63 days, not for 14."""
    cloudwatch.TWO_WEEKS_SECONDS = FIVE_MINUTE_POINTS_KEPT_S


def evaluate_alarms_of_metrics_that_have_points():
    """CloudWatch user guide, alarm states: only data moves an alarm. MiniStack reads every metric anew for each alarm of
    every stack whenever a point is put, which takes most of its time once there are fifty stacks."""

    def evaluate_all():
        known = {(namespace, name) for (namespace, name, _), _ in cloudwatch._metrics.items()}
        for alarm in cloudwatch._alarms.values():
            if (alarm.get("Namespace"), alarm.get("MetricName")) in known:
                cloudwatch._evaluate_alarm(alarm)

    if not callable(cloudwatch._evaluate_all_alarms):
        raise SystemExit("MiniStack's evaluation of alarms is gone")
    cloudwatch._evaluate_all_alarms = evaluate_all


def evict_old_points_once_a_minute():
    """MiniStack copies every point of every metric at each request to drop the old ones, which takes seconds once there are
    thousands of metrics. CloudWatch promises no moment at which an old point goes."""
    evict, last = cloudwatch._evict_old_metrics, 0.0

    def evict_now_and_then():
        nonlocal last
        if last + EVICTION_S <= time.monotonic():
            last = time.monotonic()
            evict()

    cloudwatch._evict_old_metrics = evict_now_and_then


class Late:
    """The metrics as they can be seen now. Everything but reading them all goes to what is stored. A request that names its
    metrics sees these only: MiniStack goes through all metrics for each query."""

    def __init__(self, stored, named=None):
        self.stored, self.named, self.shown = stored, named, None

    def __getattr__(self, name):
        return getattr(self.stored, name)

    def __getitem__(self, metric):
        return self.stored[metric]

    def __setitem__(self, metric, points):
        self.stored[metric] = points

    def __contains__(self, metric):
        return metric in self.stored

    def items(self):
        if self.shown is None:
            self.shown = [(metric, seen(metric[2], points)) for metric, points in self.candidates()]
        return self.shown

    def candidates(self):
        if self.named is None:
            return list(self.stored.items())
        return [(metric, self.stored[metric]) for metric in self.named if metric in self.stored]


def named(request):
    """The metrics that the queries name, each once; nothing if one of them names no dimensions, which MiniStack takes for any."""
    metrics = {}
    for query in request.get("MetricDataQueries", []):
        metric = query.get("MetricStat", {}).get("Metric", {})
        dimensions = cloudwatch._dims_from_list(metric.get("Dimensions") or [])
        if not dimensions:
            return None
        metrics[(metric.get("Namespace", ""), metric.get("MetricName", ""), cloudwatch._dims_key(dimensions))] = True
    return list(metrics)


def seen(dimensions, points):
    """The points of a metric that have appeared, with their counts as far as these have come."""
    asked = [settings.of(pair.partition("=")[2]) for pair in dimensions.split("|")]
    delay, settle = max(one.metric_delay for one in asked), max(one.metric_settle for one in asked)
    if delay <= 0 and settle <= 0:
        return points
    now = time.time()
    return [grown(point, (now - delay - point["Timestamp"]) / settle if settle else 1.0) for point in points if point["Timestamp"] + delay <= now]


def grown(point, share):
    if share >= 1.0:
        return point
    count, total, least, most = cloudwatch._point_stats(point)
    share = max(share, FIRST_SHARE)
    return {**point, "_stat": {"SampleCount": count * share, "Sum": total * share, "Minimum": least, "Maximum": most}}


def tell_points_late():
    """CloudWatch user guide, metrics concepts and GetMetricData: points come minutes late, and counts go on growing after they have appeared."""

    def late(read, queries):
        def read_late(params, request, *protocol):
            stored = cloudwatch._metrics
            cloudwatch._metrics = Late(stored, named(request) if queries and any(protocol) else None)
            try:
                return read(params, request, *protocol)
            finally:
                cloudwatch._metrics = stored

        return read_late

    cloudwatch._get_metric_data = late(cloudwatch._get_metric_data, queries=True)
    cloudwatch._get_metric_statistics = late(cloudwatch._get_metric_statistics, queries=False)


def tell_metric_data_by_pages():
    """CloudWatch API reference, GetMetricData: up to 500 queries in a call, 100,800 points in a page unless fewer are asked for, and a NextToken if there is more."""
    read = cloudwatch._get_metric_data

    def read_page(params, request, is_cbor, is_json=False):
        if not (is_cbor or is_json):
            return read(params, request, is_cbor, is_json)
        limit, token = request.get("MaxDatapoints") or POINTS_MAX, request.get("NextToken")
        wrong = None
        if len(request.get("MetricDataQueries", [])) > QUERIES_MAX:
            wrong = f"The collection MetricDataQueries must not have a size greater than {QUERIES_MAX}."
        elif not 1 <= limit <= POINTS_MAX:
            wrong = f"MaxDatapoints must be between 1 and {POINTS_MAX}."
        elif token is not None and not token.isdigit():
            wrong = "The NextToken is not valid."
        if wrong:
            return cloudwatch._error("ValidationError", wrong, 400, use_json=is_json, use_cbor=is_cbor)
        status, headers, body = read(params, request, is_cbor, is_json)
        told = cbor2.loads(body) if is_cbor else json.loads(body)
        start = int(token or 0)
        results, total = page(told["MetricDataResults"], start, start + limit)
        if total <= limit and not token:
            return status, headers, body
        told["MetricDataResults"] = results
        if start + limit < total:
            told["NextToken"] = str(start + limit)
        if is_cbor:
            # The SDK reads times as numbers only.
            return status, headers, cbor2.dumps(told, datetime_as_timestamp=True, timezone=timezone.utc)
        return status, headers, json.dumps(told).encode()

    cloudwatch._get_metric_data = read_page


def page(results, start, end):
    """The points from one place to another, counted through all results; those with more to come are partial."""
    passed, told = 0, []
    for result in results:
        first, last = max(start - passed, 0), max(end - passed, 0)
        count = len(result["Values"])
        passed += count
        more = last < count
        part = {name: result[name][first:last] for name in ("Timestamps", "Values")}
        told.append({**result, **part, "StatusCode": "PartialData" if more else result["StatusCode"]})
    return told, passed
