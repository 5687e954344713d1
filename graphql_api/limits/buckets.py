"""What was spent by whom, in the memory of one process."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from graphql_api.model.rate import Allowance

MAX_KEPT: Final = 100_000  # keys, which take some 25 MB


class Buckets:
    """For each key the instant at which all its points will have come back, which is a leaky bucket.

    Of more than ``max_kept`` keys those that spent longest ago are forgotten, and have all their points again: whoever
    has that many addresses wins nothing by it that the addresses would not have given.
    """

    def __init__(self, *, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._restored_at: OrderedDict[str, datetime] = OrderedDict()

    def wait(self, key: str, points: int, allowance: Allowance, now: datetime) -> timedelta:
        """Until so many points will be there; zero or less when they are."""
        return allowance.wait(points, self._restored_at.get(key, now), now)

    def take(self, key: str, points: int, allowance: Allowance, now: datetime) -> datetime:
        """Take so many, whether they are there or not. When all will be there again."""
        restored_at = max(self._restored_at.get(key, now), now) + allowance.time_of(points)
        self._keep(key, restored_at)
        return restored_at

    def give_back(self, key: str, points: int, allowance: Allowance) -> None:
        """They were taken, and should not have been."""
        if key in self._restored_at:
            self._restored_at[key] -= allowance.time_of(points)

    def learn(self, key: str, restored_at: datetime) -> None:
        """Somebody else knows of the key, too: whoever knows more is right."""
        self._keep(key, max(self._restored_at.get(key, restored_at), restored_at))

    def forget_restored(self, now: datetime) -> int:
        """Forget those who spent longest ago and have all their points again; how many these were."""
        forgotten = 0
        while self._restored_at and next(iter(self._restored_at.values())) <= now:
            self._restored_at.popitem(last=False)
            forgotten += 1
        return forgotten

    def _keep(self, key: str, restored_at: datetime) -> None:
        self._restored_at[key] = restored_at
        self._restored_at.move_to_end(key)
        if len(self._restored_at) > self._max_kept:
            self._restored_at.popitem(last=False)
