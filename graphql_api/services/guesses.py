"""How often something may be tried in vain: in the memory of one process, so that of several each counts for itself."""

from datetime import timedelta

from graphql_api.errors import RateLimited
from graphql_api.limits import Buckets
from graphql_api.model.rate import Allowance
from graphql_api.services.clock import Clock


class Guesses:
    """``limit`` failures at once, and from then on one for each ``limit``-th part of ``window``."""

    def __init__(self, clock: Clock, *, limit: int, window: timedelta, buckets: Buckets | None = None) -> None:
        self._clock = clock
        self._allowance = Allowance(limit, window)
        self._buckets = buckets or Buckets()

    def require_room(self, key: str) -> None:
        """Raises: RateLimited: there is no room for another failure."""
        wait = self._buckets.wait(key, 1, self._allowance, self._clock())
        if wait > timedelta():
            raise RateLimited("There were too many failed attempts; try again later.", retry_after=wait)

    def count(self, key: str) -> None:
        """It was tried in vain."""
        self._buckets.take(key, 1, self._allowance, self._clock())

    def take_back(self, key: str) -> None:
        """It was counted, and was not in vain."""
        self._buckets.give_back(key, 1, self._allowance)
