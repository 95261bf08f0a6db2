"""Lambda: how invocations fail, and what Step Functions calls it."""

import socketserver

from ministack.services import lambda_svc, stepfunctions

from . import settings


def answer_invocations_at_once():
    """Lambda's runtime API waits for nothing: without this, every invocation takes 40 ms longer."""
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


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


def fail_invocations_as_asked():
    """Lambda API reference, Invoke, errors: what Lambda itself answers when a function cannot run, as Step Functions names it (Lambda.*)."""
    call = stepfunctions._call_lambda

    def call_or_fail(function, event):
        fault = settings.spend(lambda_svc._get_func_record_for_ref(function)[2], "invocation_fault")
        if fault:
            raise stepfunctions._ExecutionError(f"Lambda.{fault}", "The invocation failed as a test asked.")
        return call(function, event)

    stepfunctions._call_lambda = call_or_fail
