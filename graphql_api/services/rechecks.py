"""Bytes that came by a form are compared once more: a form can be sent again until it expires.

It binds the SHA-256, so a repeat stores the same bytes, if the store verifies what it says it does. Should other bytes
be there all the same, nobody is given them: the file has no link until it gets new bytes. They are kept for whoever
looks into it.
"""

import logging
from datetime import timedelta
from typing import Final

from graphql_api.db import object_checks, recorded_objects
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.services.announcements import bytes_withheld
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.services.verification import alteration
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

BATCH: Final = 100  # objects that are looked at before they are noted as compared
AGAIN_AFTER: Final = timedelta(minutes=5)  # with an object of which the store could not tell
SKEW: Final = timedelta(minutes=15)  # by which the store's clock may differ from ours; a client's is not asked


class Rechecks:
    """Any number of processes may run it: to compare twice is harmless, and what is found is noted once.

    ``transfer_grace``: how long a request that began before its form expired may run.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        clock: Clock,
        copies: PublishedCopies,
        *,
        transfer_grace: timedelta,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._copies = copies
        self._last_arrival = transfer_grace + SKEW

    async def sweep(self) -> int:
        """Compare what no form can store any longer; how many were compared. Raises: Unavailable."""
        compared, is_more = 0, True
        while is_more:
            turn = await self.turn()
            compared, is_more = compared + turn.done, turn.is_more
        return compared

    async def turn(self) -> Turn:
        """A batch of what ``sweep`` does. Objects of which the store cannot tell are put behind all others.

        Raises: Unavailable: of none could it tell, or of many in a row not; the next turn goes on with the others.
        """
        ended_by = self._clock() - self._last_arrival
        async with self._database.autocommit() as connection:
            keys = await object_checks.list_checks(connection, ended_by=ended_by, limit=BATCH)
        compared: list[str] = []
        failed: list[str] = []
        in_a_row: list[Unavailable] = []
        for key in keys:
            try:
                await self._compare(key)
            except Unavailable as failure:
                failed.append(key)
                in_a_row.append(failure)
                if len(in_a_row) == MAX_FAILURES:
                    break
            else:
                compared.append(key)
                in_a_row.clear()
        again_at = ended_by + AGAIN_AFTER if compared else ended_by  # at once, as far as can be told the store is down
        async with self._database.transaction() as connection:
            await object_checks.forget_checks(connection, compared)
            await object_checks.postpone_checks(connection, failed, form_ends_at=again_at)
        if len(in_a_row) == MAX_FAILURES or (failed and not compared):
            raise in_a_row[0]
        if failed:
            log.warning("comparison_postponed objects=%d", len(failed))
        return Turn(len(compared), is_more=bool(keys))

    async def _compare(self, key: str) -> None:
        found = await self._store.find(key)
        async with self._database.autocommit() as connection:
            recorded = (await recorded_objects.find_recorded(connection, [key])).get(key)
        if recorded is None:
            return  # it was deleted meanwhile
        if found is None:
            log.error("object_missing file=%s key=%s", recorded.file_id, key)
            return
        difference = alteration(recorded, found)
        if difference is not None:
            async with self._database.transaction() as connection:
                now = self._clock()
                marked = await recorded_objects.mark_altered(connection, key, now=now)
                if marked is not None:
                    bytes_withheld(connection, marked.file_id, marked.folder_id)
                    lost = await self._copies.review(connection, None, [marked.file_id], now)
            if marked is not None:
                await self._copies.remove(lost)
                log.error("object_altered file=%s key=%s reason=%r", recorded.file_id, key, difference)
