"""What a process does alone that else asks PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.engine import Database
from graphql_api.errors import RateLimited, Unavailable
from graphql_api.limits.postgresql import PostgresRates
from graphql_api.model.rate import Allowance
from tests.postgres import PostgresCluster
from tests.world import START

TEN = Allowance(10, timedelta(minutes=1))


class Interrupted(Database):
    """Counts who asks it, and can be down."""

    asked = 0
    is_down = False

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        self.asked += 1
        if self.is_down:
            raise Unavailable("database")
        async with super().autocommit() as connection:
            yield connection


@pytest.fixture
def url(postgres: PostgresCluster, postgres_template: str) -> Iterator[str]:
    url = postgres.create_database(template=postgres_template)
    yield url
    postgres.drop_database(url)


@pytest.fixture
async def interrupted(url: str) -> AsyncIterator[Interrupted]:
    database = Interrupted(url)
    yield database
    await database.close()


@pytest.fixture
async def nowhere(tmp_path: Path) -> AsyncIterator[Database]:
    """A database at whose address nobody answers."""
    database = Database(f"postgresql://api@/files?host={tmp_path}", patience=1)
    yield database
    await database.close()


async def test_while_the_database_does_not_answer_a_process_counts_for_itself(nowhere: Database) -> None:
    store = PostgresRates(nowhere)
    assert await store.charge("a", 4, TEN, now=START) == START + timedelta(seconds=24)
    assert await store.charge("a", 6, TEN, now=START) == START + timedelta(seconds=60)
    with pytest.raises(RateLimited) as limited:
        await store.charge("a", 1, TEN, now=START)
    assert limited.value.retry_after == timedelta(seconds=6)


async def test_what_was_counted_before_is_known_while_the_database_does_not_answer(interrupted: Interrupted) -> None:
    store = PostgresRates(interrupted)
    await store.charge("a", 4, TEN, now=START)
    interrupted.is_down = True
    assert await store.charge("a", 6, TEN, now=START) == START + timedelta(seconds=60)
    with pytest.raises(RateLimited):
        await store.charge("a", 1, TEN, now=START)
    interrupted.is_down = False
    with pytest.raises(RateLimited):  # it knows of four, and this process of all
        await store.charge("a", 6, TEN, now=START)


async def test_the_database_is_asked_once_for_each_charge_and_not_again_for_one_it_has_refused(
    interrupted: Interrupted,
) -> None:
    store, another = PostgresRates(interrupted), PostgresRates(interrupted)
    await store.charge("a", 10, TEN, now=START)
    assert interrupted.asked == 1
    for _ in range(3):
        with pytest.raises(RateLimited):
            await another.charge("a", 1, TEN, now=START)
    assert interrupted.asked == 2
