"""The store's objects and the rows that name them, both read in order of key, a page of each at a time."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio

from graphql_api.db import deletions, recorded_objects
from graphql_api.db.engine import Database
from graphql_api.model.bundle import may_be_entry_key
from graphql_api.model.finding import Finding, FindingKind, Remedy
from graphql_api.model.ids import is_object_key
from graphql_api.model.parts import Remains, StoreUpload
from graphql_api.model.stored_object import ListedObject, RecordedObject
from graphql_api.services.announcements import bytes_withheld
from graphql_api.services.clock import Clock
from graphql_api.services.reconciling import CheckedPage
from graphql_api.services.strays import Strays
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.verification import alteration
from graphql_api.storage import ObjectStore

PAGE: Final = 1_000  # objects, and rows; the most that a store lists at once
AT_ONCE: Final = 8  # questions to the store


class ObjectCheck:
    """Finds bytes without a file, and files without their bytes. Only what the store says is older than ``safe_age`` is
    called an orphan; what is missing or other is asked for by its key before it is said.

    ``prefix``: of the keys that are compared, ASCII and not empty.
    """

    name = "objects"

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        upkeep: Upkeep,
        clock: Clock,
        *,
        prefix: str,
        safe_age: timedelta,
        page_size: int = PAGE,
    ) -> None:
        self._database = database
        self._store = store
        self._upkeep = upkeep
        self._clock = clock
        self._prefix = prefix
        self._safe_age = safe_age
        self._page_size = page_size

    async def page(self, after: str | None) -> CheckedPage:
        """The rows are read after the store was: what they name but it did not list may have arrived in between, and
        what it listed had a row before it had bytes.
        """
        oldest_left_alone = self._clock() - self._safe_age
        size = self._page_size
        objects = await self._store.list_objects(self._prefix, after=after, limit=size)
        async with self._database.autocommit() as connection:
            recorded, bound = await recorded_objects.list_recorded(connection, self._prefix, after=after, limit=size)
        bounds = [bound, objects[-1].key if len(objects) == size else None]
        last = min((key for key in bounds if key is not None), default=None)
        assert last is None or after is None or last > after, "a store lists in order of key"
        listed = {one.key: one for one in objects if last is None or one.key <= last}
        wanted = {one.key: one for one in recorded if last is None or one.key <= last}
        spare = [one for one in listed.values() if one.key not in wanted and one.modified_at <= oldest_left_alone]
        suspects = [one for one in wanted.values() if not _looks_right(one, listed.get(one.key))]
        findings = [*await self._without_use(spare), *await self._not_as_recorded(suspects)]
        findings.sort(key=lambda finding: finding.subject)
        return CheckedPage(len(listed.keys() | wanted.keys()), findings, last)

    async def _without_use(self, objects: Sequence[ListedObject]) -> Sequence[Finding]:
        if not objects:
            return ()
        async with self._database.autocommit() as connection:
            known = await recorded_objects.find_known(connection, [one.key for one in objects])
            refused = await deletions.find_refused(connection, known)
        findings: list[Finding] = []
        for one in objects:
            detail = f"{one.size} bytes since {_at(one.modified_at)}"
            if one.key in refused:
                detail += f", which the store refuses to remove since {_at(refused[one.key])}"
                findings.append(Finding(FindingKind.REFUSED, one.key, detail))
            elif one.key not in known:
                is_ours = is_object_key(one.key) or may_be_entry_key(one.key)
                kind = FindingKind.ORPHAN if is_ours else FindingKind.FOREIGN
                findings.append(Finding(kind, one.key, detail))
        return findings

    async def _not_as_recorded(self, suspects: Sequence[RecordedObject]) -> Sequence[Finding]:
        """Ask the store for each, and then the database again: whoever deletes a file removes its row first."""
        suspected: dict[str, Finding] = {}
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def ask(recorded: RecordedObject) -> None:
            async with limiter:
                finding = await self._compared(recorded)
            if finding is not None:
                suspected[recorded.key] = finding

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

    async def _compared(self, recorded: RecordedObject) -> Finding | None:
        found = await self._store.find(recorded.key)
        if found is None:
            return Finding(FindingKind.BROKEN, recorded.key, f"{recorded.file_id} has no bytes")
        difference, since = alteration(recorded, found), recorded.altered_at
        if difference is not None:
            state = "" if since is None else f", and nobody gets a link since {_at(since)}"
            return Finding(FindingKind.ALTERED, recorded.key, f"{recorded.file_id}: {difference}{state}")
        if since is not None:
            detail = f"{recorded.file_id}: the bytes are right, and nobody gets a link since {_at(since)}"
            return Finding(FindingKind.WITHHELD, recorded.key, detail)
        return None

    async def fix(self, findings: Sequence[Finding]) -> Mapping[Finding, Remedy]:
        """Remove what still no row has a use for, and give what is right again. What a file lacks nobody can bring
        back, what is not ours is not removed, and what the store refuses to remove stays.
        """
        orphans = {finding.subject: finding for finding in findings if finding.kind is FindingKind.ORPHAN}
        fixed = {orphans[key]: remedy for key, remedy in (await self._remove_orphans(orphans)).items()}
        for finding in findings:
            if finding.kind is FindingKind.WITHHELD and await self._give_again(finding.subject):
                fixed[finding] = Remedy.DONE
        return fixed

    async def _remove_orphans(self, keys: Collection[str]) -> Mapping[str, Remedy]:
        """Those that are still orphans, looked at in the transaction that says so: no key is ever given twice and its
        row comes before its bytes, so an old one that no row names now is named by none later, either.
        """
        if not keys:
            return {}
        async with self._database.transaction() as connection:
            known = await recorded_objects.find_known(connection, keys)
            remains = [Remains(key) for key in keys if key not in known]
            await self._upkeep.schedule_removal(connection, remains)
        removal = await self._upkeep.remove(remains)
        fixed = dict.fromkeys([each.key for each in remains if each.key not in removal.refused], Remedy.SCHEDULED)
        return fixed | dict.fromkeys(removal.gone, Remedy.DONE)

    async def _give_again(self, key: str) -> bool:
        found = await self._store.find(key)
        async with self._database.transaction() as connection:
            recorded = (await recorded_objects.find_recorded(connection, [key])).get(key)
            if recorded is None or found is None or alteration(recorded, found) is not None:
                return False
            unmarked = await recorded_objects.unmark_altered(connection, key)
            if unmarked is not None:
                bytes_withheld(connection, unmarked.file_id, unmarked.folder_id)
        return unmarked is not None


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

    async def fix(self, findings: Sequence[Finding]) -> Mapping[Finding, Remedy]:
        return {
            finding: Remedy.DONE
            for finding in findings
            if finding.store_upload_id is not None
            and await self._strays.abort(StoreUpload(finding.subject, finding.store_upload_id))
        }


def _looks_right(recorded: RecordedObject, listed: ListedObject | None) -> bool:
    if listed is None or listed.size != recorded.size or recorded.altered_at is not None:
        return False
    return None in (listed.etag, recorded.etag) or listed.etag == recorded.etag


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
