"""What the edge keeps of the origin's answers, and what it answers from them.

It keeps whole answers to GET without a range, of objects that are small enough; a range, a HEAD and a condition are
answered from them. Nobody's signature is part of a key: whoever asks the cache has let the viewer through before.

Sources: Amazon CloudFront Developer Guide, "Understand the cache key", "Manage how long content stays in the cache"
(which of the origin's words counts within the least, the default and the longest time), "Specify the files to
invalidate" (a ``*`` at the end stands for all that begins so); RFC 9111, section 5.1 (Age). The real edge cuts large
objects in ranges and keeps those; it asks the origin whether what is too old is still the same, which this one fetches
anew.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from werkzeug.http import parse_date, parse_etags, parse_range_header

from graphql_api.localcloud.origin import OriginResponse

MIN_TTL: Final = 0  # seconds; these three are the cache policy of docs/operations.md
DEFAULT_TTL: Final = 3_600
MAX_TTL: Final = 86_400

MAX_OBJECT: Final = 4 * 1024**2  # bytes; larger ones are passed through
MAX_BYTES: Final = 128 * 1024**2  # of all that is kept

_NOT_TO_BE_KEPT: Final = frozenset({"no-store", "no-cache", "private"})
_AGE: Final = re.compile(r"(s-maxage|max-age)=(\d{1,10})")

Pairs = tuple[tuple[str, str], ...]


class CacheKey(NamedTuple):
    """``path`` as it was sent, or as the function changed it; ``query``: the parameters that the behaviour forwards, in
    its order.
    """

    path: str
    query: Pairs


@dataclass(frozen=True, slots=True)
class _Kept:
    headers: Pairs
    body: bytes
    since: float  # seconds since 1970
    until: float


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """``error_code``: the store's word for what it would have refused; None for 200, 206 and 304."""

    status: int
    headers: Pairs
    body: bytes
    error_code: str | None = None


class Cache:
    """Whoever was not asked for longest goes first when there is no room. Not for several threads."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[CacheKey, _Kept] = OrderedDict()
        self.size = 0  # bytes

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: CacheKey, response: OriginResponse, body: bytes, now: datetime) -> None:
        """Keep the whole answer to a GET, if its headers let it be kept."""
        since = now.timestamp()
        lifetime = _lifetime(dict(response.headers), since)
        if response.status != 200 or lifetime <= 0 or len(body) > min(MAX_OBJECT, self._max_bytes):
            return
        self._drop(key)
        self._kept[key] = _Kept(response.headers, body, since, since + lifetime)
        self.size += len(body)
        while self.size > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def find(self, key: CacheKey, method: str, headers: Mapping[str, str], now: datetime) -> CachedAnswer | None:
        """The answer to a GET or HEAD with these headers (lower case); of a HEAD the caller sends no body. None: it has
        to be fetched.
        """
        kept = self._kept.get(key)
        moment = now.timestamp()
        if kept is None:
            return None
        if not kept.since <= moment < kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return _answer(kept, method, headers, age=int(moment - kept.since))

    def invalidate(self, paths: Iterable[str]) -> None:
        """Drop what lies at these paths, whatever its parameters; a ``*`` at the end stands for any text."""
        for path in paths:
            start = path.removesuffix("*")
            for key in [
                key for key in self._kept if key.path == path or (start != path and key.path.startswith(start))
            ]:
                self._drop(key)

    def _drop(self, key: CacheKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size -= len(kept.body)


def _answer(kept: _Kept, method: str, headers: Mapping[str, str], *, age: int) -> CachedAnswer:
    """RFC 9110, section 13.2.2, has the order. A range is for GET only, and of several ranges all is sent."""
    own, length = (("age", str(age)),), len(kept.body)
    known = dict(kept.headers)
    refusal = _failed_condition(headers, known.get("etag"), parse_date(known.get("last-modified")))
    if refusal == 412:
        return CachedAnswer(412, own, b"", "PreconditionFailed")
    if refusal == 304:
        return CachedAnswer(304, (*_without(kept.headers, "content-length", "content-type"), *own), b"")
    wanted = parse_range_header(headers.get("range")) if method == "GET" else None
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) > 1 or not _is_for_these(headers, known):
        return CachedAnswer(200, (*kept.headers, *own), kept.body)
    part = wanted.range_for_length(length)
    if part is None:
        return CachedAnswer(416, (*own, ("content-range", f"bytes */{length}")), b"", "InvalidRange")
    start, end = part
    said = (("content-range", f"bytes {start}-{end - 1}/{length}"), ("content-length", str(end - start)))
    return CachedAnswer(206, (*_without(kept.headers, "content-length"), *said, *own), kept.body[start:end])


def _failed_condition(headers: Mapping[str, str], etag: str | None, modified: datetime | None) -> int | None:
    """412, 304, or None."""
    tag = (etag or "").removeprefix("W/").strip('"')
    if "if-match" in headers:
        if not parse_etags(headers["if-match"]).contains(tag):
            return 412
    elif (date := parse_date(headers.get("if-unmodified-since"))) and modified and modified > date:
        return 412
    if "if-none-match" in headers:
        return 304 if parse_etags(headers["if-none-match"]).contains_weak(tag) else None
    date = parse_date(headers.get("if-modified-since"))
    return 304 if date and modified and modified <= date else None


def _is_for_these(headers: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """RFC 9110, section 13.1.5: a range of other bytes is worth nothing."""
    return headers.get("if-range") in (None, known.get("etag"), known.get("last-modified"))


def _without(headers: Pairs, *names: str) -> Pairs:
    return tuple(pair for pair in headers if pair[0] not in names)


def _lifetime(headers: Mapping[str, str], now: float) -> float:
    """Seconds; 0: not to be kept."""
    said = [part.strip().lower() for part in headers.get("cache-control", "").split(",")]
    if not _NOT_TO_BE_KEPT.isdisjoint(said):
        return MIN_TTL
    ages = {match[1]: int(match[2]) for part in said if (match := _AGE.fullmatch(part))}
    wanted: float = DEFAULT_TTL
    if ages:
        wanted = ages.get("s-maxage", ages.get("max-age", 0))
    elif "expires" in headers:
        try:
            wanted = parsedate_to_datetime(headers["expires"]).timestamp() - now
        except ValueError:  # a date that is none has passed: RFC 9111, section 5.3
            wanted = 0
    return max(MIN_TTL, min(wanted, MAX_TTL))
