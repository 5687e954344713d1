"""Published addresses and the copies that they lead to."""

from collections.abc import Mapping, Sequence
from typing import Final

from graphql_api.db import audit, jobs, publications
from graphql_api.db.engine import Database
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.finding import Finding, FindingKind, Remedy
from graphql_api.model.publication import Publication, PublicationState
from graphql_api.services.announcements import publication_changed
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import COPY_JOB
from graphql_api.services.reconciling import CheckedPage
from graphql_api.storage import ObjectStore

PAGE: Final = 1_000  # copies, and objects; the most that a store lists at once


class CopyCheck:
    """Finds addresses that lead to nothing. Copies that no address leads to are bytes without a use, which
    ``ObjectCheck`` finds.

    ``prefix``: of the keys that are compared, ASCII and not empty.
    """

    name = "published files"

    def __init__(
        self, database: Database, store: ObjectStore, clock: Clock, *, prefix: str, page_size: int = PAGE
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._prefix = prefix
        self._page_size = page_size

    async def page(self, after: str | None) -> CheckedPage:
        """A copy is there before its address is: what the store does not list was lost, or is withdrawn meanwhile."""
        size = self._page_size
        async with self._database.autocommit() as connection:
            live = await publications.list_live(connection, self._prefix, after=after, limit=size)
        if not live:
            return CheckedPage(0, (), None)
        last = live[-1].object_key
        listed = await self._listed(after, last)
        findings = [
            Finding(FindingKind.LOST, each.object_key, f"the published copy of {each.file_id} is not there")
            for each in live
            if each.object_key not in listed and await self._is_lost(each)
        ]
        return CheckedPage(len(live), findings, last if len(live) == size else None)

    async def fix(self, findings: Sequence[Finding]) -> Mapping[Finding, Remedy]:
        """Have a worker copy them again: the address is the same, and is shown again when the copy is there."""
        fixed: dict[Finding, Remedy] = {}
        for finding in findings:
            if await self._store.find(finding.subject) is None and await self._begin_again(finding.subject):
                fixed[finding] = Remedy.SCHEDULED
        return fixed

    async def _listed(self, after: str | None, last: str) -> set[str]:
        """The keys that the store lists from ``after`` to ``last``."""
        found: set[str] = set()
        place = after
        while place is None or place < last:
            objects = await self._store.list_objects(self._prefix, after=place, limit=self._page_size)
            found.update(one.key for one in objects)
            if len(objects) < self._page_size:
                break
            place = objects[-1].key
        return found

    async def _is_lost(self, copy: Publication) -> bool:
        if await self._store.find(copy.object_key) is not None:
            return False
        async with self._database.autocommit() as connection:
            still = await publications.find(connection, copy.object_key)
        return still is not None and still.state is PublicationState.LIVE

    async def _begin_again(self, key: str) -> bool:
        now = self._clock()
        async with self._database.transaction() as connection:
            come_from = PublicationState.LIVE
            if not await publications.move(connection, key, PublicationState.COPYING, come_from=come_from, now=now):
                return False
            await jobs.enqueue(connection, COPY_JOB, key, now=now)
            found = await publications.find(connection, key)
            assert found is not None, "it was moved"
            same = {"objectKey": key}
            event = audit_event(None, AuditAction.FILE_PUBLISHED, found.file_id, now=now, before=same, after=same)
            await audit.insert_events(connection, [event])
            places = await publications.folders_of(connection, [found.file_id])
            for file_id, folder_id in places.items():
                publication_changed(connection, file_id, folder_id)
        return True
