"""Faults, and a proxy on loopback that sees every request and does to some what networks and stores do on bad days.
`docs/faults.md` lists them all, with the tests of each.

As a *forward* proxy (``http_proxy``) nothing else has to change: the addresses, and so their signatures, stay as they
are. In front of one ``upstream`` it is a *reverse* proxy, for programs that are told an address; the Host header is
left as it is, so what was signed for the proxy's address still verifies.

It handles one request per connection and speaks HTTP/1.1 to both sides.
"""

import itertools
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

MAX_HEAD = 64 * 1024  # bytes
PIECE = 64 * 1024  # bytes handed on at a time
PATIENCE = 60.0  # seconds until a request that nobody lets go on is given up


@dataclass
class Request:
    """One that came; ``status`` is what was answered, by whomever, and None if nothing was."""

    method: str
    host: str
    path: str
    query: str
    length: int  # bytes that the body is said to have
    has_token: bool  # an Authorization header
    status: int | None = None
    is_faulty: bool = False  # a fault was done to it


@dataclass(frozen=True)
class Answer:
    """The request does not go on; this is the answer, once its body was read or, if ``at_once``, before."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    at_once: bool = False


@dataclass(frozen=True)
class Reset:
    """The connection is reset after so many bytes of the request's body have gone on, and nothing comes back."""

    after: int = 0


@dataclass(frozen=True)
class LoseAnswer:
    """The request arrives and is done; the connection is reset after so many bytes of the answer's body."""

    after: int = 0


@dataclass(frozen=True)
class Hold:
    """The request stops after so many bytes of its body, until the test lets it go on; ``reached`` says it is there."""

    after: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    is_lost: threading.Event = field(default_factory=threading.Event)

    def lose(self) -> None:
        """It goes on no more, as when its sender has died before it was sent."""
        self.is_lost.set()
        self.go_on.set()


@dataclass(frozen=True)
class HoldAnswer:
    """The request arrives and is done; its answer stops until the test lets it go on. ``reached`` says it is there."""

    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


Fault = Answer | Reset | LoseAnswer | Hold | HoldAnswer
Which = Callable[[Request], bool]


def is_put(request: Request) -> bool:
    return request.method == "PUT"


def is_get(request: Request) -> bool:
    return request.method == "GET"


@dataclass
class _Plan:
    fault: Fault
    left: int
    which: Which


class FaultyProxy:
    """``address`` is where it answers; ``requests`` is what came, in order of arrival."""

    def __init__(self, upstream: str | None = None) -> None:
        """``upstream``: ``http://host:port`` to be in front of; None for a forward proxy."""
        self._upstream = upstream
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[Request] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def plan(self, fault: Fault, *, times: int = 1, which: Which = is_put) -> None:
        """Do this to the next requests of this kind; several plans follow one another."""
        with self._lock:
            self._plans.append(_Plan(fault, times, which))

    def forget(self) -> None:
        """Do nothing to anything any more."""
        with self._lock:
            self._plans.clear()

    def seen(self, which: Which = is_put) -> list[Request]:
        """Requests of this kind that came so far."""
        with self._lock:
            return [request for request in self.requests if which(request)]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for plan in self._plans:
                if isinstance(plan.fault, Hold | HoldAnswer):
                    plan.fault.go_on.set()
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        with client, suppress(OSError):  # either side may leave at any time
            client.settimeout(PATIENCE)
            head, rest = _read_head(client)
            if head:
                self._handle(client, head, rest)
        with self._lock:
            self._open.discard(client)

    def _handle(self, client: socket.socket, head: bytes, rest: bytes) -> None:
        line, _, headers = head.partition(b"\r\n")
        method, target, _version = line.decode("latin-1").split(" ")
        url = urlsplit(target if target.startswith("http://") else f"{self._upstream}{target}")
        length = re.search(rb"(?im)^content-length: *(\d+)", headers)
        has_token = re.search(rb"(?im)^authorization:", headers) is not None
        request = Request(method, url.netloc, url.path, url.query, int(length[1]) if length else 0, has_token)
        fault = self._fault_for(request)
        if isinstance(fault, Answer):
            self._answer(client, request, fault, len(rest))
            return
        origin_form = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        kept = re.sub(rb"(?im)^(connection|proxy-[a-z-]+):[^\r\n]*\r\n", b"", headers)
        forwarded = f"{method} {origin_form} HTTP/1.1\r\nConnection: close\r\n".encode("latin-1") + kept
        with socket.create_connection((url.hostname or "", url.port or 80), timeout=PATIENCE) as server:
            with self._lock:
                self._open.add(server)
            server.sendall(forwarded)
            answering = threading.Thread(target=self._relay_answer, args=(server, client, request, fault), daemon=True)
            if not isinstance(fault, Reset):  # nor does the answer come of a request that has no body
                answering.start()
            with suppress(OSError):  # a server that answers early stops reading
                _relay_body(client, server, rest, request.length, fault)
            if isinstance(fault, Reset):
                _reset(client)
                _reset(server)
            else:
                answering.join(PATIENCE)
            with self._lock:
                self._open.discard(server)

    def _fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for plan in self._plans:
                if plan.left and plan.which(request):
                    plan.left -= 1
                    request.is_faulty = True
                    return plan.fault
        return None

    def _answer(self, client: socket.socket, request: Request, answer: Answer, had: int) -> None:
        while not answer.at_once and had < request.length:
            piece = client.recv(PIECE)
            if not piece:
                return
            had += len(piece)
        request.status = answer.status
        fields = [*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close")]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        client.sendall(f"HTTP/1.1 {answer.status} Planned\r\n{lines}\r\n".encode() + answer.body)

    def _relay_answer(
        self, server: socket.socket, client: socket.socket, request: Request, fault: Fault | None
    ) -> None:
        with suppress(OSError):
            head, rest = _read_head(server)
            if not head:
                return
            if isinstance(fault, LoseAnswer) and not fault.after:
                _reset(client)
                return
            if isinstance(fault, HoldAnswer):
                fault.reached.set()
                fault.go_on.wait(PATIENCE)
            request.status = int(head.split(b" ", 2)[1])
            client.sendall(head + rest)
            had = len(rest)
            while piece := server.recv(PIECE):
                client.sendall(piece)
                had += len(piece)
                if isinstance(fault, LoseAnswer) and had >= fault.after:
                    _reset(client)
                    return
            client.shutdown(socket.SHUT_RDWR)


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Everything up to the empty line, and what came after it; nothing if the other side left before."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(PIECE)
        if not piece or len(read) > MAX_HEAD:
            return b"", b""
        read += piece
    head, _, rest = read.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _relay_body(client: socket.socket, server: socket.socket, rest: bytes, length: int, fault: Fault | None) -> None:
    """Until all of it has gone on, or as much as the fault lets."""
    limit = fault.after if isinstance(fault, Reset | Hold) else None
    gone = 0
    for piece in itertools.chain([rest], iter(lambda: client.recv(PIECE), b"")):
        if limit is not None and gone + len(piece) >= limit:
            server.sendall(piece[: limit - gone])
            if isinstance(fault, Reset):
                return
            if isinstance(fault, Hold):
                fault.reached.set()
                fault.go_on.wait(PATIENCE)
                if fault.is_lost.is_set():
                    _reset(server)
                    return
            piece, gone, limit = piece[limit - gone :], limit, None
        server.sendall(piece)
        gone += len(piece)
        if gone >= length:
            return


def _reset(connection: socket.socket) -> None:
    """Close it so that the other side gets RST, whoever else reads from it meanwhile."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    connection.close()
