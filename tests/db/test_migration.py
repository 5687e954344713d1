"""Migrations on both databases: up, no different from the tables, down to nothing, whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import DBAPIError

from graphql_api.db import deletions
from graphql_api.db.engine import Database
from graphql_api.db.migration import downgrade, migrate, newest_revision, require_newest_schema
from graphql_api.db.tables import Base, BundleEntryRow, BundleRow, FolderRow, ObjectDeletionRow, UserRow
from graphql_api.errors import ConfigurationError
from graphql_api.model.ids import ROOT_FOLDER_ID
from tests.conftest import PATIENCE
from tests.postgres import PostgresCluster

TABLES = set(Base.metadata.tables)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Two databases without a schema."""
    if request.param == "sqlite":
        yield [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    else:
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        urls = [cluster.create_database() for _ in range(2)]
        yield urls
        for url in urls:
            cluster.drop_database(url)


@pytest.fixture
async def empty(empty_urls: list[str]) -> AsyncIterator[Database]:
    database = Database(empty_urls[0])
    yield database
    await database.close()


async def tables(database: Database) -> set[str]:
    async with database.autocommit() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def description(connection: Connection) -> dict[str, Any]:
    """All that the database says of its tables: more than Alembic compares, such as checks and collations."""
    inspector = inspect(connection)
    found: dict[str, Any] = {}
    for table in sorted(TABLES):
        found[table] = {
            "columns": {
                column["name"]: (repr(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            },
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=lambda key: str(key["name"])),
            "unique": sorted(inspector.get_unique_constraints(table), key=lambda unique: str(unique["name"])),
            "checks": sorted(
                (str(check["name"]), "".join(check["sqltext"].split()))
                for check in inspector.get_check_constraints(table)
            ),
            "indexes": sorted(
                (str(index["name"]), index["column_names"], index["unique"], _conditions(index))
                for index in inspector.get_indexes(table)
            ),
        }
    return found


def _conditions(index: ReflectedIndex) -> dict[str, str]:
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}


async def test_migrations_build_what_the_tables_say(empty: Database, empty_urls: list[str]) -> None:
    await migrate(empty)
    async with empty.autocommit() as connection:
        migrated = await connection.run_sync(description)
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}),
                Base.metadata,
            )
        )
    assert differences == []
    other = Database(empty_urls[1])
    async with other.transaction() as connection:
        await connection.run_sync(Base.metadata.create_all)
        created = await connection.run_sync(description)
    await other.close()
    assert migrated == created
    assert migrated["uploads"]["checks"]
    assert migrated["files"]["indexes"]


async def test_down_to_nothing_and_up_again(empty: Database) -> None:
    await migrate(empty)
    assert await tables(empty) == TABLES | {"alembic_version"}
    await downgrade(empty, "base")
    assert await tables(empty) == {"alembic_version"}
    with pytest.raises(ConfigurationError):
        await require_newest_schema(empty)
    await migrate(empty)
    await require_newest_schema(empty)
    await migrate(empty)  # nothing to do is no failure


async def test_the_root_is_there_and_nobody_owns_it(database: Database) -> None:
    async with database.autocommit() as connection:
        [root] = await connection.execute(select(FolderRow.__table__))
    assert (root.id, root.parent_id, root.owner_id, root.name) == (ROOT_FOLDER_ID, None, None, "")
    assert root.created_at.utcoffset() is not None


async def test_an_empty_schema_is_refused_with_what_to_do(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"empty.*graphql-api migrate"):
        await require_newest_schema(empty)


