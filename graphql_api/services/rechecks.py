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
from graphql_api.services.clock import Clock
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.services.verification import alteration
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

BATCH: Final = 100  # objects that are looked at before they are noted as compared
SKEW: Final = timedelta(minutes=15)  # by which the store's clock may differ from ours; a client's is not asked


class Rechecks:
    """Any number of processes may run it: to compare twice is harmless, and what is found is noted once.

    ``transfer_grace``: how long a request that began before its form expired may run.
    """

    def __init__(self, database: Database, store: ObjectStore, clock: Clock, *, transfer_grace: timedelta) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._last_arrival = transfer_grace + SKEW

    async def sweep(self) -> int:
        """Compare what no form can store any longer; how many were compared. Raises: Unavailable."""
        compared, is_more = 0, True
        while is_more:
            turn = await self.turn()
            compared, is_more = compared + turn.done, turn.is_more
        return compared

    async def turn(self) -> Turn:
        """A batch of what ``sweep`` does. An object of which the store cannot tell holds up no other.

        Raises: Unavailable: the next turn begins with what could not be compared.
        """
        ended_by = self._clock() - self._last_arrival
        async with self._database.autocommit() as connection:
            keys = await object_checks.list_checks(connection, ended_by=ended_by, limit=BATCH)
        compared: list[str] = []
        failures: list[Unavailable] = []
        for key in keys:
            if len(failures) < MAX_FAILURES:
                try:
                    await self._compare(key)
                except Unavailable as failure:
                    failures.append(failure)
                else:
                    compared.append(key)
        if compared:
            async with self._database.autocommit() as connection:
                await object_checks.forget_checks(connection, compared)
        if failures:
            raise failures[0]
        return Turn(len(keys), is_more=bool(keys))

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
                is_news = await recorded_objects.mark_altered(connection, key, now=self._clock())
            if is_news:
                log.error("object_altered file=%s key=%s reason=%r", recorded.file_id, key, difference)
