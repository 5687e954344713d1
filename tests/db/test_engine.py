"""What both databases promise: instants, sizes, checks, writers that wait, and one typed error when they are gone."""

import asyncio
import sqlite3
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from sqlalchemy import insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from graphql_api.db.engine import MAX_OVERFLOW, POOL_SIZE, Database
from graphql_api.db.tables import FileRow, UploadRow, UserRow
from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.ids import ROOT_FOLDER_ID
from tests.postgres import PostgresCluster

NOW = datetime(2026, 11, 22, 12, 0, 0, 123457, tzinfo=UTC)
USER = {"id": "user_1", "issuer": "i", "subject": "s", "display_name": "0", "created_at": NOW}
UPLOAD = {
    "id": "upload_1",
    "owner_id": "user_1",
    "folder_id": ROOT_FOLDER_ID,
    "file_id": "file_1",
    "filename": "a",
    "size": 0,
    "content_type": "a/b",
    "object_key": "o/1",
    "on_conflict": "FAIL",
    "status": "PENDING",
    "created_at": NOW,
    "updated_at": NOW,
    "expires_at": NOW,
}
FILE = {
    "id": "file_1",
    "folder_id": ROOT_FOLDER_ID,
    "owner_id": "user_1",
    "name": "a",
    "name_key": "a",
    "size": 0,
    "content_type": "a/b",
    "stored_content_type": "a/b",
    "object_key": "o/1",
    "created_at": NOW,
    "updated_at": NOW,
}


async def write(database: Database, row: Any, **values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(row).values(**values))


async def read(database: Database, column: Any) -> Any:
    async with database.autocommit() as connection:
        return await connection.scalar(select(column))


@pytest.fixture
def sqlite_path(sqlite_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "own.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


@pytest.fixture
async def impatient(sqlite_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{sqlite_path}", patience=0.1)
    yield database
    await database.close()


async def test_an_instant_comes_back_in_utc_to_the_microsecond_and_a_naive_one_is_refused(database: Database) -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    await write(database, UserRow, **USER | {"created_at": tokyo})
    found = await read(database, UserRow.created_at)
    assert found == NOW
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="names no instant") as caught:
        await write(database, UserRow, **USER | {"id": "user_2", "created_at": NOW.replace(tzinfo=None)})
    assert isinstance(caught.value.orig, ValueError)


async def test_what_the_tables_forbid_is_refused_and_is_not_unavailable(database: Database) -> None:
    await write(database, UserRow, **USER)
    for row, values in (
        (UploadRow, UPLOAD | {"status": "HALFWAY"}),
        (UploadRow, UPLOAD | {"method": "MULTIPART"}),  # and does not say how large its parts are
        (UploadRow, UPLOAD | {"method": "CARRIER_PIGEON"}),
        (UploadRow, UPLOAD | {"status": "pending"}),
        (UploadRow, UPLOAD | {"status": "FAILED"}),  # and does not say why
        (UploadRow, UPLOAD | {"failure_code": "SIZE_MISMATCH", "failure_message": "but is PENDING"}),
        (UploadRow, UPLOAD | {"status": "FAILED", "failure_code": "WHIM", "failure_message": "unknown"}),
        (UploadRow, UPLOAD | {"on_conflict": "OVERWRITE"}),
        (UploadRow, UPLOAD | {"size": -1}),
        (UploadRow, UPLOAD | {"folder_id": "folder_absent"}),
        (UploadRow, UPLOAD | {"owner_id": "user_absent"}),
        (FileRow, FILE | {"size": -1}),
        (FileRow, FILE | {"folder_id": "folder_absent"}),
    ):
        with pytest.raises(IntegrityError):
            await write(database, row, **values)
    await write(database, UploadRow, **UPLOAD)
    await write(database, FileRow, **FILE | {"size": 2**53 - 1})
    assert await read(database, FileRow.size) == 2**53 - 1


async def test_text_sorts_by_code_point(database: Database) -> None:
    for number, name in enumerate(["ä", "z", "B", "a", "猫", "😀"]):
        await write(database, UserRow, **USER | {"id": f"user_{number}", "subject": name})
    async with database.autocommit() as connection:
        names = list(await connection.scalars(select(UserRow.subject).order_by(UserRow.subject)))
    assert names == sorted(names) == ["B", "a", "z", "ä", "猫", "😀"]


async def test_a_bug_is_shown_as_it_is_and_changes_nothing(database: Database) -> None:
    with pytest.raises(DBAPIError, match="absent"):
        await read(database, literal_column("absent"))

    class Bug(Exception):
        pass

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute(insert(UserRow).values(**USER))
            raise Bug

    with pytest.raises(Bug):
        await fail()
    assert await read(database, UserRow.id) is None


async def test_no_parameter_stands_in_the_text_of_a_failure(database: Database) -> None:
    secret = "correct horse battery staple"
    await write(database, UserRow, **USER | {"subject": secret})
    for values in (
        USER | {"id": "user_2", "subject": secret},  # not unique
        USER | {"id": "user_2", "subject": secret, "display_name": None},  # not null
        USER | {"id": "user_2", "subject": secret, "issuer": "other", "created_at": secret},  # of the wrong type
        USER | {"id": "user_2", "subject": secret + "\ud800"},  # not encodable
    ):
        with pytest.raises((StatementError, AttributeError, UnicodeEncodeError)) as caught:
            await write(database, UserRow, **values)
        assert secret not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite+pysqlite:///x", "sqlite://", "sqlite:///:memory:", "", "nonsense"]
)
def test_any_other_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        Database(url)


