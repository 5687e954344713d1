"""The product on which everything happens: its services, its store and its queue, and how it is read afterwards.

Uploads, files and objects are called by number and folders by handle, as in the model.
"""

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import create_engine, select, text

from graphql_api.bootstrap import reconciling
from graphql_api.db.engine import Database
from graphql_api.db.tables import (
    FileRow,
    FileVersionRow,
    FolderEntryRow,
    FolderRow,
    JobRow,
    ShareLinkRow,
    StorageUsageRow,
    UploadRow,
)
from graphql_api.errors import DeliveryError, UploadMismatch
from graphql_api.model.delivery import LinkWish
from graphql_api.model.ids import OBJECT_PREFIX, ROOT_FOLDER_ID, FileId, FolderId, UserId, VersionId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.parts import StoreUpload
from graphql_api.model.principal import CONTENT_PERMISSIONS, Principal
from graphql_api.model.rule import AccessRule
from graphql_api.model.scan import Judge, ScanResult, ScanVerdict
from graphql_api.model.share import NewShareLink
from graphql_api.model.store_event import StoreEvent
from graphql_api.model.upload import Upload
from graphql_api.services.store_events import StoreEvents
from graphql_api.services.visits import GuessLimits
from tests.memory_queue import MemoryQueue
from tests.memory_store import MemoryStore, crc_of
from tests.services.stories import ruled, unruled
from tests.stateful.blobs import INFECTED, UNSCANNABLE, Blob
from tests.stateful.model.nouns import ADMIN, PEOPLE, SHARED, home_of
from tests.world import Reader, World

MAX_VERSIONS: Final = 2
# Who follows a link that went with its file guesses, as far as the product knows.
ALL_GUESSES: Final = GuessLimits(per_address=1_000, per_link=1_000, window=timedelta(minutes=1))
LEFT_OVER: Final = ("object_deletions", "object_checks", "jobs", "failed_events", "upload_parts")


@lru_cache
def etag_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@lru_cache
def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class TruthfulStore(MemoryStore):
    """Its ETags tell contents apart, and what ``tells_part_checksums`` has one of each whole object, too."""

    def _keep(
        self, key: str, content: bytes, content_type: str, sha256: str | None, *, crc64nvme: str | None = None
    ) -> None:
        if self.tells_part_checksums:
            crc64nvme = crc_of(content)
        super()._keep(key, content, content_type, sha256, crc64nvme=crc64nvme)
        self.objects[key] = (replace(self.objects[key][0], etag=etag_of(content)), content)


class Scanner(Reader):
    """Knows what is infected when it sees it."""

    async def scan(self, content: Any) -> ScanVerdict:
        await super().scan(content)
        return {
            INFECTED: ScanVerdict(ScanResult.INFECTED, "Eicar"),
            UNSCANNABLE: ScanVerdict(ScanResult.UNSCANNABLE),
        }.get(Blob(self.read.pop()), ScanVerdict(ScanResult.CLEAN))


_ALL: Final = [
    select(table.__table__)
    for table in (UploadRow, FileRow, FileVersionRow, FolderRow, FolderEntryRow, StorageUsageRow, ShareLinkRow)
]


