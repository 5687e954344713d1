"""The copies of published files, as other use cases see them: whatever takes a file from the public takes its copy too,
in the same transaction. What is only told of here is carried out by ``publishing``.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access import read_grant
from graphql_api.db import audit, files, jobs, publications
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, new_published_key
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Principal
from graphql_api.model.publication import Publication, PublicationState
from graphql_api.model.rule import PLAIN
from graphql_api.services.announcements import publication_changed
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep

COPY_JOB: Final = "copy_publication"
REMOVE_JOB: Final = "remove_publication"
LATE_JOB: Final = "look_for_late_copy"

AT_ONCE: Final = 1_000
"""Copies that one transaction looks at. More can only be below one folder, and whoever moves or deletes a folder moves
the policy version on, after which a worker looks at all copies without a pause.
"""
LATE_AFTER: Final = timedelta(minutes=15)
"""A copy of up to 5 GiB is one request, which the store may bring to its end after the worker that sent it has died. It
takes minutes at most.
"""
UNSEEN: Final = "unseen"
"""In the payload of ``LATE_JOB``: a copy may come late and be gone again before the look, for upkeep removes it, too,
and tells no CDN.
"""


class PublishedCopies:
    """All but ``remove`` is part of the caller's transaction, which has not yet begun to count. What has to go is
    returned, for ``remove`` after the commit.
    """

    def __init__(self, standings: Standings, upkeep: Upkeep, *, at_once: int = AT_ONCE) -> None:
        self._standings = standings
        self._upkeep = upkeep
        self._at_once = at_once

    async def review(
        self, connection: AsyncConnection, principal: Principal | None, ids: Collection[FileId], now: datetime
    ) -> Sequence[Remains]:
        """These files are others than they were; the caller holds their locks. Copies that not everybody may read any
        more are withdrawn, and new bytes take the place of those that a file has no longer.
        """
        return await self._judge(
            connection, principal, await publications.lock_open(connection, ids, self._at_once), now
        )

    async def review_below(
        self, connection: AsyncConnection, principal: Principal, folder_id: FolderId, now: datetime
    ) -> Sequence[Remains]:
        """The same for the files below a folder, which stands elsewhere now; the caller has moved the policy on."""
        below = await publications.lock_open_below(connection, folder_id, self._at_once)
        return await self._judge(connection, principal, below, now)

    async def withdraw_all(
        self, connection: AsyncConnection, principal: Principal, ids: Collection[FileId], now: datetime
    ) -> Sequence[Remains]:
        """These files are gone, whoever might read them."""
        gone = await publications.lock_open(connection, ids, self._at_once)
        return await self.withdraw(connection, principal, gone, now)

    async def begin(self, connection: AsyncConnection, principal: Principal | None, file: File, now: datetime) -> bool:
        """A copy is to be made. False if there is one, or will be."""
        key = new_published_key(now)
        if not await publications.begin(connection, key, file.id, file.object_key, now=now):
            return False
        await jobs.enqueue(connection, COPY_JOB, key, now=now)
        event = audit_event(principal, AuditAction.FILE_PUBLISHED, file.id, now=now, after={"objectKey": key})
        await audit.insert_events(connection, [event])
        return True

    async def withdraw(
        self, connection: AsyncConnection, principal: Principal | None, copies: Sequence[Publication], now: datetime
    ) -> Sequence[Remains]:
        """Those of ``copies`` that are open are to go.

        They are removed once more, later, for a copy that was being made may land after the first time: ``LATE_JOB``
        looks for it, and upkeep removes it in any case when no request can be under way any longer. Of copies that were
        being made just before, it tells the CDN again whatever it sees.
        """
        gone = await publications.withdraw(connection, [each.object_key for each in copies], now=now)
        if not gone:
            return ()
        keys = [each.object_key for each in gone]
        remains = list(map(Remains, keys))
        await self._upkeep.schedule_removal(connection, remains)
        await jobs.enqueue_each(connection, REMOVE_JOB, keys, now=now)
        due_at = now + LATE_AFTER
        recent = {each.object_key for each in copies if _is_recent(each, now)}
        seen, unseen = [key for key in keys if key not in recent], [key for key in keys if key in recent]
        await jobs.enqueue_each(connection, LATE_JOB, seen, now=now, due_at=due_at)
        await jobs.enqueue_each(connection, LATE_JOB, unseen, {UNSEEN: True}, now=now, due_at=due_at)
        events = [
            audit_event(
                principal, AuditAction.FILE_UNPUBLISHED, each.file_id, now=now, before={"objectKey": each.object_key}
            )
            for each in gone
        ]
        await audit.insert_events(connection, events)
        places = await publications.folders_of(connection, [each.file_id for each in gone])
        for file_id, folder_id in places.items():
            publication_changed(connection, file_id, folder_id)
        return remains

    async def remove(self, remains: Sequence[Remains]) -> None:
        """After the commit: the bytes go at once, or soon after. The CDN is told by a worker."""
        await self._upkeep.remove(remains)

    async def _judge(
        self, connection: AsyncConnection, principal: Principal | None, copies: Sequence[Publication], now: datetime
    ) -> Sequence[Remains]:
        if not copies:
            return ()
        everybody = await self._standings.of_anonymous_here(connection)
        found = await files.find_files(connection, everybody, [each.file_id for each in copies])
        going: list[Publication] = []
        renewed: list[File] = []
        for each in copies:
            file = found.get(each.file_id)
            if file is None or not is_public(file):
                going.append(each)
            elif file.object_key != each.source_key:
                going.append(each)
                renewed.append(file)
        remains = await self.withdraw(connection, principal, going, now)
        for file in renewed:
            await self.begin(connection, principal, file, now)
        return remains


def _is_recent(publication: Publication, now: datetime) -> bool:
    """Whether a request for this copy may be under way."""
    return publication.state is PublicationState.COPYING or now < publication.changed_at + LATE_AFTER


def is_public(file: File) -> bool:
    """Whether everybody, for whom ``file`` was found, may download it without conditions, for however long."""
    grant = read_grant(file)
    return grant is not None and replace(grant.terms, until=None) == PLAIN
