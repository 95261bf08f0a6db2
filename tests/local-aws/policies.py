"""Policies of IAM, evaluated as the IAM User Guide says in "Policy evaluation logic" and "Condition operators"."""

import json
import re

# Keys that requests.py knows how to fill. A policy with any other key could not be judged, so it is refused.
KNOWN_KEYS = {
    "s3:prefix",
    "application-autoscaling:scalable-dimension", "application-autoscaling:service-namespace",
    "autoscaling:imageid", "autoscaling:instancetypes", "autoscaling:launchconfigurationname",
    "autoscaling:launchtemplateversionspecified", "autoscaling:maxsize", "autoscaling:minsize",
    "autoscaling:vpczoneidentifiers", "dynamodb:leadingkeys", "ecs:capacity-provider", "ecs:cluster",
    "ecs:enable-execute-command", "ecs:task-definition",
}


def listed(value):
    return value if isinstance(value, list) else [value]


def like(pattern, text, fold=False):
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


def numeric(compare):
    return lambda wanted, found: compare(float(found), float(wanted))


COMPARISONS = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "NumericEquals": numeric(lambda found, wanted: found == wanted),
    "NumericLessThan": numeric(lambda found, wanted: found < wanted),
    "NumericLessThanEquals": numeric(lambda found, wanted: found <= wanted),
    "NumericGreaterThan": numeric(lambda found, wanted: found > wanted),
    "NumericGreaterThanEquals": numeric(lambda found, wanted: found >= wanted),
}
NEGATED = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike"}


def known(key):
    if key not in KNOWN_KEYS and not key.startswith(("aws:requesttag/", "aws:resourcetag/")):
        raise ValueError(f"a policy has the condition key {key}, which policies.py does not know")
    return key


def holds(operator, key, wanted, context):
    """Whether one condition holds. Keys that the request lacks make it false, unless its operator says otherwise."""
    name = known(key.lower())
    found = context.get(name)
    wanted = [str(value) for value in listed(wanted)]
    if operator == "Null":
        return str(found is None).lower() in [value.lower() for value in wanted]
    quantifier, _, operator = operator.rpartition(":")
    if operator.endswith("IfExists"):
        if found is None:
            return True
        operator = operator.removesuffix("IfExists")
    negated = operator in NEGATED
    compare = COMPARISONS[NEGATED.get(operator, operator)]

    def matches(value):
        return any(compare(one, value) for one in wanted) != negated

    if quantifier == "ForAllValues":
        return all(matches(value) for value in found or [])
    if found is None:
        return negated and quantifier != "ForAnyValue"
    return any(matches(value) for value in found)


def applies(statement, request, without):
    sid, gone = statement.get("Sid"), without or (None, None)
    actions = [action for action in listed(statement["Action"]) if (sid, action) != gone]
    return (
        any(like(action, request["action"], fold=True) for action in actions)
        and any(like(resource, request["resource"]) for resource in listed(statement["Resource"]))
        and all(
            holds(operator, key, wanted, request["context"])
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def statements(role):
    for document in role["InlinePolicies"].values():
        document = json.loads(document) if isinstance(document, str) else document
        yield from listed(document["Statement"])


def judge(role, request, without=None):
    """("Allow" or "Deny", the Sid that decided). `without` is a (Sid, action) that is thought away."""
    allowed = None
    for statement in statements(role):
        if {"NotAction", "NotResource"} & set(statement):
            raise ValueError("policies.py does not know NotAction and NotResource")
        if applies(statement, request, without):
            if statement["Effect"] == "Deny":
                return "Deny", statement.get("Sid", "")
            allowed = allowed or statement.get("Sid", "")
    return ("Deny", None) if allowed is None else ("Allow", allowed)
