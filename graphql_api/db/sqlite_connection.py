"""SQLite's driver, with fewer hand-overs between the event loop and the driver's thread.

Each call of aiosqlite wakes its thread and then the loop again. SQLAlchemy makes four for a statement (cursor, execute,
fetch, close), which take longer than most statements themselves; here it is one, and none to roll back nothing.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Self

import aiosqlite


class _Cursor:
    """What SQLAlchemy asks of a cursor that is not server-side; all rows of a statement come with it."""

    arraysize = 1

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        await self._run(sqlite3.Cursor.execute, sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        await self._run(sqlite3.Cursor.executemany, sql, parameters)

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """The statement is already at its end."""

    async def _run(self, how: Any, sql: str, parameters: Any) -> None:
        def run(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                how(cursor, sql, parameters)
                self.description = cursor.description
                self._rows = cursor.fetchall() if cursor.description else ()
                self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        await self._connection.in_thread(run)


class _Connection(aiosqlite.Connection):
    def cursor(self) -> Any:  # SQLAlchemy enters it; aiosqlite's own would have to be awaited
        return _Cursor(self)

    async def in_thread(self, run: Any) -> None:
        await self._execute(run, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite leaves it without types

    async def rollback(self) -> None:
        if self.in_transaction:
            await super().rollback()


async def connect(database: str, **arguments: Any) -> aiosqlite.Connection:
    """As ``aiosqlite.connect``, for ``async_creator_fn`` of SQLAlchemy's dialect.

    Source: SQLAlchemy, ``dialects/sqlite/aiosqlite.py`` (2.1) and ``connectors/asyncio.py``, which say what is called.
    """
    connection = _Connection(lambda: sqlite3.connect(database, **arguments), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a forgotten connection does not hold up the process
    return await connection
