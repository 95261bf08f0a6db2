"""The gateway: settings that tests change while it runs."""

import json

import ministack.app as gateway

from . import settings

PATH = "/_local/config"


def answer_settings():
    """No page of AWS: GET tells what is set, POST changes what is set for a prefix of names (settings.py)."""
    inner = gateway.app

    def answer(method, body):
        if method == "GET":
            return 200, settings.everything()
        try:
            return 200, settings.change(json.loads(body))
        except (ValueError, AttributeError) as error:
            return 400, {"message": str(error)}

    async def app(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            return await inner(scope, receive, send)
        status, told = answer(scope["method"], await read(receive))
        await reply(send, status, [(b"content-type", b"application/json")], json.dumps(told).encode())

    gateway.app = app


async def read(receive):
    """The whole body of a request."""
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    return body


async def reply(send, status, headers, body):
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers + [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
