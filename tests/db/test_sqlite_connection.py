"""What SQLAlchemy gets from SQLite's driver through ``db/sqlite_connection.py``, and how often the thread is asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from graphql_api.db.engine import Database


@pytest.fixture
async def numbers(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/numbers.db")
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY, name TEXT)"))
    yield database
    await database.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is handed over to the driver's thread from now on."""
    seen: list[object] = []
    execute: Any = aiosqlite.Connection._execute

    async def counting(self: aiosqlite.Connection, function: object, *arguments: object, **named: object) -> object:
        seen.append(function)
        return await execute(self, function, *arguments, **named)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counting)
    return seen


async def test_a_statement_wakes_the_thread_once(numbers: Database, asked: list[object]) -> None:
    async with numbers.autocommit() as connection:
        rows = await connection.execute(text("INSERT INTO numbers (name) VALUES ('one') RETURNING number, name"))
    assert rows.all() == [(1, "one")]
    assert len(asked) == 1


async def test_a_transaction_wakes_it_twice_more(numbers: Database, asked: list[object]) -> None:
    async with numbers.transaction() as connection:
        await connection.execute(text("INSERT INTO numbers (name) VALUES ('one')"))
        assert await connection.scalar(text("SELECT name FROM numbers")) == "one"
    assert len(asked) == 4  # BEGIN, the two, COMMIT


async def test_what_a_transaction_did_before_it_failed_is_undone(numbers: Database) -> None:
    async def fail_half_way() -> None:
        async with numbers.transaction() as connection:
            await connection.execute(text("INSERT INTO numbers (name) VALUES ('one')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_half_way()
    async with numbers.autocommit() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM numbers")) == 0


async def test_many_rows_are_written_at_once_and_counted(numbers: Database, asked: list[object]) -> None:
    async with numbers.autocommit() as connection:
        rows = [{"name": str(number)} for number in range(3)]
        written = await connection.execute(text("INSERT INTO numbers (name) VALUES (:name)"), rows)
        changed = await connection.execute(text("UPDATE numbers SET name = name || '!' WHERE number > 1"))
    assert (written.rowcount, changed.rowcount) == (3, 2)
    assert len(asked) == 2


async def test_errors_of_the_driver_are_those_of_sqlalchemy(numbers: Database) -> None:
    async with numbers.autocommit() as connection:
        await connection.execute(text("INSERT INTO numbers (number) VALUES (1)"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO numbers (number) VALUES (1)"))
        with pytest.raises(OperationalError):
            await connection.execute(text("SELECT nonsense"))
        assert await connection.scalar(text("SELECT number FROM numbers")) == 1


async def test_rows_are_read_in_pieces_as_well(numbers: Database) -> None:
    async with numbers.autocommit() as connection:
        await connection.execute(text("INSERT INTO numbers (number) VALUES (1), (2), (3)"))
        rows = await connection.execute(text("SELECT number FROM numbers ORDER BY number"))
        assert rows.fetchmany(2) == [(1,), (2,)]
        assert rows.fetchone() == (3,)
        assert rows.fetchone() is None