async def test_a_newer_schema_is_served_and_not_migrated(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await require_newest_schema(database)
    assert caplog.messages == [f"schema_newer database=9999 code={newest_revision()}"]
    with pytest.raises(ConfigurationError, match=r"9999.*newer than this version"):
        await migrate(database)


async def test_many_may_migrate_at_once(empty: Database, empty_urls: list[str]) -> None:
    others = [Database(empty_urls[0], patience=PATIENCE) for _ in range(6)]
    await asyncio.gather(*map(migrate, others))
    for other in others:
        await other.close()
    await require_newest_schema(empty)


async def test_a_migration_that_fails_half_way_leaves_nothing(empty: Database) -> None:
    async with empty.transaction() as connection:
        await connection.execute(text("CREATE TABLE uploads (in_the_way INTEGER)"))  # the last that is made
    with pytest.raises(DBAPIError, match="uploads"):
        await migrate(empty)
    assert await tables(empty) == {"uploads"}
    async with empty.transaction() as connection:
        await connection.execute(text("DROP TABLE uploads"))
    await migrate(empty)
    await require_newest_schema(empty)


FILES = (
    "INSERT INTO users (id, issuer, subject, display_name, created_at) VALUES ('user_1', 'i', 's', 'n', :now)",
    *(
        "INSERT INTO files (id, folder_id, owner_id, name, name_key, size, content_type, stored_content_type, "
        f"object_key, created_at, updated_at) VALUES ('file_{n}', '{ROOT_FOLDER_ID}', 'user_1', '{n}', '{n}', 1, "
        f"'{type_}', 'text/plain', 'o/{n}', :now, :now)"
        for n, type_ in ((1, "text/plain"), (2, "text/csv"))
    ),
    *(
        "INSERT INTO file_versions (id, file_id, number, object_key, size, content_type, created_by, created_at) "
        f"VALUES ('version_{file}{n}', 'file_{file}', {n}, '{key}', 1, 'text/plain', 'user_1', :now)"
        for file, n, key in ((1, 1, "o/1"), (2, 1, "o/x"), (2, 2, "o/y"), (2, 3, "o/2"))
    ),
    "INSERT INTO audit_events (id, occurred_at, actor_id, action, target) "
    "VALUES ('event_1', :now, 'user_1', 'FILE_MOVED', 'file_1')",
)


async def test_versions_and_the_audit_log_come_through_the_migration_that_is_about_them(empty: Database) -> None:
    await migrate(empty, "0005")
    at = datetime(2026, 11, 22, tzinfo=UTC)
    now = at.replace(tzinfo=None).isoformat(" ", "microseconds") if empty.is_sqlite else at
    async with empty.transaction() as connection:
        for statement in FILES:
            await connection.execute(text(statement), {"now": now})
    await migrate(empty)
    async with empty.autocommit() as connection:
        numbers = (await connection.execute(text("SELECT newest_version FROM files ORDER BY id"))).scalars().all()
        corrected = await connection.execute(
            text("SELECT id, corrected_content_type FROM file_versions WHERE corrected_content_type IS NOT NULL")
        )
        events = (await connection.execute(text("SELECT id, action, actor_id, target FROM audit_events"))).all()
        assert numbers == [1, 3]
        assert corrected.all() == [("version_23", "text/csv")]
        assert events == [("event_1", "FILE_MOVED", "user_1", "file_1")]
    with pytest.raises(DBAPIError, match="append-only"):
        async with empty.transaction() as connection:
            await connection.execute(text("UPDATE audit_events SET target = 'x'"))
    async with empty.transaction() as connection:
        await connection.execute(
            text(FILES[-1].replace("event_1", "event_2").replace("FILE_MOVED", "FILE_REPLACED")), {"now": now}
        )
    await downgrade(empty, "0005")
    async with empty.autocommit() as connection:
        assert (await connection.execute(text("SELECT id FROM audit_events"))).scalars().all() == ["event_1"]
    with pytest.raises(DBAPIError, match="append-only"):
        async with empty.transaction() as connection:
            await connection.execute(text("UPDATE audit_events SET target = 'x'"))


async def test_bundles_that_were_being_taken_apart_are_removed_by_the_version_before(empty: Database) -> None:
    await migrate(empty)
    at = datetime(2026, 12, 1, tzinfo=UTC)
    bundle = {
        "owner_id": "user_1",
        "name": "film",
        "main_path": "a",
        "size": 2,
        "content_type": "text/plain",
        "on_conflict": "FAIL",
        "entry_count": 2,
        "missing": 0,
        "status": "COMPLETED",
        "created_at": at,
    }
    entries = [
        {"bundle_id": id_, "path": path, "object_key": f"b/{id_}/{path}", "size": 1, "content_type": "text/plain"}
        for id_ in ("gone", "kept")
        for path in ("a", "b")
    ]
    async with empty.transaction() as connection:
        user = {"id": "user_1", "issuer": "i", "subject": "s", "display_name": "n", "created_at": at}
        await connection.execute(insert(UserRow).values(user))
        await connection.execute(insert(BundleRow).values({**bundle, "id": "gone", "deleted_at": at}))
        await connection.execute(insert(BundleRow).values({**bundle, "id": "kept"}))
        await connection.execute(insert(BundleEntryRow), entries)
        due = {"object_key": "b/gone/a", "due_at": at, "final_at": at}
        await connection.execute(insert(ObjectDeletionRow).values(due))
    await downgrade(empty, "0017")
    async with empty.autocommit() as connection:
        assert list(await connection.scalars(text("SELECT id FROM bundles"))) == ["kept"]
        assert len(list(await connection.scalars(text("SELECT path FROM bundle_entries")))) == 2
        going = (await connection.execute(select(ObjectDeletionRow.__table__).order_by("object_key"))).all()
        assert [row.object_key for row in going] == ["b/gone/a", "b/gone/b"]
        assert going[0].final_at == at
        assert at < going[1].due_at < going[1].final_at
        claimed = await deletions.claim_due(connection, now=going[1].due_at, until=going[1].final_at, limit=10)
        assert len(claimed) == 2
    await migrate(empty)
