"""The local edge's access log: CloudFront's legacy standard log, in a folder instead of a bucket.

``LoggedEdge`` stands around the edge and sees what goes in and out. As CloudFront does, it writes the query of each
request, which is all of a signed link: the files are for the operator of this machine only.

Source: Amazon CloudFront Developer Guide, "Configure standard logging (legacy)" and "Standard logging reference".
"""

import asyncio
import gzip
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from string import ascii_uppercase, digits
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

DISTRIBUTION_ID: Final = "ELOCALEDGE0000"
EDGE_LOCATION: Final = "LOCAL1"
MAX_WAIT: Final = 5.0  # seconds until a request is in a file; CloudFront takes an hour, and up to a day
MAX_RECORDS: Final = 10_000  # of one file

FIELDS: Final = (
    *("date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status"),
    *("cs(Referer)", "cs(User-Agent)", "cs-uri-query", "cs(Cookie)", "x-edge-result-type", "x-edge-request-id"),
    *("x-host-header", "cs-protocol", "cs-bytes", "time-taken", "x-forwarded-for", "ssl-protocol", "ssl-cipher"),
    *("x-edge-response-result-type", "cs-protocol-version", "fle-status", "fle-encrypted-fields", "c-port"),
    *("time-to-first-byte", "x-edge-detailed-result-type", "sc-content-type", "sc-content-len", "sc-range-start"),
    "sc-range-end",
)
HEAD: Final = f"#Version: 1.0\n#Fields: {' '.join(FIELDS)}\n"

_ENCODED: Final = frozenset(b"<>\"#%{}|\\^~[]`'")
_TEXT_OF: Final = [chr(byte) if 32 < byte < 127 and byte not in _ENCODED else f"%{byte:02X}" for byte in range(256)]


class AccessLog:
    """Log files in ``folder``, made when there is something to write. A file is there as a whole or not at all.

    To be used from one event loop; ``close`` after it has ended.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        max_wait: float = MAX_WAIT,
        max_records: int = MAX_RECORDS,
    ) -> None:
        """``clock`` gives aware UTC."""
        self.clock = clock
        self._max_wait = max_wait
        self._max_records = max_records
        self._folder = folder
        self._hour = ""
        self._records: list[str] = []
        self._delivery: asyncio.TimerHandle | None = None

    def write(self, values: Sequence[str], now: datetime) -> None:
        """Keep a request that ended at ``now``; ``values`` are those of ``FIELDS`` after date and time, encoded."""
        hour = f"{now:%Y-%m-%d-%H}"
        if hour != self._hour:
            self.flush()
            self._hour = hour
        self._records.append("\t".join((f"{now:%Y-%m-%d}", f"{now:%H:%M:%S}", *values)))
        if len(self._records) >= self._max_records:
            self.flush()
        elif self._delivery is None:
            self._delivery = asyncio.get_running_loop().call_later(self._max_wait, self.flush)

    def flush(self) -> None:
        """Write what is kept into a file of its own. What cannot be written is lost, and said."""
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        if not self._records:
            return
        unique = "".join(secrets.choice(ascii_uppercase + digits) for _ in range(11))
        name = f"{DISTRIBUTION_ID}.{self._hour}.{unique}.gz"
        content = gzip.compress((HEAD + "".join(f"{record}\n" for record in self._records)).encode())
        self._records = []
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            new = self._folder / f".{name}.new"
            new.write_bytes(content)
            new.rename(self._folder / name)
        except OSError as error:
            log.warning("edge_log_lost error=%s", error.strerror)

    def close(self) -> None:
        """Write what is left. Idempotent."""
        self._delivery = None  # its loop has ended
        self.flush()


class LoggedEdge:
    """``edge``, with every request in ``access_log``."""

    def __init__(self, edge: ASGIApp, access_log: AccessLog) -> None:
        self._edge = edge
        self._log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the edge does."""
        if scope["type"] != "http":
            await self._edge(scope, receive, send)
            return
        answer = _Answer(self._log.clock)

        async def send_and_see(message: Message) -> None:
            answer.see(message)
            await send(message)

        try:
            await self._edge(scope, receive, send_and_see)
        finally:
            # An address that is too long cannot be logged, says the reference.
            if answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                now = self._log.clock()
                self._log.write(_values(scope, answer, now), now)


class _Answer:
    """What has been seen of it. ``status`` 0: nothing."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.began_at = clock()
        self.first_byte_at: datetime | None = None
        self.status = 0
        self.headers = Headers()
        self.size = 0  # bytes
        self.is_whole = False

    def see(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.first_byte_at = self._clock()
            self.status = message["status"]
            self.headers = Headers(raw=message["headers"])
            self.size += len(f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n\r\n")
            self.size += _size_of(self.headers)
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)

    @property
    def result_type(self) -> str:
        """Of what was sent, as far as it went: ``x-cache`` says it in the words of a page."""
        if not self.is_whole:
            return "Error"
        return {"Hit": "Hit", "RefreshHit": "RefreshHit", "Miss": "Miss"}.get(self.response_result_type, "Error")

    @property
    def response_result_type(self) -> str:
        """As it was about to be sent."""
        return self.headers.get("x-cache", "Error").partition(" ")[0]


def _values(scope: Scope, answer: _Answer, now: datetime) -> list[str]:
    request = Headers(scope=scope)
    client = scope.get("client") or ("-", 0)
    path, query = scope["raw_path"], scope["query_string"]
    request_line = f"{scope['method']}  HTTP/1.1\r\n\r\n"
    sent = len(request_line) + len(path) + (len(query) + 1 if query else 0) + _size_of(request)
    first_byte = answer.first_byte_at or now
    _, _, content_range = answer.headers.get("content-range", "").partition("bytes ")
    range_start, _, range_end = content_range.partition("/")[0].partition("-")
    values = (
        EDGE_LOCATION,
        str(answer.size),
        client[0],
        scope["method"],
        request.get("host"),
        path.decode("latin-1"),
        f"{answer.status:03}",
        request.get("referer"),
        request.get("user-agent"),
        query.decode("latin-1"),
        None,  # cookies are not logged unless one asks for it
        answer.result_type,
        answer.headers.get("x-amz-cf-id"),
        request.get("host"),
        scope["scheme"],
        str(sent),
        f"{(now - answer.began_at).total_seconds():.3f}",
        request.get("x-forwarded-for"),
        None,
        None,
        answer.response_result_type,
        f"HTTP/{scope['http_version']}",
        None,
        None,
        str(client[1]),
        f"{(first_byte - answer.began_at).total_seconds():.3f}",
        answer.result_type if answer.is_whole else "ClientCommError",
        answer.headers.get("content-type"),
        answer.headers.get("content-length"),
        range_start,
        range_end,
    )
    return [_encoded(value) for value in values]


def _encoded(value: str | None) -> str:
    """A hyphen for nothing. Otherwise what would break the line is encoded, and the percent signs that were there."""
    return "".join(_TEXT_OF[byte] for byte in value.encode("latin-1")) if value else "-"


def _size_of(headers: Headers) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers.raw)