def test_an_unknown_option_in_the_address_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"not known: sslrootcertificate$"):
        Database("postgresql://user:secret@localhost/x?sslrootcertificate=here&sslmode=require")


@pytest.mark.parametrize(("sslmode", "asks_for_tls"), [("require", True), ("disable", False)])
async def test_sslmode_reaches_the_server(sslmode: str, asks_for_tls: bool) -> None:
    first_words: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_words.append(await reader.readexactly(8))
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(f"postgresql://user@127.0.0.1:{port}/name?sslmode={sslmode}")
        with pytest.raises(Unavailable):
            await database.check()
        await database.close()
    ssl_request = (8).to_bytes(4) + (80877103).to_bytes(4)  # PostgreSQL manual, "Message Formats", SSLRequest
    assert (ssl_request in first_words) == asks_for_tls


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_transaction_of_whoever_has_vanished_is_ended_by_the_server(database: Database) -> None:
    """That it is takes a minute: see tests/faults/test_killed_api.py."""
    assert await read(database, text("current_setting('idle_in_transaction_session_timeout')")) == "1min"


async def test_no_free_connection_is_unavailable(database_url: str) -> None:
    database = Database(database_url, patience=2)  # to open twenty takes its time, too
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE + MAX_OVERFLOW):
            await stack.enter_async_context(database.autocommit())
        with pytest.raises(Unavailable):
            await database.check()
    await database.check()
    await database.close()


async def test_sqlite_keeps_a_log_and_checks_keys(impatient: Database) -> None:
    async with impatient.autocommit() as connection:
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1


async def test_writers_on_sqlite_take_turns_in_the_order_in_which_they_came(sqlite_path: Path) -> None:
    database = Database(f"sqlite:///{sqlite_path}")
    await write(database, UserRow, **USER)
    came: list[int] = []

    async def count(turn: int) -> None:
        async with database.transaction() as connection:
            came.append(turn)
            number = int(await connection.scalar(select(UserRow.display_name)) or "")
            await asyncio.sleep(0)
            await connection.execute(update(UserRow).values(display_name=str(number + 1)))

    await asyncio.gather(*map(count, range(40)))
    assert await read(database, UserRow.display_name) == "40"
    assert came == list(range(40))
    await database.close()


async def test_whose_turn_does_not_come_is_told_and_those_behind_go_on(impatient: Database) -> None:
    async with impatient.transaction():
        with pytest.raises(Unavailable):
            async with impatient.transaction():
                pytest.fail("two write at once")
    with pytest.raises(LookupError):
        async with impatient.transaction():
            raise LookupError
    given_up = asyncio.create_task(write(impatient, UserRow, **USER))
    async with impatient.transaction():
        await asyncio.sleep(0)
        given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await write(impatient, UserRow, **USER)
    assert await read(impatient, UserRow.id) == "user_1"


async def test_a_locked_sqlite_can_be_read_but_not_written_until_it_is_free(
    impatient: Database, sqlite_path: Path
) -> None:
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert await read(impatient, UserRow.id) is None
    with pytest.raises(Unavailable) as caught:
        await write(impatient, UserRow, **USER)
    assert caught.value.part == "database"
    other.execute("COMMIT")
    other.close()
    await write(impatient, UserRow, **USER)
    assert await read(impatient, UserRow.id) == "user_1"


async def test_a_sqlite_that_another_keeps_to_itself_is_unavailable(impatient: Database, sqlite_path: Path) -> None:
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable):
        await impatient.check()
    other.execute("COMMIT")
    other.close()
    await impatient.check()


async def test_a_sqlite_in_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/absent/test.db")
    with pytest.raises(Unavailable):
        await database.check()
    (tmp_path / "absent").mkdir()
    await database.check()
    await database.close()


async def test_a_postgresql_that_is_down_is_unavailable_and_works_when_it_is_back(
    own_postgres: PostgresCluster,
) -> None:
    database = Database(own_postgres.create_database())
    await database.check()

    async def work_while_it_stops() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE half_done (id INTEGER)"))
            own_postgres.control("stop", "-m", "fast")
            await connection.execute(text("INSERT INTO half_done VALUES (1)"))

    with pytest.raises(Unavailable):
        await work_while_it_stops()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await database.check()
        with pytest.raises(Unavailable):
            await work_while_it_stops()
    own_postgres.control("restart")
    await database.check()
    assert await read(database, text("to_regclass('half_done')")) is None
    # With a connection waiting in the pool: whoever comes next does not pay for the restart.
    await anyio.to_thread.run_sync(own_postgres.control, "restart", "-m", "immediate")
    await database.check()
    await database.close()


async def test_a_snapshot_sees_one_state_and_holds_no_writer(database: Database) -> None:
    version = text("SELECT version FROM policy_state")
    async with database.snapshot() as reading:
        before = await reading.scalar(version)
        async with database.transaction() as writing:
            await writing.execute(text("UPDATE policy_state SET version = version + 1"))
        assert await reading.scalar(version) == before
    async with database.autocommit() as reading:
        assert await reading.scalar(version) == before + 1
