"""CloudWatch: how long points are kept, and how late they come."""

from ministack.services import cloudwatch

FIVE_MINUTE_POINTS_KEPT_S = 63 * 86_400


def keep_metrics_as_long_as_cloudwatch():
    """Five-minute points are kept for 63 days, not for 14."""
    cloudwatch.TWO_WEEKS_SECONDS = FIVE_MINUTE_POINTS_KEPT_S
