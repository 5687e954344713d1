"""What was given up: jobs that failed for good, and messages of the store that nobody could deal with."""

import logging
from datetime import timedelta
from typing import Final

from graphql_api.db import failed_events, jobs
from graphql_api.db.engine import Database
from graphql_api.services.clock import Clock
from graphql_api.services.turns import Turn

log = logging.getLogger(__name__)

KEPT: Final = timedelta(days=90)  # for somebody to look at them, and no longer: they hold payloads
BATCH: Final = 1_000  # rows of one DELETE, which holds up SQLite's other writers


class DeadLetters:
    """Any number of processes may run it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def count(self) -> tuple[int, int]:
        """Jobs and messages that were given up and are still kept; a warning in the log if there are any.

        Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            counts = (await jobs.count_failed(connection), await failed_events.count_failed_events(connection))
        if any(counts):
            log.warning("dead_letters jobs=%d store_events=%d", *counts)
        return counts

    async def turn(self) -> Turn:
        """Forget some of what has been kept long enough. Raises: Unavailable."""
        before = self._clock() - KEPT
        async with self._database.autocommit() as connection:
            gone = [
                await jobs.delete_failed_before(connection, before, BATCH),
                await failed_events.delete_failed_events_before(connection, before, BATCH),
            ]
        return Turn(sum(gone), is_more=BATCH in gone)
