"""Signals travel inside the transaction, whole, to every process; what may have been lost is said."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.engine import Database
from graphql_api.db.listener import Listener
from graphql_api.db.signals import MAX_PAYLOAD, MAX_WAITING, Mailbox, Signals, announce, decoded, encoded
from graphql_api.model.ids import FileId, FolderId, UploadId, UserId
from graphql_api.model.labels import MAX_LABELS
from graphql_api.model.signal import (
    Departed,
    EntryChanged,
    FolderChange,
    FolderGone,
    KeysChanged,
    Signal,
    UploadChanged,
)
from graphql_api.model.upload import UploadStatus
from graphql_api.services.announcements import MAX_NAMED
from tests.conftest import PATIENCE
from tests.postgres import PostgresCluster
from tests.services.stories import promised, send
from tests.watching import listening, watching_upload
from tests.world import World

HOME = FolderId("folder_" + "1" * 26)
ids = st.integers(0, 10**26 - 1).map(lambda number: f"{number:026}")
tags = st.frozensets(ids, max_size=20)
signals = st.one_of(
    st.builds(UploadChanged, ids.map(lambda it: UploadId(f"upload_{it}"))),
    st.builds(KeysChanged),
    st.builds(FolderGone, ids.map(lambda it: FolderId(f"folder_{it}"))),
    st.builds(
        EntryChanged,
        st.sampled_from([change for change in FolderChange if change is not FolderChange.REFRESH]),
        ids.map(lambda it: FolderId(f"folder_{it}")),
        ids.map(lambda it: FileId(f"file_{it}")) | ids.map(lambda it: FolderId(f"folder_{it}")),
        st.none() | st.builds(Departed, st.none() | ids.map(lambda it: UserId(f"user_{it}")), tags, tags, tags),
    ),
)


@given(st.lists(signals, max_size=60))
def test_what_is_written_is_read_again_in_order(sent: list[Signal]) -> None:
    payloads = encoded(sent)
    assert [signal for payload in payloads for signal in decoded(payload)] == sent
    assert all(len(payload.encode()) <= MAX_PAYLOAD for payload in payloads)


def test_the_largest_signal_fits() -> None:
    subjects = frozenset(f"group_{number:026}" for number in range(MAX_NAMED))
    largest = Departed(
        UserId("user_" + "z" * 26), frozenset(f"{number:018}" for number in range(MAX_LABELS)), subjects, subjects
    )
    [payload] = encoded([EntryChanged(FolderChange.MOVED_OUT, HOME, FolderId("folder_" + "z" * 26), largest)])
    assert len(payload) <= MAX_PAYLOAD


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "1",
        "null",
        "[1]",
        "[[]]",
        '[["upload"]]',
        '[["later", 1]]',
        '[["entry", "X", "a", "b"]]',
        '[["upload", []]]',
        '{"a": 1}',
    ],
)
def test_what_another_version_writes_is_not_taken_for_ours(payload: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever says so
        decoded(payload)


def change(kind: FolderChange, number: int = 1) -> EntryChanged:
    return EntryChanged(kind, HOME, FileId(f"file_{number}"))


async def test_of_several_signals_about_a_file_the_last_is_told() -> None:
    came, changed, went = FolderChange.CREATED, FolderChange.UPDATED, FolderChange.DELETED
    for told, kept in (
        ([changed, changed], changed),
        ([came, changed], came),
        ([FolderChange.MOVED_IN, changed], FolderChange.MOVED_IN),
        ([came, changed, went], went),
        ([FolderChange.MOVED_OUT, FolderChange.MOVED_IN], FolderChange.MOVED_IN),
    ):
        box = Mailbox()
        for kind in told:
            box.put(change(kind))
        assert [signal.change for signal in (await box.take()).signals if isinstance(signal, EntryChanged)] == [kept]


async def test_a_mailbox_is_bounded_and_says_so() -> None:
    box = Mailbox()
    for number in range(10 * MAX_WAITING):
        box.put(change(FolderChange.UPDATED, number))
    told = await box.take()
    assert len(told.signals) <= MAX_WAITING
    assert not told.is_all
    box.put(change(FolderChange.UPDATED))
    assert (await box.take()).is_all


async def test_an_announcement_without_a_transaction_is_a_bug(database: Database) -> None:
    async with database.autocommit() as connection:
        with pytest.raises(KeyError):
            announce(connection, UploadChanged(UploadId("upload_1")))


@asynccontextmanager
async def postgres_world(postgres: PostgresCluster, template: str) -> AsyncIterator[tuple[World, str]]:
    url = postgres.create_database(template=template)
    database = Database(url, patience=PATIENCE)
    yield World(database), url
    await database.close()
    postgres.drop_database(url)


async def test_many_signals_of_one_transaction_arrive_whole(postgres: PostgresCluster, postgres_template: str) -> None:
    many = [FolderGone(FolderId(f"folder_{number:026}")) for number in range(1_000)]
    async with postgres_world(postgres, postgres_template) as (world, url), listening(world, url):
        with ExitStack() as stack:
            boxes = [stack.enter_context(world.database.signals.watch(signal.topic)) for signal in many]
            async with world.database.transaction() as connection:
                announce(connection, *many)
            for box, signal in zip(boxes, many, strict=True):
                assert (await asyncio.wait_for(box.take(), PATIENCE)).signals == (signal,)


async def test_every_process_is_told(postgres: PostgresCluster, postgres_template: str) -> None:
    """Two database objects share nothing but the server."""
    async with postgres_world(postgres, postgres_template) as (world, url):
        other_database = Database(url, patience=PATIENCE)
        other = World(other_database, store_of=lambda _clock: world.store, clock=world.clock)
        ada, ada_there = await world.principal("ada"), await other.principal("ada")
        upload = await promised(world, ada)
        async with (
            listening(world, url),
            listening(other, url),
            watching_upload(world, ada, upload.id) as here,
            watching_upload(other, ada_there, upload.id) as there,
        ):
            for watcher in (here, there):
                assert (await watcher.next()).upload.status is UploadStatus.PENDING
            send(world, upload)
            await other.services.completion.complete(ada_there, upload.id)
            for watcher in (here, there):
                assert (await watcher.next()).upload.status is UploadStatus.COMPLETED
        await other_database.close()


async def test_a_listener_that_was_cut_off_comes_back_and_what_was_missed_is_seen(
    postgres: PostgresCluster, postgres_template: str
) -> None:
    async with postgres_world(postgres, postgres_template) as (world, url):
        ada = await world.principal("ada")
        upload = await promised(world, ada)
        async with listening(world, url) as listener, watching_upload(world, ada, upload.id) as watcher:
            assert (await watcher.next()).upload.status is UploadStatus.PENDING
            async with world.database.autocommit() as connection:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                assert (await connection.execute(text(cut))).rowcount == 1
                while listener.is_listening.is_set():  # noqa: ASYNC110 -- an event tells that it is set, not that it is not
                    await asyncio.sleep(0.01)
            await world.services.uploads.abort(ada, upload.id)  # nobody listens
            assert (await watcher.next()).upload.status is UploadStatus.ABORTED


class Faulty:
    """A database of which the first connection shows a bug."""

    is_sqlite = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self.has_failed = False

    def autocommit(self) -> AbstractAsyncContextManager[AsyncConnection]:
        if not self.has_failed:
            self.has_failed = True
            raise ZeroDivisionError
        return self._database.autocommit()


async def test_a_listener_outlives_a_bug(
    postgres: PostgresCluster, postgres_template: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with postgres_world(postgres, postgres_template) as (world, _):
        faulty = Faulty(world.database)
        listener = Listener(cast("Database", faulty), world.database.signals)
        task = asyncio.create_task(listener.run())
        await asyncio.wait_for(listener.is_listening.wait(), PATIENCE)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert faulty.has_failed
    assert "listener_failed" in caplog.text


async def test_a_payload_of_another_version_is_as_good_as_missed(
    postgres: PostgresCluster, postgres_template: str
) -> None:
    async with postgres_world(postgres, postgres_template) as (world, url), listening(world, url):
        with world.database.signals.watch("anything") as box:
            async with world.database.transaction() as connection:
                await connection.execute(text("NOTIFY graphql_api_signals, 'something new'"))
            assert not (await asyncio.wait_for(box.take(), PATIENCE)).is_all


class Wire:
    """A Unix socket in front of a server, which can be cut and laid again."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._folder = tempfile.TemporaryDirectory(prefix="wire-", dir="/tmp")  # a socket's path is short
        self._behind = Path(str(parsed.query["host"])) / ".s.PGSQL.5432"
        self._path = Path(self._folder.name) / ".s.PGSQL.5432"
        self.url = parsed.update_query_dict({"host": self._folder.name}).render_as_string(hide_password=False)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def lay(self) -> None:
        self._server = await asyncio.start_unix_server(self._join, self._path)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def end(self) -> None:
        await self.cut()
        self._folder.cleanup()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
        self._writers |= {writer, behind_writer}
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._copy(reader, behind_writer), self._copy(behind_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_watchers_outlast_a_database_that_went_away(postgres: PostgresCluster, postgres_template: str) -> None:
    async with postgres_world(postgres, postgres_template) as (world, url):
        wire = Wire(url)
        await wire.lay()
        far = World(Database(wire.url, patience=PATIENCE), store_of=lambda _clock: world.store, clock=world.clock)
        ada = await far.principal("ada")
        upload = await promised(far, ada)
        async with listening(far, wire.url), watching_upload(far, ada, upload.id) as watcher:
            assert (await watcher.next()).upload.status is UploadStatus.PENDING
            waiting = asyncio.create_task(watcher.next())
            await wire.cut()
            far.database.signals.miss()  # it looks, and finds no database
            await asyncio.sleep(0.05)
            await world.services.uploads.abort(ada, upload.id)
            assert not waiting.done()
            await wire.lay()
            assert (await waiting).upload.status is UploadStatus.ABORTED
        await far.database.close()
        await wire.end()


def test_signals_that_nobody_waits_for_are_dropped() -> None:
    hub = Signals()
    hub.deliver([UploadChanged(UploadId("upload_1"))])
    assert hub.watched == 0