class Stage:
    """``await prepare()`` first, and ``await close()`` in the end."""

    def __init__(self, url: str, *, judge: str, tells: bool) -> None:
        database = Database(url, patience=60)
        self._beside = create_engine(url) if database.is_sqlite else None
        self.world = World(
            database,
            judge=Judge(judge),
            scanner=Scanner(),
            max_versions=MAX_VERSIONS,
            guess_limits=ALL_GUESSES,
            store_of=lambda clock: TruthfulStore(clock, tells_part_checksums=tells),
        )
        self.principals: dict[str, Principal] = {}
        self.uploads: dict[int, Upload] = {}  # as they were promised
        self.folders: dict[str, FolderId] = {}
        self.links: dict[int, NewShareLink] = {}
        self.sharing: dict[str, AccessRule] = {}

    async def close(self) -> None:
        await self.world.database.close()
        if self._beside is not None:
            self._beside.dispose()

    async def prepare(self) -> None:
        services = self.world.services
        for person in (*PEOPLE, ADMIN):
            self.principals[person] = await self.world.principal(person, is_admin=person == ADMIN)
        for person in PEOPLE:
            home = await services.accounts.find_home(self.principals[person])
            assert home is not None
            self.folders[home_of(person)] = home
        shared = await services.folders.create(self.principals[ADMIN], ROOT_FOLDER_ID, SHARED)
        self.folders[SHARED] = shared.id
        for person in PEOPLE:
            await self.include(person)

    async def include(self, person: str) -> None:
        permissions = sorted(CONTENT_PERMISSIONS)
        rule = await ruled(self.world, self.principals[person], self.folders[SHARED], *permissions)
        self.sharing[person] = rule

    async def exclude(self, person: str) -> None:
        await unruled(self.world, self.sharing.pop(person))

    # Names for what the product knows by id.

    def user_id(self, person: str) -> UserId:
        user_id = self.principals[person].user_id
        assert user_id is not None
        return user_id

    def file_id(self, number: int) -> FileId:
        return self.uploads[number].file_id

    def key(self, number: int) -> str:
        return self.uploads[number].object_key

    async def store_upload(self, number: int) -> StoreUpload | None:
        """The store's upload that the product names, or named at the end."""
        statement = select(UploadRow.store_upload_id).where(UploadRow.id == self.uploads[number].id)
        async with self.world.database.autocommit() as connection:
            id_ = await connection.scalar(statement)
        return None if id_ is None else StoreUpload(self.key(number), id_)

    async def version_id(self, number: int) -> VersionId:
        """One that no file has, if this object is no version."""
        statement = select(FileVersionRow.id).where(FileVersionRow.object_key == self.key(number))
        async with self.world.database.autocommit() as connection:
            return VersionId(await connection.scalar(statement) or "ver_unknown")

    async def due_scans(self) -> list[int]:
        statement = select(JobRow.subject).where(JobRow.due_at <= self.world.clock(), JobRow.failed_at.is_(None))
        numbers = {upload.object_key: number for number, upload in self.uploads.items()}
        async with self.world.database.autocommit() as connection:
            return [numbers[key] for key in await connection.scalars(statement)]

    async def _rows(self) -> list[Sequence[Any]]:
        """SQLite is read without its driver's thread: this is done after every step."""
        if self._beside is not None:
            with self._beside.connect() as beside:
                return [beside.execute(each).all() for each in _ALL]
        async with self.world.database.autocommit() as connection:
            return [(await connection.execute(each)).all() for each in _ALL]

    async def told(self, *events: StoreEvent) -> bool:
        """One message with these has come; whether it has been dealt with, or is to come again."""
        queue, world = MemoryQueue(), self.world
        queue.put(*events)
        arrived, judged = world.services.completion.arrived, world.verdicts.judged
        await StoreEvents(world.database, queue, world.clock, arrived=arrived, judged=judged).turn()
        return bool(queue.acknowledged)

    async def looked_at(self) -> None:
        """Upkeep's look at what nobody completes."""
        await self.world.services.lookout.look()

    async def scanned(self) -> None:
        while (await self.world.scans.turn()).is_more:
            pass

    async def visible(self, who: str) -> dict[int, tuple[int | None, int]]:
        """The files that somebody may see: the object to which the link of each leads, if it has one, and its size."""
        files, delivery = self.world.services.files, self.world.services.delivery
        page = await files.list(self.principals[who], FileFilter(), FileOrder(), PageRequest(100))
        numbers = {upload.file_id: number for number, upload in self.uploads.items()}
        keys = {upload.object_key: number for number, upload in self.uploads.items()}
        found: dict[int, tuple[int | None, int]] = {}
        for file in page.nodes:
            key = None
            if (grant := delivery.grant(file)) is not None:
                (link,) = delivery.sign((grant,), LinkWish(timedelta(hours=1)))
                key = keys[urlsplit(link.url).path.removeprefix("/")]
            found[numbers[file.id]] = key, file.size
        return found

    async def reconciled(self) -> set[tuple[str, int]]:
        """What did not agree, by kind and number; what could be was put right."""
        world = self.world
        checks = reconciling(
            world.database,
            world.store,
            world.services,
            world.clock,
            prefix=OBJECT_PREFIX,
            safe_age=timedelta(),
            max_removals=1_000,
        )
        names: dict[str, Any] = {upload.object_key: number for number, upload in self.uploads.items()}
        findings = [finding async for step in checks.run(fix=True) for finding in step.page.findings]
        return {(finding.kind.value, names.get(finding.subject, finding.subject)) for finding in findings}

    async def left_over(self) -> dict[str, int]:
        """How many rows there are of tables that are empty when nothing is to be done any more."""
        async with self.world.database.autocommit() as connection:
            counts = [await connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in LEFT_OVER]
        return dict(zip(LEFT_OVER, counts, strict=True))

    async def seen(self) -> dict[str, Any]:
        """Everything that is in the database and in the store, in the form of ``Model.state``; an id that nobody was
        told of stands for itself.
        """
        people = {self.user_id(person): person for person in PEOPLE}
        places: dict[str, str] = {id_: handle for handle, id_ in self.folders.items()}
        uploads = {upload.id: number for number, upload in self.uploads.items()}
        files = {upload.file_id: number for number, upload in self.uploads.items()}
        keys = {upload.object_key: number for number, upload in self.uploads.items()}
        links = {made.link.id: number for number, made in self.links.items()}
        makers = {self.user_id(person): person for person in self.principals}

        def name(names: dict[Any, Any], id_: Any) -> Any:
            return names.get(id_, id_)

        rows = await self._rows()
        upload_rows, file_rows, version_rows, folder_rows, entry_rows, usage_rows, link_rows = rows

        def marked(mark: str) -> dict[Any, bool]:
            """The versions that are, and whether their files are, too."""
            of_files = {row.object_key for row in file_rows if getattr(row, mark) is not None}
            return {
                name(keys, row.object_key): row.object_key in of_files
                for row in version_rows
                if getattr(row, mark) is not None
            }

        versions: dict[str, dict[int, Any]] = {row.id: {} for row in file_rows}
        for row in version_rows:
            versions[row.file_id][row.number] = name(keys, row.object_key)
        usage = dict.fromkeys(PEOPLE, (0, 0))
        usage |= {name(people | places, row.holder): (row.stored, row.reserved) for row in usage_rows}
        store = self.world.store
        return {
            "uploads": {
                name(uploads, row.id): (
                    row.status,
                    row.failure_code,
                    name(places, row.folder_id),
                    row.filename,
                    row.expires_at,
                )
                for row in upload_rows
            },
            "files": {
                name(files, row.id): (
                    name(people, row.owner_id),
                    name(places, row.folder_id),
                    row.name,
                    name(keys, row.object_key),
                    versions[row.id],
                )
                for row in file_rows
            },
            "altered": marked("altered_at"),
            "infected": marked("infected_at"),
            "links": {
                name(links, row.id): (
                    name(makers, row.created_by),
                    name(files | places, row.resource),
                    row.downloads,
                    row.revoked_at is not None,
                )
                for row in link_rows
            },
            "folders": {
                name(places, row.id): (name(places, row.parent_id), row.name)
                for row in folder_rows
                if row.parent_id not in (None, ROOT_FOLDER_ID)
            },
            "names": {
                (name(places, row.folder_id), row.name_key): name(files | places, row.entry_id)
                for row in entry_rows
                if row.folder_id != ROOT_FOLDER_ID
            },
            "usage": usage,
            "objects": {name(keys, key): Blob(content) for key, (_, content) in store.objects.items()},
            "open": sorted(
                (
                    (name(keys, upload.key), {part: Blob(content) for part, content in parts.items()})
                    for upload, parts in store.open.items()
                ),
                key=lambda each: str(each[0]).zfill(9),
            ),
        }


async def outcome_of(work: Awaitable[object]) -> object:
    """What comes of it; of a refusal its name and, when an upload has failed, why."""
    try:
        return await work
    except UploadMismatch as error:
        return f"UploadMismatch {error.failure.code}"
    except DeliveryError as error:
        return type(error).__name__
