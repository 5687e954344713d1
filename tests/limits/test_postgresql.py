"""What a process does alone that else asks PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import RateLimited
from graphql_api.limits import Buckets
from graphql_api.limits.postgresql import PostgresRates
from graphql_api.model.rate import Allowance
from tests.world import START

TEN = Allowance(10, timedelta(minutes=1))


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


async def test_who_is_known_to_have_too_little_is_refused_without_asking(nowhere: Database) -> None:
    """An address of a database that nobody must ask: it would log that nobody answers."""
    buckets = Buckets()
    buckets.learn("a", START + timedelta(minutes=1))
    with pytest.raises(RateLimited):
        await PostgresRates(nowhere, buckets=buckets).charge("a", 1, TEN, now=START)
