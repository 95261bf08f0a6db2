"""Every call of a function is checked against the role that the template gives it, as IAM does; so is every call of a
function by a state machine. Calls with any other key are the account's administrator.

    GET /_local/permissions         every call seen, once, with the Sid that allowed it, and the functions' access keys
    GET /_local/permissions/needed  every (role, Sid, action), with the calls that only it allows
"""

import contextvars
import hashlib
import json
import re
import uuid
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import cbor2
import ministack.app as gateway
import policies
import requests_of_aws
from ministack.core import lambda_runtime
from ministack.services import iam, lambda_svc, stepfunctions

SIGNED = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
# They answer errors in a header and a body of JSON.
REST_JSON = {"apigateway", "eks", "lambda"}
# The functions' access keys: who calls with them.
sessions = {}
# Calls that were seen, each once.
seen = {}
machine_role = contextvars.ContextVar("machine_role", default=None)


def account_of(arn):
    return arn.split(":")[4]


def session_of(config):
    """A key of the function's own, which names its role."""
    role, function = config["Role"], config["FunctionName"]
    key = "ASIA" + hashlib.sha256(f"{config['FunctionArn']} {role}".encode()).hexdigest()[:16].upper()
    name = role.rpartition("/")[2]
    arn = f"arn:aws:sts::{account_of(role)}:assumed-role/{name}/{function}"
    sessions[key] = {"key": key, "function": function, "role": name, "arn": arn}
    return key


def credentials(config):
    return {"AWS_ACCESS_KEY_ID": session_of(config), "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local"}


def refusal(session, request):
    """Why a request is refused, in AWS's words; None if it is allowed. Either way it is on record."""
    role = iam._roles.get(session["role"])
    effect, sid = policies.judge(role, request) if role else ("Deny", None)
    call = {"function": session["function"], "role": session["role"], **request, "allowed": effect == "Allow", "sid": sid}
    seen[json.dumps(call, sort_keys=True)] = call
    if effect == "Allow":
        return None
    why = f"no identity-based policy allows the {request['action']} action" if sid is None else "an explicit deny in an identity-based policy"
    joined = "because" if sid is None else "with"
    return f"User: {session['arn']} is not authorized to perform: {request['action']} on resource: {request['resource']} {joined} {why}"


def needed():
    """What each action of each role is there for: how many calls it alone allows."""
    rows = []
    for name in sorted({call["role"] for call in seen.values()}):
        role = iam._roles.get(name)
        if not role:
            continue
        calls = [call for call in seen.values() if call["role"] == name and call["allowed"]]
        for statement in policies.statements(role):
            if statement["Effect"] != "Allow":
                continue
            for action in policies.listed(statement["Action"]):
                without = (statement.get("Sid"), action)
                lost = [call for call in calls if policies.judge(role, call, without)[0] == "Deny"]
                example = lost[0]["resource"] if lost else None
                rows.append({"role": name, "sid": without[0], "action": action, "calls": len(lost), "example": example})
    return rows


def denied(service, headers, path, sentence):
    """A refusal in the shape of the service's protocol: status, content type, more headers, body."""
    if requests_of_aws.CBOR.search(path):
        more = [(b"smithy-protocol", b"rpc-v2-cbor"), (b"x-amzn-query-error", b"AccessDenied;Sender")]
        return 400, b"application/cbor", more, cbor2.dumps({"__type": "AccessDeniedException", "message": sentence})
    if "x-amz-target" in headers:
        body = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": sentence})
        return 400, headers.get("content-type", "application/x-amz-json-1.0").encode(), [], body.encode()
    if service in REST_JSON:
        kind = [(b"x-amzn-errortype", b"AccessDeniedException")]
        return 403, b"application/json", kind, json.dumps({"Message": sentence}).encode()
    said = f"<Message>{escape(sentence)}</Message>"
    if service == "s3":
        return 403, b"application/xml", [], f"<Error><Code>AccessDenied</Code>{said}</Error>".encode()
    code = "AuthorizationError" if service == "sns" else "AccessDenied"
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>{said}</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    return 403, b"text/xml", [], body.encode()


