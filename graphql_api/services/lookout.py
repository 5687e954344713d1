"""Uploads that nobody completes: the bytes may be there all the same; those that are not when its time is over make an
upload expire. And those whose verdict does not come.
"""

from datetime import datetime, timedelta
from typing import Final

import anyio

from graphql_api.db import uploads
from graphql_api.db.engine import Database
from graphql_api.model.upload import Upload, UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.completion import Completion
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.uploads import FIRST_LOOK
from graphql_api.services.verdicts import Verdicts

BATCH: Final = 100  # uploads that one look claims
AT_ONCE: Final = 8  # questions to the store
LEASE: Final = timedelta(minutes=5)  # for a batch, after which another process may take it


class Lookout:
    """Any number of processes may look: each upload is claimed by one at a time, and completing it twice is harmless.

    The first look comes five minutes after the upload was promised, each further one when it is twice as old, and the
    last when it expires. While it waits for a verdict the looks are as ``Verdicts`` wants them.
    """

    def __init__(
        self, database: Database, completion: Completion, verdicts: Verdicts, upkeep: Upkeep, clock: Clock
    ) -> None:
        self._database = database
        self._completion = completion
        self._verdicts = verdicts
        self._upkeep = upkeep
        self._clock = clock

    async def look(self) -> int:
        """Complete what is there and end what is over, until nothing is due; how many uploads moved on.

        Raises: Unavailable: those that were claimed are looked at again by whoever comes after the lease.
        """
        moved, is_more = 0, True
        while is_more:
            turn = await self.turn()
            moved, is_more = moved + turn.done, turn.is_more
        return moved

    async def turn(self) -> Turn:
        """A batch of what ``look`` does. What fails with one upload, such as the store with its object, holds up no
        other. Raises: Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            claimed = await uploads.claim_to_look_at(connection, now=now, until=now + LEASE, limit=BATCH)
        moved: list[Upload] = []
        failures: list[Exception] = []
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def look_at(upload: Upload) -> None:
            async with limiter:
                if len(failures) >= MAX_FAILURES:
                    return
                try:
                    if await self._look_at(upload):
                        moved.append(upload)
                except Exception as error:  # raised below, once the others were looked at
                    failures.append(error)

        async with anyio.create_task_group() as group:
            for upload in claimed:
                group.start_soon(look_at, upload)
        if failures:
            raise failures[0]
        return Turn(len(moved), is_more=bool(claimed))

    async def _look_at(self, upload: Upload) -> bool:
        """Whether the upload has moved on."""
        if upload.status is UploadStatus.PROCESSING:
            return (await self._verdicts.look(upload)).status is not UploadStatus.PROCESSING
        found = await self._completion.arrived(upload.object_key)
        if found is None or found.status is not UploadStatus.PENDING:
            return True
        now = self._clock()
        if found.expires_at <= now:  # what is there cannot become a file, such as for want of a name, or is not all
            return await self._upkeep.end(found, UploadStatus.EXPIRED) is not None
        async with self._database.autocommit() as connection:
            await uploads.look_again(connection, found, _next_look(found, now))
        return False


def _next_look(upload: Upload, now: datetime) -> datetime:
    return min(now + max(FIRST_LOOK, now - upload.created_at), upload.expires_at)
