"""Bytes without a file go, even when nobody asks, and again when the last PUT to them can have landed."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import bundles, deletions, folders, uploads, usage
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.ids import BundleId, UploadId
from graphql_api.model.parts import Remains
from graphql_api.model.upload import Upload, UploadFailure, UploadStatus
from graphql_api.services.announcements import upload_changed
from graphql_api.services.clock import Clock
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=5)  # for one removal request, which is given up after half a minute
FAILED_AGAIN_AFTER: Final = timedelta(minutes=5)  # for uploads in parts that the store fails to abort
REFUSED_AGAIN_AFTER: Final = timedelta(hours=1)  # for objects that the store refuses to remove, such as locked ones
BATCH: Final = 1_000  # objects of one removal request
AT_ONCE: Final = 2_000  # objects that are removed while somebody waits; the sweep does the rest


@dataclass(frozen=True, slots=True)
class Removal:
    """Keys of objects that are gone, and of those that the store refuses to remove, such as locked ones. Others are
    removed by a later sweep.
    """

    gone: Collection[str]
    refused: Collection[str]


class Upkeep:
    """Any number of processes may run it: every step is repeatable, and a step that fails is done by the next sweep.

    ``longest_target``: how long a target can stay valid; ``transfer_grace``: how long a PUT begun in time may run.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        clock: Clock,
        *,
        longest_target: timedelta,
        transfer_grace: timedelta,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._last_arrival = longest_target + transfer_grace

    async def end(self, upload: Upload, status: UploadStatus, failure: UploadFailure | None = None) -> Upload | None:
        """Move an upload from the state that it is in to an end without a file, remove its bytes and let go of its
        name; None when somebody else was first, or moved the end of one that was to expire. With an entry of a bundle
        all others end. Raises: Unavailable.
        """
        now = self._clock()
        remains: Collection[Remains] = ()
        async with self._database.transaction() as connection:
            if upload.bundle_id is not None:
                await bundles.lock_bundle(connection, upload.bundle_id)
            ended = await uploads.move_upload(
                connection, upload.id, status, now=now, come_from=upload.status, failure=failure
            )
            if ended is not None:
                if upload.status is UploadStatus.PROCESSING:
                    await folders.release_names(connection, [ended.file_id])
                gone: Mapping[UploadId, Remains] = {ended.id: ended.remains}
                if ended.bundle_id is not None and await bundles.abort_bundle(connection, ended.bundle_id):
                    gone = {**gone, **await uploads.abort_entries(connection, ended.bundle_id, now=now)}
                remains = gone.values()
                await self.schedule_removal(connection, remains)
                upload_changed(connection, *gone)
                await usage.release_uploads(connection, gone)
        await self.remove(remains)
        return ended

    async def schedule_removal(self, connection: AsyncConnection, remains: Collection[Remains]) -> None:
        """Part of the caller's transaction: the bytes go now, and again once no PUT to them can be under way."""
        now = self._clock()
        await deletions.schedule_deletions(connection, remains, due_at=now, final_at=now + self._last_arrival)

    async def remove(self, remains: Collection[Remains], deleted: Collection[BundleId] = ()) -> Removal:
        """After the commit: remove what was scheduled, and what ``deleted`` bundles consist of, if it is not too much.
        The rest, or all when the store does not answer, a later sweep does.
        """
        gone: list[str] = []
        refused: list[str] = []
        scheduled, tried = list(remains), 0
        try:
            while tried < AT_ONCE:
                batch, scheduled = scheduled[:BATCH], scheduled[BATCH:]
                if not batch and deleted:
                    batch = await self._take_apart(deleted)
                if not batch:
                    break
                tried += len(batch)
                removal = await self._remove(batch)
                gone += removal.gone
                refused += removal.refused
        except Unavailable as error:
            log.warning("removal_postponed objects=%d part=%s", tried - len(gone) - len(refused), error.part)
        return Removal(gone, refused)

    async def _take_apart(self, only: Collection[BundleId] | None = None) -> list[Remains]:
        """Some of what deleted bundles consist of, which is scheduled to be removed. Raises: Unavailable."""
        async with self._database.transaction() as connection:
            entries = [Remains(key) for key in await bundles.take_apart(connection, limit=BATCH, only=only)]
            await self.schedule_removal(connection, entries)
        return entries

    async def sweep(self) -> int:
        """Remove the bytes that are due; how many objects were removed. Raises: Unavailable."""
        removed, is_more = 0, True
        while is_more:
            turn = await self.turn()
            removed, is_more = removed + turn.done, turn.is_more
        return removed

    async def turn(self) -> Turn:
        """A batch of what ``sweep`` does; what it removes nobody else tries to meanwhile. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            is_any_deleted = await bundles.is_any_deleted(connection)  # a look costs no lock
        taken = await self._take_apart() if is_any_deleted else []
        now = self._clock()  # later than when those were due that were just taken apart
        async with self._database.autocommit() as connection:
            due = await deletions.claim_due(connection, now=now, until=now + LEASE, limit=BATCH)
        if not due:
            return Turn(0, is_more=bool(taken))
        return Turn(len((await self._remove(due)).gone), is_more=True)

    async def _remove(self, remains: Sequence[Remains]) -> Removal:
        """Remove scheduled objects and note what became of each. Uploads in parts that the store fails to abort hold up
        no others: they are tried again later.

        Raises: Unavailable: nothing was removed; what was not tried is due at once, for whoever comes next.
        """
        stuck, untried = await self._abort_parts(remains)
        keys = [each.key for each in remains if each.key not in stuck and each.key not in untried]
        failure = None if keys else next(iter(stuck.values()))
        refused: set[str] = set()
        if keys:
            try:
                refused = set(await self._store.delete(keys))
            except Unavailable as error:
                failure, keys = error, []
        if failure is not None:  # as far as can be told the store is down, so it is nobody's own fault
            stuck, untried = {}, {each.key for each in remains}
        gone = [key for key in keys if key not in refused]
        now = self._clock()
        async with self._database.transaction() as connection:
            await deletions.record_removed(connection, gone, now=now)
            await deletions.record_refused(connection, refused, now=now, due_at=now + REFUSED_AGAIN_AFTER)
            await deletions.postpone(connection, stuck, due_at=now + FAILED_AGAIN_AFTER)
            await deletions.postpone(connection, untried, due_at=now)
        if failure is not None:
            raise failure
        if stuck:
            log.warning("removal_postponed objects=%d part=store", len(stuck) + len(untried))
        return Removal(gone, refused)

    async def _abort_parts(self, remains: Iterable[Remains]) -> tuple[Mapping[str, Unavailable], Collection[str]]:
        """Before the objects, so that whoever joins the parts after this finds none. The keys of those that the store
        fails to abort, and of those that were not tried because many in a row had failed.
        """
        stuck: dict[str, Unavailable] = {}
        untried: set[str] = set()
        in_a_row = 0
        for each in remains:
            if each.store_upload is None:
                continue
            if in_a_row == MAX_FAILURES:
                untried.add(each.key)
                continue
            try:
                await self._store.abort_parts(each.store_upload)
            except Unavailable as failure:
                stuck[each.key] = failure
                in_a_row += 1
            else:
                in_a_row = 0
        return stuck, untried
