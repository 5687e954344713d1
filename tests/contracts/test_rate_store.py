"""Every ``RateStore`` keeps the protocol's promises: in the memory of one process, and in PostgreSQL for two."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import RateLimited
from graphql_api.limits import RateStore
from graphql_api.limits.memory import MemoryRates
from graphql_api.limits.postgresql import PostgresRates
from graphql_api.model.rate import Allowance
from tests.postgres import PostgresCluster
from tests.world import START, Clock

HUNDRED = Allowance(100, timedelta(minutes=1))


@dataclass
class Place:
    """``stores``: those of all processes, which count together."""

    stores: list[RateStore]
    clock: Clock

    async def charge(self, key: str, points: int, process: int = 0) -> timedelta:
        """In what time all points will be there again."""
        store = self.stores[process % len(self.stores)]
        return await store.charge(key, points, HUNDRED, now=self.clock()) - self.clock()

    async def wait(self, key: str, points: int, process: int = 0) -> float:
        """In how many seconds so many points will be there, which they are not."""
        with pytest.raises(RateLimited) as limited:
            await self.charge(key, points, process)
        return limited.value.retry_after.total_seconds()


@pytest.fixture(scope="module", params=["memory", "postgresql"])
def shared_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where the processes meet, if they do."""
    if request.param == "memory":
        yield None
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    url = cluster.create_database(template=request.getfixturevalue("postgres_template"))
    yield url
    cluster.drop_database(url)


@pytest.fixture
async def place(shared_url: str | None) -> AsyncIterator[Place]:
    databases = [] if shared_url is None else [Database(shared_url) for _ in range(2)]
    yield Place([PostgresRates(database) for database in databases] or [MemoryRates()], Clock())
    for database in databases:
        await database.close()


async def test_points_are_taken_until_none_are_left_and_come_back_evenly(place: Place) -> None:
    assert await place.charge("a", 40) == timedelta(seconds=24)
    assert await place.charge("a", 60, process=1) == timedelta(seconds=60)
    assert await place.wait("a", 5) == 3
    place.clock.advance(seconds=3)
    assert await place.charge("a", 5, process=1) == timedelta(seconds=60)
    assert await place.wait("a", 1, process=1) == 0.6
    place.clock.advance(hours=1)
    assert await place.charge("a", 100) == timedelta(seconds=60)


async def test_where_too_little_is_left_nothing_is_taken(place: Place) -> None:
    await place.charge("b", 90)
    assert await place.wait("b", 20, process=1) == 6
    assert await place.wait("b", 11) == 0.6
    assert await place.charge("b", 10, process=1) == timedelta(seconds=60)


async def test_each_key_has_its_own_points(place: Place) -> None:
    await place.charge("c", 100)
    await place.wait("c", 1)
    assert await place.charge("d", 100) == timedelta(seconds=60)


async def test_what_costs_more_than_all_points_needs_all_of_them(place: Place) -> None:
    assert await place.charge("e", 5_000) == timedelta(seconds=60)
    place.clock.advance(seconds=59)
    assert await place.wait("e", 5_000, process=1) == 1
    place.clock.advance(seconds=1)
    assert await place.charge("e", 5_000, process=1) == timedelta(seconds=60)


async def test_of_many_at_once_no_more_are_let_through_than_fit(place: Place) -> None:
    charges = [place.charge("f", 7, process=number) for number in range(40)]
    outcomes = await asyncio.gather(*charges, return_exceptions=True)
    assert sum(isinstance(outcome, timedelta) for outcome in outcomes) == 100 // 7
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 40 - 100 // 7


async def test_only_who_has_all_points_again_is_forgotten(place: Place) -> None:
    place.clock.now = START + timedelta(days=1)
    await place.stores[0].sweep(now=place.clock())
    await place.charge("g", 10)
    await place.charge("h", 50)
    place.clock.advance(seconds=6)
    assert await place.stores[0].sweep(now=place.clock()) == 1
    assert await place.stores[-1].sweep(now=place.clock()) == 0
    assert await place.wait("h", 100, process=1) == 24
    assert await place.charge("g", 100) == timedelta(seconds=60)
