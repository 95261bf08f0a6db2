"""How unkind the local AWS is, by the beginning of a resource's name. README.md has the table of settings.

Tests of one process share one server, so a setting can be limited to the names that begin with a prefix. The prefix of
no length is for everything.
"""

import os
import threading
from types import SimpleNamespace

NUMBER, COUNT, SWITCH, FAULT = "a number that is not negative", "a whole number", "true or false", '{"name": ..., "times": ...}'
SETTINGS = {
    "pace": (NUMBER, 0.0),
    "lag": (NUMBER, 0.0),
    "decreases_limited": (SWITCH, None),
    "units_max": (COUNT, None),
    "metric_delay": (NUMBER, 0.0),
    "metric_settle": (NUMBER, 0.0),
    "invocation_fault": (FAULT, None),
    "ended_ago": (NUMBER, 0.0),
}

_lock = threading.Lock()
_rules = {"": {"pace": float(os.environ.get("LOCAL_AWS_PACE", "0"))}}


class Refused(ValueError):
    """A setting that nobody understands."""


def of(name):
    """The settings for a resource: of all prefixes of its name that say something, the longest one wins."""
    found = {setting: default for setting, (_, default) in SETTINGS.items()}
    for prefix in sorted(_rules, key=len):
        if name.startswith(prefix):
            found.update(_rules[prefix])
    return SimpleNamespace(**found)


def change(rule):
    """Changes what is set for a prefix, and answers what is set for it then. A null takes a setting back."""
    prefix = rule.get("prefix")
    if not isinstance(prefix, str):
        raise Refused("prefix must be text, and empty for everything")
    given = {setting: value for setting, value in rule.items() if setting != "prefix"}
    for setting, value in given.items():
        check(setting, value)
    with _lock:
        kept = {**_rules.get(prefix, {}), **given}
        _rules[prefix] = {setting: value for setting, value in kept.items() if value is not None}
        return {"prefix": prefix, **_rules[prefix]}


def check(setting, value):
    if setting not in SETTINGS:
        raise Refused(f"there is no setting {setting}; there are {', '.join(SETTINGS)}")
    kind, _ = SETTINGS[setting]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    valid = {
        NUMBER: is_number,
        COUNT: is_number and isinstance(value, int),
        SWITCH: isinstance(value, bool),
        FAULT: isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("times"), int),
    }
    if value is not None and not valid[kind]:
        raise Refused(f"{setting} must be {kind}")


def everything():
    """All that is set, by prefix."""
    return [{"prefix": prefix, **settings} for prefix, settings in sorted(_rules.items())]


def spend(name, setting):
    """Takes one time off a fault that is set so many times; answers its name, or nothing when none is left."""
    with _lock:
        for prefix in sorted(_rules, key=len, reverse=True):
            fault = _rules[prefix].get(setting)
            if name.startswith(prefix) and fault:
                left = fault["times"] - 1
                _rules[prefix] = {**_rules[prefix], setting: {**fault, "times": left} if left > 0 else None}
                return fault["name"]
    return None
