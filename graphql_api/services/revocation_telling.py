"""The edge's store is told what is revoked, and when that may be forgotten."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from graphql_api.db import jobs, revocations
from graphql_api.db.engine import Database
from graphql_api.edge import MAX_CHANGES, RevocationStore
from graphql_api.errors import Unavailable
from graphql_api.model.revocation import mark_of
from graphql_api.services.clock import Clock
from graphql_api.services.revocations import JOB, SUBJECT
from graphql_api.services.turns import Backoff, Turn

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(timedelta(seconds=2), timedelta(minutes=1))
MAX_ATTEMPTS: Final = 1000
"""Some sixteen hours. A job that is given up is begun anew by the next ``turn``, and kept to show that it was."""

MAX_LOST: Final = 5  # races for the store in a row that one call of ``tell`` loses before it comes back later


class RevocationTelling:
    """Any number of processes may run it. What is written rests on what the database says after the version of the
    store was asked, and is refused if anybody has written since: so an old number never takes the place of a newer.
    """

    def __init__(self, database: Database, store: RevocationStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def tell(self, _subject: str, _payload: Mapping[str, Any]) -> None:
        """The job: tell all that is to be told, in as few requests as it fits into. Raises: Unavailable."""
        version = await self._store.version()
        lost = 0
        while True:
            async with self._database.autocommit() as connection:
                new = await revocations.list_untold(connection, limit=MAX_CHANGES)
            if not new:
                return
            after = await self._store.change(version, put={mark_of(target): number for target, number in new})
            if after is None:
                lost += 1
                if lost > MAX_LOST:
                    raise Unavailable("edge")
                version = await self._store.version()
                continue
            version, lost = after, 0
            async with self._database.transaction() as connection:
                await revocations.hold_counter(connection)
                await revocations.confirm(connection, new, now=self._clock())
            log.info("revocations_told count=%d newest=%d", len(new), max(number for _, number in new))

    async def turn(self) -> Turn:
        """Forget what no link is alive to ask for, at the store first. And begin anew what was given up.

        Raises: Unavailable.
        """
        now = self._clock()
        async with self._database.autocommit() as connection:
            is_due = bool(await revocations.list_ended(connection, now=now, limit=1))
            if await revocations.has_untold(connection):
                await jobs.enqueue(connection, JOB, SUBJECT, now=now, hurries=False)
        ended = await self._forget() if is_due else 0
        return Turn(ended, is_more=ended == MAX_CHANGES)

    async def _forget(self) -> int:
        version = await self._store.version()
        async with self._database.autocommit() as connection:
            ended = await revocations.list_ended(connection, now=self._clock(), limit=MAX_CHANGES)
        if not ended:
            return 0
        if await self._store.change(version, put={}, remove=[mark_of(target) for target, _ in ended]) is None:
            raise Unavailable("edge")  # somebody else writes at the moment
        async with self._database.transaction() as connection:
            await revocations.hold_counter(connection)
            await revocations.forget(connection, ended)
        return len(ended)
