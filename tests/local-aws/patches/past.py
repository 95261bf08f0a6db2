"""What describe calls told before the latest writes: AWS's answers lag a moment behind them."""

import time

from ministack.core.responses import get_account_id, get_region

# Far above any lag that a test asks for.
KEPT_S = 300


class Past:
    """What was told of each resource before each of its writes, for as long as anybody may be told it."""

    def __init__(self):
        self._before = {}

    def wrote(self, name, told):
        """A resource is about to be written, of which this was told until now."""
        now, key = time.time(), self._key(name)
        kept = [(at, before) for at, before in self._before.get(key, []) if now - at < KEPT_S]
        self._before[key] = kept + [(now, told)]

    def told(self, name, lag_s):
        """What stood so many seconds ago, in a list of one, or nothing if nothing was written since."""
        since = time.time() - lag_s
        return next(([before] for at, before in self._before.get(self._key(name), []) if since < at), [])

    @staticmethod
    def _key(name):
        return get_account_id(), get_region(), name
