"""GraphQL over WebSocket: many operations over one socket, for one viewer, as long as their token lives.

Source: graphql-ws PROTOCOL.md. Strawberry's handler is not used: an array or a number for a message takes its socket
down unclosed, it closes the whole socket for one syntax error, and it has one context for all operations of a socket.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any, Final

import anyio
import anyio.lowlevel
import orjson
import strawberry
from anyio.abc import TaskGroup
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.types.execution import PreExecutionError

from graphql_api.errors import RateLimited, Unauthenticated, Unavailable
from graphql_api.limits import address_key
from graphql_api.schema import Context
from graphql_api.web.answers import error_answer
from graphql_api.web.client_address import parse_address
from graphql_api.web.documents import Documents
from graphql_api.web.persisted_queries import DocumentFault
from graphql_api.web.places import Crowded, Places
from graphql_api.web.results import BUG, TIMEOUT, error_entries, plain_error, rate_limited, result_entry
from graphql_api.web.socket_frames import BadFrame, Complete, Frame, Init, Ping, Pong, Subscribe, read_frame
from graphql_api.web.viewers import Viewers, authorization_header, viewer_key

PROTOCOL: Final = "graphql-transport-ws"
FAREWELL: Final = 5.0  # seconds to close towards somebody who may not be reading

log = logging.getLogger(__name__)


class Close(IntEnum):
    """Codes with which a socket ends. graphql-ws comes back after FORBIDDEN, with a fresh token, and after LATER."""

    IDLE = 1000
    TOO_OLD = 1001
    BROKEN = 1011
    LATER = 1013
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    NO_PROTOCOL = 4406
    INIT_TIMEOUT = 4408
    ID_TAKEN = 4409
    INIT_TWICE = 4429


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """``operations``: under way on one socket. ``idle``: without any. ``frame_size``: bytes of one message."""

    frame_size: int
    operations: int = 50
    init: timedelta = timedelta(seconds=10)
    idle: timedelta = timedelta(minutes=5)
    lifetime: timedelta = timedelta(hours=24)


class GraphQLSocket:
    """The ASGI application behind ``/graphql`` for WebSockets.

    ``origins``: of pages elsewhere that may open one. A page has to hold a token all the same: no cookie is read.
    ``time_limit``: for one operation that is answered once.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        viewers: Viewers,
        *,
        origins: Sequence[str],
        sockets: Places,
        operations: Places,
        documents: Documents,
        limits: SocketLimits,
        time_limit: timedelta,
    ) -> None:
        self.schema = schema
        self.viewers = viewers
        self.sockets = sockets
        self.operations = operations
        self.documents = documents
        self.limits = limits
        self.time_limit = time_limit
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if not self._may_open(websocket):
            await websocket.send_denial_response(error_answer(403, "FORBIDDEN", "Pages of this origin may not."))
            return
        if PROTOCOL not in scope["subprotocols"]:
            await websocket.accept()  # a browser shows the code of an open socket only
            await websocket.close(Close.NO_PROTOCOL, f"The subprotocol is {PROTOCOL}.")
            return
        await websocket.accept(PROTOCOL)
        await Conversation(self, websocket).run()

    def _may_open(self, websocket: WebSocket) -> bool:
        """Programs name no origin; a page of this very host needs no permission, as for any request."""
        origin = websocket.headers.get("origin")
        if origin is None or origin in self._origins:
            return True
        return origin.partition("://")[2] == websocket.headers.get("host")


