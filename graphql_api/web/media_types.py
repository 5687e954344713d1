"""What a client wants to be answered with.

Sources: RFC 9110, section 12.5.1 (Accept); GraphQL over HTTP, sections "Media Types" and "Body".
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

JSON: Final = "application/json"
RESULT: Final = "application/graphql-response+json"
"""Whoever accepts it can tell from the status what became of the operation."""
EVENTS: Final = "text/event-stream"

_REMEMBERED: Final = 256  # different headers; those of a client do not change


def quality(accept: str, kind: str) -> float:
    """From 0, not accepted, to 1. The most specific range decides; no header accepts all."""
    ranges = _ranges(accept)
    return ranges.get(kind, ranges.get(f"{kind.partition('/')[0]}/*", ranges.get("*/*", 0.0)))


@lru_cache(_REMEMBERED)
def answer_type(accept: str) -> str | None:
    """Of ``JSON`` and ``RESULT`` what is preferred; whoever does not name the second means JSON. None: neither."""
    json, result = quality(accept, JSON), quality(accept, RESULT)
    if not json and not result:
        return None
    return RESULT if result > json or (result == json and RESULT in _ranges(accept)) else JSON


def accepts_events(accept: str) -> bool:
    """Whether they are named: what accepts everything does not mean a stream."""
    return _ranges(accept).get(EVENTS, 0.0) > 0


def prefers_events(accept: str) -> bool:
    """Whether events are wanted more than a result at once. urql lists both on every request and means JSON."""
    return _ranges(accept).get(EVENTS, 0.0) > max(quality(accept, JSON), quality(accept, RESULT))


@lru_cache(_REMEMBERED)
def _ranges(accept: str) -> Mapping[str, float]:
    """Quality by media range. What cannot be read is not accepted."""
    found: dict[str, float] = {}
    for part in (accept or "*/*").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [text.removeprefix("q=") for text in parameters if text.startswith("q=")]
        try:
            found[kind] = min(1.0, max(0.0, float(weights[0]))) if weights else 1.0
        except ValueError:
            found[kind] = 0.0
    return found
