"""Points counted in this process: of several processes each counts for itself."""

from datetime import datetime, timedelta

from graphql_api.errors import RateLimited
from graphql_api.limits.buckets import Buckets
from graphql_api.model.rate import Allowance


class MemoryRates:
    """A ``RateStore``. ``buckets``: of whoever else wants to know them."""

    def __init__(self, buckets: Buckets | None = None) -> None:
        self._buckets = buckets or Buckets()

    async def charge(self, key: str, points: int, allowance: Allowance, *, now: datetime) -> datetime:
        wait = self._buckets.wait(key, points, allowance, now)
        if wait > timedelta():
            raise RateLimited(retry_after=wait)
        return self._buckets.take(key, points, allowance, now)

    async def sweep(self, *, now: datetime) -> int:
        return self._buckets.forget_restored(now)
