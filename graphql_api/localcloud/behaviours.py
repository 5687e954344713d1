"""Cache behaviours: what the distribution does with a request depends on its path, and the first that matches counts.

Source: Amazon CloudFront Developer Guide, "Cache behavior settings", sections "Path pattern" and "Path pattern
matching": patterns are case-sensitive, ``*`` stands for any text and ``?`` for one character; a path is normalised as
RFC 3986 has it before it is matched, and sent to the origin as it came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

PUBLISHED: Final = "/pub/*"
BUNDLES: Final = "/b/*"

_UNRESERVED: Final = re.compile(r"%(2[dD]|2[eE]|5[fF]|7[eE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")
_WILDCARDS: Final = {"*": ".*", "?": "."}


@dataclass(frozen=True)
class Behaviour:
    """``is_private``: only signed requests pass, and the function sees them. ``forwarded_query``: the parameters that
    are part of the cache key and that the origin gets; it gets no others. ``takes_cookies``: pages of the origins that
    were named may send them from elsewhere; without it, pages from anywhere may read, but send none.
    """

    pattern: str
    is_private: bool
    forwarded_query: Sequence[str] = ()
    takes_cookies: bool = False

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = (_WILDCARDS.get(character) or re.escape(character) for character in self.pattern)
        return re.compile("".join(parts), re.DOTALL)

    def matches(self, path: str) -> bool:
        """``path`` as ``normalised`` gives it."""
        return self._regex.fullmatch(path) is not None


BEHAVIOURS: Final = (
    Behaviour(PUBLISHED, is_private=False),
    # A wildcard does not bind the query, so none is let through: it could change how a file is presented.
    Behaviour(BUNDLES, is_private=True, takes_cookies=True),
    Behaviour("*", is_private=True, forwarded_query=("response-content-disposition", "response-content-type")),
)
"""In order; the last is the default and matches all."""


def behaviour_of(path: str) -> Behaviour:
    """For a path as it was sent."""
    wanted = normalised(path)
    return next(each for each in BEHAVIOURS if each.matches(wanted))


def normalised(path: str) -> str:
    """Escaped unreserved characters unescaped, then dot segments removed: RFC 3986, sections 6.2.2.2 and 5.2.4."""
    found: list[str] = []
    segments = _UNRESERVED.sub(lambda match: chr(int(match[1], 16)), path).split("/")
    for segment in segments:
        if segment == "..":
            del found[max(1, len(found) - 1) :]
        elif segment != ".":
            found.append(segment)
    if segments[-1] in (".", ".."):
        found.append("")
    return "/".join(found)
