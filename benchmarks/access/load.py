"""Fills a database fast: rows in bulk, indexes after them, no checks of foreign keys on the way."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # has neither stubs nor py.typed

from benchmarks.access.archive import Archive
from benchmarks.access.rows import ABOVE, SCOPES, SIDE_TABLES, Rows, rows_of
from benchmarks.access.viewers import Viewer
from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate

_LARGE: Final = ("files", "file_scopes")  # whose indexes are made when the rows are there


async def load(url: str, archive: Archive, people: Sequence[Viewer]) -> None:
    """Migrate and fill the database at ``url``."""
    database = Database(url)
    await migrate(database)
    await database.close()
    if url.startswith("sqlite"):
        _fill_sqlite(url.removeprefix("sqlite:///"), archive, people)
    else:
        await _fill_postgres(url, archive, people)


async def _fill_postgres(url: str, archive: Archive, people: Sequence[Viewer]) -> None:
    connection: Any = await asyncpg.connect(url, server_settings={"jit": "off"})
    try:
        await connection.execute("SET session_replication_role = replica")  # no triggers: they check foreign keys
        await connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
        for statement in SIDE_TABLES:
            await connection.execute(statement.format(text='varchar COLLATE "C"'))
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY ($1) AND NOT EXISTS"
            " (SELECT 1 FROM pg_constraint WHERE conname = indexname)",
            _LARGE,
        )
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        await connection.execute("ALTER TABLE file_scopes DROP CONSTRAINT pk_file_scopes")
        for rows in rows_of(archive, people):
            await connection.copy_records_to_table(rows.table, records=rows.values, columns=rows.columns)
        await connection.execute(ABOVE)
        # Rows lie as they would have come, file after file: sorted by scope they would be read faster than in life.
        await connection.execute(SCOPES.format(order="2, 3"))
        await connection.execute(
            "ALTER TABLE file_scopes ADD CONSTRAINT pk_file_scopes PRIMARY KEY (scope, created_at, file_id)"
        )
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute("ANALYZE")  # not VACUUM: the newest files of a busy archive have not seen one either
    finally:
        await connection.close()


def _fill_sqlite(path: str, archive: Archive, people: Sequence[Viewer]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        for statement in SIDE_TABLES:
            connection.execute(statement.format(text="varchar"))
        marks = ", ".join("?" * len(_LARGE))
        indexes = connection.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({marks})",
            _LARGE,
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for rows in rows_of(archive, people):
            places = ", ".join("?" * len(rows.columns))
            insert = f"INSERT INTO {rows.table} ({', '.join(rows.columns)}) VALUES ({places})"
            connection.executemany(insert, _as_sqlite(rows))
        connection.execute(ABOVE)
        connection.execute(SCOPES.format(order="1, 2, 3"))  # the table is its own primary key
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _as_sqlite(rows: Rows) -> Iterator[Sequence[object]]:
    for row in rows.values:
        yield [value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value for value in row]
