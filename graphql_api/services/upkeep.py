"""What must happen even when nobody asks: uploads expire, and bytes without a file go."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import deletions, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.services.announcements import upload_changed
from graphql_api.services.clock import Clock
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

REFUSED_AGAIN_AFTER: Final = timedelta(hours=1)  # for objects that the store refuses to remove, such as locked ones
BATCH: Final = 1_000  # objects of one removal request, uploads of one UPDATE


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

    async def schedule_removal(self, connection: AsyncConnection, keys: Collection[str]) -> None:
        """Part of the caller's transaction: the bytes go now, and again once no PUT to them can be under way."""
        now = self._clock()
        await deletions.schedule_deletions(connection, keys, due_at=now, final_at=now + self._last_arrival)

    async def remove(self, keys: Collection[str]) -> None:
        """After the commit: remove what was scheduled. When the store does not answer, a later sweep does it."""
        for start in range(0, len(keys), BATCH):
            batch = list(keys)[start : start + BATCH]
            try:
                await self._remove(batch)
            except Unavailable as error:
                log.warning("removal_postponed objects=%d part=%s", len(batch), error.part)
                return

    async def sweep(self) -> int:
        """Expire what is past its time and remove the bytes that are due; how many objects were removed.

        Raises: Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            expired = await uploads.expire_uploads(connection, now=now, limit=BATCH)
            await self.schedule_removal(connection, expired.values())
            upload_changed(connection, *expired)
        removed = 0
        while True:
            async with self._database.autocommit() as connection:
                due = await deletions.list_due(connection, now=now, limit=BATCH)
            if not due:
                return removed
            removed += await self._remove(due)

    async def _remove(self, keys: Sequence[str]) -> int:
        """Remove scheduled objects and note what became of each; how many are gone."""
        refused = set(await self._store.delete(keys))
        gone = [key for key in keys if key not in refused]
        now = self._clock()
        async with self._database.transaction() as connection:
            await deletions.record_removed(connection, gone, now=now)
            await deletions.postpone(connection, refused, due_at=now + REFUSED_AGAIN_AFTER)
        return len(gone)
