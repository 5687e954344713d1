"""From the pieces of a file to its lines, gzip or not, in bounded memory."""

import zlib
from collections.abc import Iterator
from typing import Final

from graphql_api.errors import UnreadableLog

MAX_LINE: Final = 256 * 1024  # bytes
"""CloudFront logs no request with an address of more than 8,192 bytes or headers of more than 20,480 (Developer Guide,
"Quotas"). Each of those bytes takes three at most, or six in JSON.
"""
MAX_SIZE: Final = 4 * 1024**3  # bytes, unpacked
CHUNK: Final = 64 * 1024  # bytes that are unpacked at a time

_GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_GZIP_ONLY: Final = 16 + zlib.MAX_WBITS  # zlib's manual, inflateInit2


class LogLines:
    """The lines of one file, without their ends. Of a line that is too long come its first ``MAX_LINE + 1`` bytes.

    Raises ``UnreadableLog`` for what gzip did not write, or not to the end, for plain text whose last line has no end,
    and for more than ``max_size`` bytes.
    """

    def __init__(self, *, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._size = 0
        self._start = b""  # until it shows whether this is gzip
        self._is_gzip: bool | None = None
        self._member = zlib.decompressobj(_GZIP_ONLY)
        self._line = bytearray()
        self._is_open = False  # a line has begun

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end in ``piece``."""
        if self._is_gzip is None:
            piece = self._start + piece
            if len(piece) < len(_GZIP_MAGIC):
                self._start = piece
                return
            self._is_gzip = piece.startswith(_GZIP_MAGIC)
        for chunk in self._unpacked(piece) if self._is_gzip else (piece,):
            self._size += len(chunk)
            if self._size > self._max_size:
                raise UnreadableLog(f"it has more than {self._max_size} bytes when unpacked")
            yield from self._split(chunk)

    def finish(self) -> Iterator[bytes]:
        """The last line, if it has no end. Of plain text nothing else tells that all of it is there."""
        if self._is_gzip is None:
            yield from self._split(self._start)
        elif self._is_gzip and not self._member.eof:
            raise UnreadableLog("it ends too early: not all of it is there")
        if self._is_open:
            yield self._taken()
            if not self._is_gzip:
                raise UnreadableLog("it ends too early: its last line has no end")

    @property
    def is_gzip(self) -> bool:
        """As far as its first bytes have come."""
        return bool(self._is_gzip)

    def _unpacked(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._member.eof:  # several members, one after the other, are one file: RFC 1952, section 2.2
                self._member = zlib.decompressobj(_GZIP_ONLY)
            is_more = True
            while is_more:
                try:
                    chunk = self._member.decompress(packed, CHUNK)
                except zlib.error:
                    raise UnreadableLog("it is damaged: gzip cannot unpack it") from None
                yield chunk
                packed = self._member.unconsumed_tail
                # A full chunk may have left some inside, whether or not there is a tail.
                is_more = not self._member.eof and (len(chunk) == CHUNK or bool(packed))
            packed = self._member.unused_data if self._member.eof else b""

    def _split(self, chunk: bytes) -> Iterator[bytes]:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._extend(chunk[start:end])
            yield self._taken()
            start = end + 1
        if start < len(chunk):
            self._extend(chunk[start:])
            self._is_open = True

    def _extend(self, part: bytes) -> None:
        self._line += part[: MAX_LINE + 1 - len(self._line)]

    def _taken(self) -> bytes:
        line = bytes(self._line)
        self._line.clear()
        self._is_open = False
        return line
