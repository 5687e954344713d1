"""What use cases without a caller have in common: they come in turns, and a turn that failed is tried again later."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MAX_FAILURES: Final = 3
"""In a row, with different things: fewer may be the things' own fault. Those that failed are tried again later than the
others, so that any number of them hold up no others for good.
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn came to. ``done``: how many things; ``is_more``: whether others may be due at once."""

    done: int
    is_more: bool


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after failures in a row: ``first``, doubled each time, at most ``longest``.

    Half of it is chance, so that those who failed together do not come back together.
    Source: AWS Architecture Blog, "Exponential Backoff And Jitter", "equal jitter".
    """

    first: timedelta
    longest: timedelta

    def after(self, failures: int) -> timedelta:
        """``failures`` is at least 1."""
        doublings = min(failures - 1, 32)  # beyond any sensible longest, within what a timedelta can hold
        whole: timedelta = min(self.first * (1 << doublings), self.longest)
        return whole * random.uniform(0.5, 1.0)
