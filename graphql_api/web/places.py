"""How much may go on at one time, for one viewer and in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Crowded(Exception):
    """All places are taken."""


class Places:
    """``each``: places of one viewer; ``total``: of all together. Counted in this process."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._total = total
        self._taken: Counter[str] = Counter()
        self._in_all = 0

    @property
    def in_use(self) -> int:
        return self._in_all

    @contextmanager
    def taken(self, viewer: str) -> Iterator[None]:
        """Raises: Crowded."""
        if self._taken[viewer] >= self._each or self._in_all >= self._total:
            raise Crowded
        self._taken[viewer] += 1
        self._in_all += 1
        try:
            yield
        finally:
            self._in_all -= 1
            self._taken[viewer] -= 1
            if not self._taken[viewer]:
                del self._taken[viewer]
