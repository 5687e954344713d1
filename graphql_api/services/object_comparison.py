"""The store's objects and the rows that name them, both read in order of key, a page of each at a time."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio

from graphql_api.db import recorded_objects
from graphql_api.db.engine import Database
from graphql_api.db.recorded_objects import NamedBy
from graphql_api.model.finding import Finding, FindingKind
from graphql_api.model.ids import is_object_key
from graphql_api.model.parts import Remains, StoreUpload
from graphql_api.model.stored_object import ListedObject, RecordedObject
from graphql_api.model.upload import UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.completion import Completion
from graphql_api.services.reconciling import CheckedPage
from graphql_api.services.strays import Strays
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.verification import alteration
from graphql_api.storage import ObjectStore

PAGE: Final = 1_000  # objects, and rows; the most that a store lists at once
AT_ONCE: Final = 8  # questions to the store

_REMOVED: Final = (FindingKind.ORPHAN, FindingKind.LEFT_BEHIND)
_UNNAMED: Final = {
    None: FindingKind.ORPHAN,
    NamedBy.ENDED: FindingKind.LEFT_BEHIND,
    NamedBy.PENDING: FindingKind.UNCOMPLETED,
}


class ObjectCheck:
    """Finds bytes without a file, and files without their bytes. Only what the store says is older than ``safe_age`` is
    called superfluous; what is missing or other is asked for by its key before it is said.

    ``prefix``: of the keys that are compared, ASCII and not empty.
    """

    name = "objects"

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        completion: Completion,
        upkeep: Upkeep,
        clock: Clock,
        *,
        prefix: str,
        safe_age: timedelta,
    ) -> None:
        self._database = database
        self._store = store
        self._completion = completion
        self._upkeep = upkeep
        self._clock = clock
        self._prefix = prefix
        self._safe_age = safe_age

    async def page(self, after: str | None) -> CheckedPage:
        """The rows are read after the store was: what they name but it did not list may have arrived in between, and
        what it listed had a row before it had bytes.
        """
        objects = await self._store.list_objects(self._prefix, after=after, limit=PAGE)
        async with self._database.autocommit() as connection:
            recorded, bound = await recorded_objects.list_recorded(connection, self._prefix, after=after, limit=PAGE)
        bounds = [bound, objects[-1].key if len(objects) == PAGE else None]
        last = min((key for key in bounds if key is not None), default=None)
        assert last is None or after is None or last > after, "a store lists in order of key"
        listed = {one.key: one for one in objects if last is None or one.key <= last}
        wanted = {one.key: one for one in recorded if last is None or one.key <= last}
        youngest = self._clock() - self._safe_age
        superfluous = [one for one in listed.values() if one.key not in wanted and one.modified_at <= youngest]
        suspects = [one for one in wanted.values() if not _looks_right(one, listed.get(one.key))]
        findings = [*await self._without_file(superfluous), *await self._not_as_recorded(suspects)]
        findings.sort(key=lambda finding: finding.subject)
        return CheckedPage(len(listed.keys() | wanted.keys()), findings, last)

    async def _without_file(self, objects: Sequence[ListedObject]) -> Sequence[Finding]:
        foreign = [one for one in objects if not is_object_key(one.key)]
        ours = [one for one in objects if is_object_key(one.key)]
        naming: Mapping[str, NamedBy] = {}
        if ours:
            async with self._database.autocommit() as connection:
                naming = await recorded_objects.find_naming(connection, [one.key for one in ours])
        kinds = [(one, FindingKind.FOREIGN) for one in foreign]
        kinds += [(one, kind) for one in ours if (kind := _UNNAMED.get(naming.get(one.key))) is not None]
        return [Finding(kind, one.key, f"{one.size} bytes since {_at(one.modified_at)}") for one, kind in kinds]

    async def _not_as_recorded(self, suspects: Sequence[RecordedObject]) -> Sequence[Finding]:
        """Ask the store for each, and then the database again: whoever deletes a file removes its row first."""
        suspected: dict[str, Finding] = {}
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def ask(recorded: RecordedObject) -> None:
            async with limiter:
                found = await self._store.find(recorded.key)
            if found is None:
                detail = f"{recorded.file_id} has no bytes"
                suspected[recorded.key] = Finding(FindingKind.BROKEN, recorded.key, detail)
            elif (difference := alteration(recorded, found)) is not None:
                detail = f"{recorded.file_id}: {difference}"
                suspected[recorded.key] = Finding(FindingKind.ALTERED, recorded.key, detail)

        try:
            async with anyio.create_task_group() as group:
                for recorded in suspects:
                    group.start_soon(ask, recorded)
        except* Exception as errors:
            raise errors.exceptions[0] from None  # the first: callers know the typed errors, not groups of them
        if not suspected:
            return ()
        async with self._database.autocommit() as connection:
            still = await recorded_objects.find_recorded(connection, suspected)
        return [suspected[key] for key in still]

    async def fix(self, findings: Sequence[Finding]) -> Collection[Finding]:
        """Superfluous bytes are handed to upkeep, uploads whose bytes are there are completed. What a file lacks nobody
        can bring back, and what is not ours is not removed.
        """
        fixed = []
        superfluous = [finding for finding in findings if finding.kind in _REMOVED]
        async with self._database.transaction() as connection:
            naming = await recorded_objects.find_naming(connection, [finding.subject for finding in superfluous])
            for finding in superfluous:
                if naming.get(finding.subject) in (None, NamedBy.ENDED):
                    fixed.append(finding)
            await self._upkeep.schedule_removal(connection, [Remains(finding.subject) for finding in fixed])
        for finding in findings:
            if finding.kind is FindingKind.UNCOMPLETED:
                upload = await self._completion.arrived(finding.subject)
                if upload is not None and upload.status is not UploadStatus.PENDING:
                    fixed.append(finding)
        return fixed


class StrayCheck:
    """Finds uploads in parts, open at the store, that no row names."""

    name = "open uploads"

    def __init__(self, strays: Strays, *, prefix: str, safe_age: timedelta) -> None:
        self._strays = strays
        self._prefix = prefix
        self._safe_age = safe_age

    async def page(self, after: str | None) -> CheckedPage:
        place = None if after is None else StoreUpload(*json.loads(after))
        page = await self._strays.page(self._prefix, after=place, safe_age=self._safe_age)
        findings = [
            Finding(FindingKind.STRAY, one.upload.key, f"begun {_at(one.begun_at)}", one.upload.id)
            for one in page.strays
        ]
        last = None if page.last is None else json.dumps([page.last.key, page.last.id])
        return CheckedPage(page.examined, findings, last)

    async def fix(self, findings: Sequence[Finding]) -> Collection[Finding]:
        return [
            finding
            for finding in findings
            if finding.store_upload_id is not None
            and await self._strays.abort(StoreUpload(finding.subject, finding.store_upload_id))
        ]


def _looks_right(recorded: RecordedObject, listed: ListedObject | None) -> bool:
    if listed is None or listed.size != recorded.size:
        return False
    return None in (listed.etag, recorded.etag) or listed.etag == recorded.etag


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
