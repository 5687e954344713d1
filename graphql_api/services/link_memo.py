"""Links that were signed lately, to be given again: what makes equal requests cheap. The memory is bounded."""

from dataclasses import dataclass
from sys import getsizeof
from typing import Final

from graphql_api.model.delivery import Link

LinkKey = tuple[str, ...]
"""All that a link depends on but time: what is wished and on what terms, and what is said of the file."""

_BYTES_OF_A_LINK: Final = 440  # without its texts: the objects around them, and a place in a dictionary


@dataclass(slots=True)
class Kept:
    """A link that is the right answer from ``since`` until before ``until``, in seconds since 1970. ``cut_at``: when
    the key may be taken away, if the link ends with that; it is the answer only while that stays so.
    """

    link: Link
    since: int
    until: int
    cut_at: int | None = None


class LinkMemo:
    """At most ``max_bytes``, in two generations: what is not asked for while the young one fills goes with the old one.

    That is nearly "least recently used", and a hit costs one look-up and writes nothing. Not for several threads.
    """

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._weight = 0
        self._old: dict[LinkKey, Kept] = {}
        self.young: dict[LinkKey, Kept] = {}
        """Where to look first; what is not there, ``recall`` may know."""

    def recall(self, key: LinkKey) -> Kept | None:
        """What is remembered; it is young again."""
        found = self.young.get(key)
        if found is None and (found := self._old.pop(key, None)) is not None:
            self.remember(key, found)
        return found

    def remember(self, key: LinkKey, kept: Kept) -> None:
        """In the place of what was remembered under ``key``. What would take half of the memory is not kept."""
        if not self._half:
            return
        weight = _weight(key, kept)
        if (before := self.young.pop(key, None)) is not None:
            self._weight -= _weight(key, before)
        if weight > self._half:
            return
        if self._weight + weight > self._half:
            self._old, self.young, self._weight = self.young, {}, 0
        self.young[key] = kept
        self._weight += weight


def _weight(key: LinkKey, kept: Kept) -> int:
    return sum(map(getsizeof, (*key, kept.link.url, kept.link.cache_key))) + _BYTES_OF_A_LINK
