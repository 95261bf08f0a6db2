"""Lambda: how invocations fail, and what Step Functions calls it."""

import socketserver

from ministack.services import stepfunctions


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
