"""What is true of every request and answer. Plain ASGI: Starlette's BaseHTTPMiddleware costs 0.4 ms a request."""

import logging
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.web.answers import error_answer
from graphql_api.web.client_address import IpNetwork, client_address
from graphql_api.web.logs import request_id

REQUEST_ID_HEADER: Final = "x-request-id"
ACCEPTABLE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = logging.getLogger(__name__)


class RequestEnvelope:
    """Gives each request an id and a client address (``scope["state"]``), each answer safe headers and a log line."""

    def __init__(self, app: ASGIApp, *, trusted_proxies: Sequence[IpNetwork]) -> None:
        self._app = app
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        offered = headers.get(REQUEST_ID_HEADER, "")
        this_id = offered if ACCEPTABLE_REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)
        peer = scope["client"][0] if scope.get("client") else None
        address = client_address(peer, headers.getlist("x-forwarded-for"), self._trusted_proxies)
        scope.setdefault("state", {}).update(request_id=this_id, client_address=address)
        status = 0  # or the code with which we close a socket; stays 0 when the client leaves first

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.close":
                status = message.get("code", 1000)
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer[REQUEST_ID_HEADER] = this_id
                answer["x-content-type-options"] = "nosniff"
                # Answers hold links that open files: a shared cache would hand them to others.
                answer.setdefault("cache-control", "private, no-store")
            await send(message)

        token = request_id.set(this_id)
        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_enveloped)
        finally:
            log.info(
                "request method=%s path=%s status=%d ms=%.1f client=%s",
                quote(scope.get("method", "WEBSOCKET")),
                quote(
                    scope["path"], errors="replace"
                ),  # never the query string: it may hold a document with its literals
                status,
                (time.perf_counter() - started) * 1000,
                address or "-",
            )
            request_id.reset(token)


class LastResort:
    """A bug is answered with JSON and the request id, and nothing of what went wrong; the log has the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watch(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if scope["type"] != "http" or has_started:
                raise  # too late to answer: the server cuts the connection
            log.exception("request_failed")
            await error_answer(500, "INTERNAL_SERVER_ERROR", "Internal error")(scope, receive, send)