class Conversation:
    """One socket, from its opening to its end. Frames are taken one after the other, operations run beside."""

    def __init__(self, face: GraphQLSocket, websocket: WebSocket) -> None:
        self._face = face
        self._websocket = websocket
        self._tasks: TaskGroup
        self._place = ExitStack()
        self._has_begun = False
        self._authorization: str | None = None
        self._context: Context | None = None  # once the viewer is known
        self._viewer = ""
        self._running: dict[str, anyio.CancelScope] = {}
        self._quiet_since = anyio.current_time()
        self._end_with: tuple[Close, str] | None = None
        self._has_left = False

    async def run(self) -> None:
        with self._place:
            try:
                self._place.enter_context(self._face.sockets.taken(self._opening))
                async with anyio.create_task_group() as self._tasks:
                    self._tasks.start_soon(self._watch_clock)
                    await self._listen()
                    self._tasks.cancel_scope.cancel()
            except Crowded:
                self._end_with = (Close.LATER, "Too many sockets are open.")
            except Exception:  # the socket must be closed whatever happened, and the log must show it
                log.exception("socket_failed")
                self._end_with = (Close.BROKEN, "Internal error")
        if self._end_with is not None and not self._has_left:
            with anyio.move_on_after(FAREWELL):
                await self._websocket.close(*self._end_with)

    @property
    def _opening(self) -> str:
        """Whose place it has as long as nobody has said who they are."""
        return f"opening {address_key(parse_address(self._websocket.state.client_address or ''))}"

    def _end(self, code: Close, reason: str) -> None:
        """Stop everything and close."""
        if self._end_with is None:
            self._end_with = (code, reason)
        self._tasks.cancel_scope.cancel()

    async def _listen(self) -> None:
        while self._end_with is None:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._has_left = True
                break
            text = message.get("text")
            if text is None or len(text.encode()) > self._face.limits.frame_size:
                self._end(Close.BAD_FRAME, f"Send text of at most {self._face.limits.frame_size} bytes.")
                break
            try:
                await self._take(read_frame(text))
            except BadFrame as fault:
                self._end(Close.BAD_FRAME, str(fault))

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Init(payload):
                await self._begin(payload)
            case Ping(payload):
                await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case Pong():
                pass
            case Subscribe():
                await self._start(frame)
            case Complete(id_):
                if (scope := self._running.pop(id_, None)) is not None:
                    scope.cancel()

    async def _begin(self, payload: Mapping[str, Any]) -> None:
        if self._has_begun:
            return self._end(Close.INIT_TWICE, "There was a connection_init before.")
        self._has_begun = True
        try:
            self._authorization = _authorization(payload, authorization_header(self._websocket))
            await self._admit(await self._face.viewers.context(self._websocket, self._authorization))
        except Unauthenticated as refused:
            self._end(Close.FORBIDDEN, refused.message)
        except Unavailable as refused:
            self._end(Close.LATER, refused.message)
        except RateLimited as refused:
            self._end(Close.LATER, refused.message)
        except Crowded:
            self._end(Close.LATER, "Too many sockets are open.")

    async def _admit(self, context: Context) -> None:
        """Raises: Crowded."""
        self._viewer = viewer_key(context)
        self._place.close()
        self._place.enter_context(self._face.sockets.taken(self._viewer))
        self._context = context
        self._tasks.start_soon(self._watch_token)
        await self._send({"type": "connection_ack"})

    async def _start(self, frame: Subscribe) -> None:
        if self._context is None:
            self._end(Close.UNAUTHORIZED, "Begin with connection_init.")
        elif frame.id in self._running:
            self._end(Close.ID_TAKEN, "This id is in use.")
        elif len(self._running) >= self._face.limits.operations:
            await self._send(await self._crowded(frame.id, self._face.viewers.next_operation(self._context)))
        else:
            scope = self._running[frame.id] = anyio.CancelScope()
            context = self._face.viewers.next_operation(self._context)
            self._tasks.start_soon(self._run_operation, frame, context, scope)

    async def _run_operation(self, frame: Subscribe, context: Context, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                with (
                    self._face.operations.taken(self._viewer),
                    anyio.fail_after(self._face.time_limit.total_seconds()) as context.deadline,
                ):
                    last = await self._tell(frame, context)
            except Crowded:
                last = await self._crowded(frame.id, context)
            except TimeoutError:
                last = self._failed(frame.id, *TIMEOUT)
            except RateLimited as refused:
                last = _limited(frame.id, refused, context)
            except DocumentFault as error:
                last = self._failed(frame.id, error.code, str(error))
            except Exception:  # one operation's bug is not the others' end
                log.exception("operation_failed")
                last = self._failed(frame.id, *BUG)
            self._forget(frame.id, scope)  # before the client may use the id again
            await self._send(last)
        self._forget(frame.id, scope)

    async def _tell(self, frame: Subscribe, context: Context) -> dict[str, Any]:
        """Sends each result; the message that ends the operation."""
        try:
            document = self._face.documents.wanted(frame.data.query, frame.document_id, frame.data.extensions)
        except DocumentFault:
            await context.meter.settle()
            raise
        results: AsyncGenerator[Any, None] = await self._face.schema.stream(
            document,
            variable_values=frame.data.variables,
            context_value=context,
            operation_name=frame.data.operation_name,
            operation_extensions=frame.data.extensions,
        )
        async with aclosing(results):
            async for result in results:
                if isinstance(result, PreExecutionError):
                    await context.meter.settle()
                    return {"type": "error", "id": frame.id, "payload": error_entries(result, context.request_id)}
                self._face.documents.remember(document, frame.data.extensions)
                await self._send({"type": "next", "id": frame.id, "payload": result_entry(result, context.request_id)})
                await anyio.lowlevel.checkpoint()  # sending need not wait, and others have their turn
        return {"type": "complete", "id": frame.id}

    def _forget(self, id_: str, scope: anyio.CancelScope) -> None:
        if self._running.get(id_) is scope:
            del self._running[id_]
        self._quiet_since = anyio.current_time()

    async def _crowded(self, id_: str, context: Context) -> dict[str, Any]:
        """An operation that has no place; it is charged all the same."""
        try:
            await context.meter.settle()
        except RateLimited as refused:
            return _limited(id_, refused, context)
        return self._failed(id_, "TOO_MANY_OPERATIONS", "Too many operations are under way: end some first.")

    def _failed(self, id_: str, code: str, message: str) -> dict[str, Any]:
        error = plain_error(code, message, self._websocket.state.request_id)
        return {"type": "error", "id": id_, "payload": [error]}

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            await self._websocket.send_text(orjson.dumps(message).decode())
        except WebSocketDisconnect:
            self._has_left = True
            self._tasks.cancel_scope.cancel()

    async def _watch_token(self) -> None:
        await self._face.viewers.until_refused(self._authorization)
        self._end(Close.FORBIDDEN, "The bearer token has ended.")

    async def _watch_clock(self) -> None:
        limits = self._face.limits
        born = anyio.current_time()
        await anyio.sleep(limits.init.total_seconds())
        if not self._has_begun:
            return self._end(Close.INIT_TIMEOUT, "Connection initialisation timeout")
        while anyio.current_time() - born < limits.lifetime.total_seconds():
            await anyio.sleep(min(limits.idle, limits.lifetime).total_seconds() / 4)
            is_quiet = anyio.current_time() - self._quiet_since >= limits.idle.total_seconds()
            if is_quiet and not self._running:
                return self._end(Close.IDLE, "Nothing is under way.")
        return self._end(Close.TOO_OLD, "Connect again.")


def _limited(id_: str, refused: RateLimited, context: Context) -> dict[str, Any]:
    return {"type": "error", "id": id_, "payload": [rate_limited(refused, context.request_id)]}


def _authorization(payload: Mapping[str, Any], header: str | None) -> str | None:
    """What the first message says, for browsers cannot set headers; else the handshake's. Raises: Unauthenticated."""
    given = [payload[name] for name in ("authorization", "Authorization") if payload.get(name) is not None]
    if not given:
        return header
    if len(given) > 1 or not isinstance(given[0], str):
        raise Unauthenticated("The authorization must be given once, as text.")
    return given[0]
