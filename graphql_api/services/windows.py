"""When a link ends: rounded, so that equal requests give equal links, and never past what bounds it.

All times are whole seconds since 1970, all spans whole seconds. ``now`` is the second that has begun.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple
from zlib import crc32

REFRESH_SHARE: Final = 5  # a fifth of its lifetime before a link ends, it is time to ask for the next one
RENEWED_BEFORE: Final = 600
"""Seconds before a signer's end at which there is another: temporary credentials are renewed 15 minutes before theirs
(``storage/credentials.py``).
"""


class LinkTimes(NamedTuple):
    """``refresh_after``: asking then or later gives a link that ends later, if there can be one. ``changes_at``: asking
    before gives the same again; ``now`` lies before it, unless a fixed end has passed.
    """

    expires_at: int
    refresh_after: int
    changes_at: int


class Windows:
    """Links end on a grid of one point in each window, shifted for each file so that a page does not end at once.

    The window is never longer than half the lifetime it rounds. Where it would be, a finer grid is taken that contains
    the coarse one, so that a link lives for at most half as long again as was wished, and for more than half of what
    a rule allows.
    """

    def __init__(self, window: timedelta) -> None:
        self._widths = sorted(_widths(window // timedelta(seconds=1)))

    def times(
        self, now: int, *, lifetime: int, longest: int, until: int | None, signer_until: int | None, file_id: str
    ) -> LinkTimes:
        """``lifetime``, from 1 to ``longest``, is rounded up; ``longest`` is rounded down and wins. ``until`` is used
        as it is: it does not move, so it is the same for everybody already. So is ``signer_until``, which is to come;
        but another signer takes over before, and whoever asks then gets a link that ends later.
        """
        phase = crc32(file_id.encode())  # the same in every process, which ``hash`` is not
        width = self._width(lifetime)
        expires_at = now + lifetime
        expires_at += width - (expires_at - phase) % width  # later than the wish: a part of this second is over
        changes_at, refresh_after = expires_at - lifetime, expires_at - lifetime // REFRESH_SHARE
        width = self._width(longest)
        bound = now + longest
        bound -= (bound - phase) % width
        if bound < expires_at or (bound == expires_at and bound + width - longest > changes_at):
            expires_at = bound
            changes_at, refresh_after = bound + width - longest, bound - longest // REFRESH_SHARE
        if until is not None and until <= expires_at:
            expires_at = changes_at = refresh_after = until
        if signer_until is not None and signer_until < expires_at:
            expires_at, early = signer_until, RENEWED_BEFORE
            while signer_until - early <= now:  # there is no other yet: it is time to ask again in half of what is left
                early //= 2
            changes_at = refresh_after = signer_until - early
        return LinkTimes(expires_at, refresh_after, changes_at)

    def _width(self, lifetime: int) -> int:
        return self._widths[bisect_right(self._widths, lifetime // 2, lo=1) - 1]


def _widths(window: int) -> Iterator[int]:
    """``window`` and ever smaller ones down to 1, each a divisor of the one before."""
    yield window
    while window > 1:
        window //= next((factor for factor in range(2, int(window**0.5) + 1) if window % factor == 0), window)
        yield window
