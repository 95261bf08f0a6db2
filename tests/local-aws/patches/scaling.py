"""Application Auto Scaling, which MiniStack lacks: moto answers for it."""

import asyncio
import http.client
import re

import ministack.app as gateway
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.server import ThreadedMotoServer

FORWARDED = {"application-autoscaling"}
FORWARD_TIMEOUT_S = 60
SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")


def forward_what_is_missing():
    """Requests signed for a service that MiniStack lacks go to moto, which runs beside it."""
    # moto looks for the ECS service in its own ECS, where nothing is.
    ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda self, resource_id: True
    moto = ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    inner = gateway.app

    def ask(method, path, headers, body):
        connection = http.client.HTTPConnection(host, port, timeout=FORWARD_TIMEOUT_S)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            hop = ("transfer-encoding", "connection", "content-length")
            kept = [(name.lower().encode(), value.encode()) for name, value in answer.getheaders() if name.lower() not in hop]
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    async def app(scope, receive, send):
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
        signed = SIGNED_FOR.search(headers.get("authorization", ""))
        if scope["type"] != "http" or not signed or signed.group(1) not in FORWARDED:
            return await inner(scope, receive, send)
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope.get("query_string") else "")
        headers.pop("content-length", None)
        status, kept, answer = await asyncio.to_thread(ask, scope["method"], path, headers, body)
        await send({"type": "http.response.start", "status": status, "headers": kept + [(b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})

    gateway.app = app