async def answer(send, status, kind, more, body):
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive):
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    return body


def again(body):
    """The body once more, for whoever is asked next."""
    events = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return events.pop() if events else {"type": "http.disconnect"}

    return receive


def without_listing(session, given, account, region):
    """S3 tells only those who may list a bucket that an object is missing."""
    request = {"action": "s3:ListBucket", "resource": f"arn:aws:s3:::{given['Bucket']}", "context": {}}
    return refusal(session, request)


def control(scope):
    query = parse_qs(scope.get("query_string", b"").decode())
    part = query.get("role", [""])[0]
    rows = needed() if scope["path"].endswith("/needed") else list(seen.values())
    rows = [row for row in rows if part in row["role"]]
    keys = [session for session in sessions.values() if part in session["role"]]
    return json.dumps({"calls": rows, "sessions": keys}).encode()


def keep_tags_of_targets(operation, given):
    if operation == "RegisterScalableTarget" and "Tags" in given:
        place = (given["ServiceNamespace"], given["ResourceId"], given["ScalableDimension"])
        requests_of_aws.target_tags[place] = requests_of_aws.tags({"Key": key, "Value": value} for key, value in given["Tags"].items())


def check_requests():
    inner = gateway.app

    async def app(scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/_local/permissions"):
            return await answer(send, 200, b"application/json", [], control(scope))
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        signed = SIGNED.search(headers.get("authorization", ""))
        session = sessions.get(signed.group(1)) if signed else None
        service = signed.group(3) if signed else ""
        if scope["type"] != "http" or not session and service != "application-autoscaling":
            return await inner(scope, receive, send)
        body = await whole_body(receive)
        query = scope.get("query_string", b"").decode()
        path = f"{scope['path']}?{query}" if query else scope["path"]
        operation, given = requests_of_aws.read(service, scope["method"], path, headers, body)
        keep_tags_of_targets(operation, given)
        if not session:
            return await inner(scope, again(body), send)
        region, account = signed.group(2), account_of(session["arn"])
        for request in requests_of_aws.asked(service, account, region, operation, given):
            if sentence := refusal(session, request):
                return await answer(send, *denied(service, headers, scope["path"], sentence))

        async def send_what_may_be_known(event):
            if service == "s3" and event.get("status") == 404:
                if sentence := without_listing(session, given, account, region):
                    hidden.append(sentence)
                    return await answer(send, *denied(service, headers, scope["path"], sentence))
            if not hidden:
                await send(event)

        hidden = []
        await inner(scope, again(body), send_what_may_be_known)

    gateway.app = app


def check_machines():
    """A state machine calls functions with its own role."""
    run, call = stepfunctions._run_execution, stepfunctions._call_lambda

    def run_as(arn):
        execution = stepfunctions._executions.get(arn) or {}
        machine = stepfunctions._state_machines.get(execution.get("stateMachineArn")) or {}
        machine_role.set(machine.get("roleArn"))
        return run(arn)

    def call_as(function, event):
        role = machine_role.get()
        _, config, _ = lambda_svc._get_func_record_for_ref(function)
        if role and config:
            name = role.rpartition("/")[2]
            session = {"function": "", "role": name, "arn": f"arn:aws:sts::{account_of(role)}:assumed-role/{name}/states"}
            request = {"action": "lambda:InvokeFunction", "resource": config["FunctionArn"], "context": {}}
            if sentence := refusal(session, request):
                raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", sentence)
        return call(function, event)

    stepfunctions._run_execution, stepfunctions._call_lambda = run_as, call_as


def check_permissions():
    """Functions and state machines may do what their roles allow, and nothing else."""
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = credentials
    check_machines()
    check_requests()
