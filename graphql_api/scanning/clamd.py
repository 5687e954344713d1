"""ClamAV's daemon, over TCP or a Unix socket.

Source: clamd(8), "INSTREAM": after the command come chunks, each behind its length as 4 bytes in network byte order,
then one of length 0. The answer is a text that ends with a zero byte, because the command begins with ``z``.
"""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from graphql_api.errors import Unavailable
from graphql_api.model.scan import ScanResult, ScanVerdict

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 5.0  # seconds; also for the answer to a ping
TIMEOUT: Final = 150.0  # seconds; clamd gives up a scan by itself after 120 (MaxScanTime in clamd.conf(5))
CHUNK: Final = 64 * 1024  # bytes
MAX_ANSWER: Final = 4 * 1024  # bytes
MAX_QUOTED: Final = 200  # characters of clamd's own words that we repeat

_CLEAN: Final = b"stream: OK"
_FOUND: Final = re.compile(rb"stream: (.+) FOUND", re.DOTALL)
_OVER_LIMIT: Final = b"INSTREAM size limit exceeded. ERROR"  # StreamMaxLength
_PARTLY_SCANNED: Final = "Heuristics.Limits.Exceeded"  # MaxFileSize and the like, where AlertExceedsMax is set
_UNPRINTABLE: Final = re.compile(r"[^!-~]")


class ClamdScanner:
    """A ``Scanner``. ``address``: ``tcp://host:port`` or ``unix:///path``. Every scan has a connection of its own.

    ``timeout``: seconds that clamd may take over one step; the verdict is the longest.

    Sockets are used without asyncio's streams: those drop what clamd said before it hung up, which is how it says that
    the content is over its limit. A hang-up without a word is no verdict.
    """

    def __init__(self, address: str, *, timeout: float = TIMEOUT) -> None:
        self._url = urlsplit(address)
        self._timeout = timeout

    async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
        """See ``Scanner``. UNSCANNABLE: larger than clamd's limits."""
        with closing(await self._connect()) as connection:
            is_whole = await self._stream(connection, content)
            return _verdict(await _answer(connection, self._timeout), is_whole=is_whole)

    async def check(self) -> None:
        """See ``Scanner``."""
        with closing(await self._connect()) as connection:
            await self._send(connection, b"zPING\0")
            answer = await _answer(connection, min(CONNECT_TIMEOUT, self._timeout))
        if answer != b"PONG":
            raise _no_verdict(answer)

    async def _connect(self) -> socket.socket:
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT, self._timeout)):
                if self._url.scheme == "unix":
                    return await _connected(socket.AF_UNIX, unquote(self._url.path))
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(self._url.hostname, self._url.port, type=socket.SOCK_STREAM)
                for family, _, _, _, address in found[:-1]:
                    try:
                        return await _connected(family, address)
                    except OSError:
                        continue  # a name may have an IPv6 address where nobody listens
                return await _connected(found[-1][0], found[-1][4])
        except OSError as error:  # TimeoutError is one
            raise _unavailable(type(error).__name__) from error

    async def _stream(self, connection: socket.socket, content: AsyncIterator[bytes]) -> bool:
        """Whether clamd took everything. If not, it has hung up, and what it said before is still to be read."""
        if not await self._send(connection, b"zINSTREAM\0"):
            return False
        async for chunk in content:
            for start in range(0, len(chunk), CHUNK):
                piece = chunk[start : start + CHUNK]
                if not await self._send(connection, len(piece).to_bytes(4, "big") + piece):
                    return False
        return await self._send(connection, bytes(4))

    async def _send(self, connection: socket.socket, data: bytes) -> bool:
        """Whether clamd still listens."""
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.get_running_loop().sock_sendall(connection, data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        except OSError as error:
            raise _unavailable(type(error).__name__) from error
        return True


async def _connected(family: int, address: tuple[Any, ...] | str) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _answer(connection: socket.socket, timeout: float) -> bytes:  # noqa: ASYNC109 - every wait of this module ends
    """Without the zero byte at its end."""
    answer = b""
    try:
        async with asyncio.timeout(timeout):
            while b"\0" not in answer:
                more = await asyncio.get_running_loop().sock_recv(connection, MAX_ANSWER)
                answer += more
                if not more or len(answer) > MAX_ANSWER:
                    raise _no_verdict(answer)
    except OSError as error:
        raise _unavailable(type(error).__name__) from error
    return answer.partition(b"\0")[0]


def _verdict(answer: bytes, *, is_whole: bool) -> ScanVerdict:
    if answer == _OVER_LIMIT:
        return ScanVerdict(ScanResult.UNSCANNABLE)
    if found := _FOUND.fullmatch(answer):
        threat = _quoted(found[1])
        if threat.startswith(_PARTLY_SCANNED):
            return ScanVerdict(ScanResult.UNSCANNABLE)
        return ScanVerdict(ScanResult.INFECTED, threat)
    if answer == _CLEAN and is_whole:
        return ScanVerdict(ScanResult.CLEAN)
    raise _no_verdict(answer)


def _quoted(words: bytes) -> str:
    """Fit for a log and for people; of clamd's words only, since another server may send back what it was sent."""
    return _UNPRINTABLE.sub("_", words.decode("latin-1"))[:MAX_QUOTED]


def _no_verdict(answer: bytes) -> Unavailable:
    return _unavailable(_quoted(answer) if answer.endswith(b" ERROR") else "unexpected_answer" if answer else "hung_up")


def _unavailable(cause: str) -> Unavailable:
    logger.warning("scanner_unavailable error=%s", cause)
    return Unavailable("scanner")
