"""The results of one operation as server-sent events.

Sources: graphql-sse PROTOCOL.md, "Distinct connections mode"; HTML standard, section "Server-sent events". Lines end
with LF alone: urql looks for nothing else.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import anyio
import anyio.lowlevel
import orjson
import strawberry
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLRequestData
from strawberry.types.execution import PreExecutionError

from graphql_api.errors import RateLimited
from graphql_api.schema import Context
from graphql_api.web.answers import error_answer, rate_limit_answer
from graphql_api.web.documents import Documents
from graphql_api.web.places import Crowded, Places
from graphql_api.web.results import BUG, TIMEOUT, plain_error, result_entry
from graphql_api.web.viewers import Viewers, viewer_key

HEARTBEAT: Final = timedelta(seconds=15)  # proxies cut what is silent for a minute, some for half of one
FAREWELL: Final = 5.0  # seconds for the last words to somebody who may not be reading
RETRY_AFTER: Final = 30  # seconds

log = logging.getLogger(__name__)

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"private, no-store, no-transform"),  # a proxy that compresses would hold events back
    (b"x-accel-buffering", b"no"),  # so would nginx
)


@dataclass(frozen=True)
class EventStream:
    """An answer. It ends with the operation, with the viewer's token, or when the server stops.

    ``authorization``: what the viewer came with, which has been accepted. ``time_limit``: for what is answered once.
    """

    schema: strawberry.Schema
    data: GraphQLRequestData
    context: Context
    viewers: Viewers
    authorization: str | None
    places: Places
    documents: Documents
    time_limit: timedelta
    lifetime: timedelta = timedelta(hours=24)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self.places.taken(viewer_key(self.context)):
                await self._answer(Request(scope), receive, send)
        except Crowded:
            await self._refuse_crowded(scope, receive, send)
        except RateLimited as refusal:
            await rate_limit_answer(refusal)(scope, receive, send)

    async def _refuse_crowded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """It is charged all the same."""
        try:
            await self.context.meter.settle()
        except RateLimited as refusal:
            await rate_limit_answer(refusal)(scope, receive, send)
        else:
            message = "Too many operations are under way: end some, or come back later."
            headers = {"retry-after": str(RETRY_AFTER)}
            await error_answer(429, "TOO_MANY_OPERATIONS", message, headers)(scope, receive, send)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        closing: anyio.Event | None = getattr(request.state, "closing", None)
        has_begun = has_left = is_refused = False
        beginning = anyio.Lock()
        limited: RateLimited | None = None

        async def begin() -> None:
            nonlocal has_begun
            async with beginning:
                if not has_begun:
                    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                has_begun = True

        async def tell(text: str) -> None:
            await begin()
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        async def until_left() -> None:
            nonlocal has_left
            while (await receive())["type"] != "http.disconnect":
                pass
            has_left = True

        async def until_refused() -> None:
            nonlocal is_refused
            await self.viewers.until_refused(self.authorization)
            is_refused = True

        async def until_too_old() -> None:
            await anyio.sleep(self.lifetime.total_seconds())

        async def run() -> None:
            nonlocal limited
            try:
                await self._tell(tell)
            except RateLimited as refusal:  # nothing has been told
                limited = refusal

        async with anyio.create_task_group() as tasks:

            async def until(end: Callable[[], Awaitable[object]]) -> None:
                await end()
                tasks.cancel_scope.cancel()

            for end in (until_left, until_refused, until_too_old, *([closing.wait] if closing else [])):
                tasks.start_soon(until, end)
            tasks.start_soon(self._beat, tell)
            await until(run)
        if has_left:
            return
        if limited is not None:
            raise limited
        with anyio.move_on_after(FAREWELL):
            await begin()
            if is_refused:
                error = plain_error("UNAUTHENTICATED", "The bearer token has ended.", self.context.request_id)
                await tell(_event("next", {"errors": [error]}) + COMPLETE)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, tell: Callable[[str], Awaitable[None]]) -> None:
        try:
            with anyio.fail_after(self.time_limit.total_seconds()) as self.context.deadline:
                await self._tell_results(tell)
        except RateLimited:
            raise
        except TimeoutError:
            await tell(_event("next", {"errors": [plain_error(*TIMEOUT, self.context.request_id)]}))
        except Exception:  # whoever listens is told, as over a WebSocket
            log.exception("operation_failed")
            await tell(_event("next", {"errors": [plain_error(*BUG, self.context.request_id)]}))
        await tell(COMPLETE)

    async def _tell_results(self, tell: Callable[[str], Awaitable[None]]) -> None:
        results: AsyncGenerator[Any, None] = await self.schema.stream(
            self.data.query,
            variable_values=self.data.variables,
            context_value=self.context,
            operation_name=self.data.operation_name,
            operation_extensions=self.data.extensions,
        )
        async with aclosing(results):
            async for result in results:
                if isinstance(result, PreExecutionError):
                    await self.context.meter.settle()
                else:
                    self.documents.remember(self.data.query or "", self.data.extensions)
                await tell(_event("next", result_entry(result, self.context.request_id)))
                await anyio.lowlevel.checkpoint()  # to somebody who has left, sending never waits: let that be noticed

    async def _beat(self, tell: Callable[[str], Awaitable[None]]) -> None:
        await self.context.meter.admitted.wait()  # what is not has another status
        while True:
            await tell(":\n\n")
            await anyio.sleep(HEARTBEAT.total_seconds())


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n"


COMPLETE: Final = "event: complete\ndata:\n\n"
