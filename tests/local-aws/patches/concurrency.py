"""Lambda's concurrency: it is allocated over time, and what AWS refuses is refused."""

import json
import time

from ministack.core.responses import error_response_json, json_response
from ministack.services import lambda_svc

from . import settings
from .past import Past

UNRESERVED_KEPT = 100
SINCE, BEFORE = "_since", "_before"

_past = Past()


def config_of(name, qualifier):
    """What is provisioned, as it is now."""
    function = lambda_svc._functions.get(name)
    config = (function or {}).get("provisioned_concurrency", {}).get(qualifier)
    if config and SINCE in config and config[SINCE] + settings.of(name).pace <= time.time():
        del config[SINCE], config[BEFORE]
        config["Status"] = "READY"
        for part in ("Available", "Allocated"):
            config[f"{part}ProvisionedConcurrentExecutions"] = config["RequestedProvisionedConcurrentExecutions"]
    return config


def begin(config, allocated):
    """Begins to allocate what is requested, from what is there."""
    config.update({SINCE: time.time(), BEFORE: allocated, "Status": "IN_PROGRESS"})
    for part in ("Available", "Allocated"):
        config[f"{part}ProvisionedConcurrentExecutions"] = min(allocated, config["RequestedProvisionedConcurrentExecutions"])


def told(config):
    return {key: value for key, value in config.items() if not key.startswith("_")}


def allocate_over_time():
    """Lambda API reference, PutProvisionedConcurrencyConfig: it answers 202 and allocates; until then the status is IN_PROGRESS.

    An alias that is moved to another version keeps what is provisioned, which is allocated anew.
    """
    get, put, update_alias = lambda_svc._get_provisioned_concurrency, lambda_svc._put_provisioned_concurrency, lambda_svc._update_alias

    def get_settled(name, qualifier):
        config = config_of(name, qualifier)
        answer = get(name, qualifier)
        return json_response(told(config)) if config and answer[0] < 400 else answer

    def put_slowly(name, qualifier, data):
        before = config_of(name, qualifier)
        had = before["AllocatedProvisionedConcurrentExecutions"] if before else 0
        answer = put(name, qualifier, data)
        if answer[0] >= 400:
            return answer
        begin(lambda_svc._functions[name]["provisioned_concurrency"][qualifier], had)
        return json_response(told(config_of(name, qualifier)), 202)

    def update_alias_slowly(name, alias, data):
        version = (lambda_svc._functions.get(name) or {"aliases": {}})["aliases"].get(alias, {}).get("FunctionVersion")
        answer = update_alias(name, alias, data)
        config = config_of(name, alias)
        if answer[0] < 400 and config and data.get("FunctionVersion", version) != version:
            begin(config, 0)
        return answer

    lambda_svc._get_provisioned_concurrency, lambda_svc._put_provisioned_concurrency = get_settled, put_slowly
    lambda_svc._update_alias = update_alias_slowly


def refuse_concurrency():
    """Lambda API reference, PutProvisionedConcurrencyConfig and PutFunctionConcurrency: $LATEST, weights, what is in progress, too much."""
    put, reserve = lambda_svc._put_provisioned_concurrency, lambda_svc._put_function_concurrency

    def put_allowed(name, qualifier, data):
        function = lambda_svc._functions.get(name)
        return (refusal(name, function, qualifier, data) if function else None) or put(name, qualifier, data)

    def reserve_allowed(name, data):
        wanted, function = int(data.get("ReservedConcurrentExecutions", 0)), lambda_svc._functions.get(name)
        if function and unreserved() + (function.get("concurrency") or 0) - wanted < UNRESERVED_KEPT:
            return refused(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{UNRESERVED_KEPT}]."
            )
        if function and wanted < provisioned(name, function):
            return refused("Specified ReservedConcurrentExecutions should be greater than what is provisioned for the function.")
        return reserve(name, data)

    lambda_svc._put_provisioned_concurrency, lambda_svc._put_function_concurrency = put_allowed, reserve_allowed


def refusal(name, function, qualifier, data):
    if qualifier in (None, "", "$LATEST"):
        return refused("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
    if (function["aliases"].get(qualifier) or {}).get("RoutingConfig"):
        return refused("Alias with weights can not be used with Provisioned Concurrency")
    config = config_of(name, qualifier)
    if config and config["Status"] == "IN_PROGRESS":
        return error_response_json("ResourceConflictException", "Another operation is in progress.", 409)
    had = config["RequestedProvisionedConcurrentExecutions"] if config else 0
    wanted = provisioned(name, function) - had + int(data.get("ProvisionedConcurrentExecutions", 0))
    if function.get("concurrency") is not None and wanted > function["concurrency"]:
        return refused("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
    if function.get("concurrency") is None and unreserved() - wanted < UNRESERVED_KEPT:
        return refused(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{UNRESERVED_KEPT}]."
        )
    return None


def refused(sentence):
    return error_response_json("InvalidParameterValueException", sentence, 400)


def unreserved():
    return json.loads(lambda_svc._get_account_settings()[2])["AccountLimit"]["UnreservedConcurrentExecutions"]


def provisioned(name, function):
    configs = [config_of(name, qualifier) for qualifier in function.get("provisioned_concurrency", {})]
    return sum(config["RequestedProvisionedConcurrentExecutions"] for config in configs)


def move(name, qualifier, inside):
    """Moves what is provisioned into some bounds; whether that is done, or there is nothing to do."""
    config = config_of(name, qualifier)
    had = config["RequestedProvisionedConcurrentExecutions"] if config else 0
    if name not in lambda_svc._functions or had == inside(had):
        return True
    wanted = {"ProvisionedConcurrentExecutions": inside(had)}
    return lambda_svc._put_provisioned_concurrency(name, qualifier, wanted)[0] < 400


def tell_concurrency_late():
    """Lambda API reference, GetProvisionedConcurrencyConfig: nothing says that it tells the latest write."""
    get, put = lambda_svc._get_provisioned_concurrency, lambda_svc._put_provisioned_concurrency

    def put_noted(name, qualifier, data):
        before = get(name, qualifier)
        answer = put(name, qualifier, data)
        if answer[0] < 400:
            _past.wrote((name, qualifier), before)
        return answer

    def get_late(name, qualifier):
        past = _past.told((name, qualifier), settings.of(name or "").lag)
        return past[0] if past else get(name, qualifier)

    lambda_svc._get_provisioned_concurrency, lambda_svc._put_provisioned_concurrency = get_late, put_noted


def list_what_is_provisioned():
    """Lambda API reference, ListProvisionedConcurrencyConfigs: without a qualifier, those of all aliases and versions are told."""
    get = lambda_svc._get_provisioned_concurrency

    def get_or_list(name, qualifier):
        function = lambda_svc._functions.get(name)
        if qualifier or not function:
            return get(name, qualifier)
        configs = [(each, config_of(name, each)) for each in function.get("provisioned_concurrency", {})]
        listed = [{**told(config), "FunctionArn": f"{lambda_svc._func_arn(name)}:{each}"} for each, config in configs]
        return json_response({"ProvisionedConcurrencyConfigs": listed})

    lambda_svc._get_provisioned_concurrency = get_or_list
