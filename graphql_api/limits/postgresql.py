"""Points counted in PostgreSQL, for all processes together, by one statement for each charge."""

from datetime import datetime, timedelta
from typing import Final

from graphql_api.db import rates
from graphql_api.db.engine import Database
from graphql_api.errors import RateLimited, Unavailable
from graphql_api.limits.buckets import Buckets
from graphql_api.limits.memory import MemoryRates
from graphql_api.model.rate import Allowance

SHORTEST_WAIT: Final = timedelta(milliseconds=1)


class PostgresRates:
    """A ``RateStore``. What this process knows of a key is the least that was spent: who has too little by that is
    refused without asking the database, and while it does not answer this process counts for itself.
    """

    def __init__(self, database: Database, *, buckets: Buckets | None = None) -> None:
        self._database = database
        self._buckets = buckets or Buckets()
        self._alone = MemoryRates(self._buckets)

    async def charge(self, key: str, points: int, allowance: Allowance, *, now: datetime) -> datetime:
        wait = self._buckets.wait(key, points, allowance, now)
        if wait > timedelta():
            raise RateLimited(retry_after=wait)
        try:
            async with self._database.autocommit() as connection:
                taken, latest = allowance.time_of(points), now + allowance.window
                restored_at = await rates.charge(connection, key, taken, now=now, latest=latest)
                if restored_at is None:
                    known = await rates.find(connection, key)
        except Unavailable:
            return await self._alone.charge(key, points, allowance, now=now)
        if restored_at is not None:
            self._buckets.learn(key, restored_at)
            return restored_at
        known = known or now  # gone: it was swept since
        self._buckets.learn(key, known)
        raise RateLimited(retry_after=max(allowance.wait(points, known, now), SHORTEST_WAIT))

    async def sweep(self, *, now: datetime) -> int:
        self._buckets.forget_restored(now)
        async with self._database.autocommit() as connection:
            return await rates.sweep(connection, now)
