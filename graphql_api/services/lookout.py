"""Uploads that nobody completes: the bytes may be there all the same; those that are not when its time is over make an
upload expire. And those whose verdict does not come.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

import anyio

from graphql_api.db import uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.upload import Upload, UploadFailure, UploadFailureCode, UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.completion import Completion
from graphql_api.services.settling import Settling
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.uploads import FIRST_LOOK
from graphql_api.services.verdicts import Verdicts
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

BATCH: Final = 100  # uploads that one look claims
AT_ONCE: Final = 8  # questions to the store
IN_A_ROW: Final = AT_ONCE + MAX_FAILURES  # failures: those that are asked at once may fail together
LEASE: Final = timedelta(minutes=5)  # for a batch, after which another process may take it
HOPELESS_AFTER: Final = timedelta(days=1)
"""From when an upload should have ended: then it does, though the store fails at its object. Its bytes, if there are
any, are removed like all others.
"""
_UNREADABLE: Final = UploadFailure(UploadFailureCode.NOT_SCANNED, "the bytes could not be looked at in time")


class Lookout:
    """Any number of processes may look: each upload is claimed by one at a time, and completing it twice is harmless.

    The first look comes five minutes after the upload was promised, each further one when it is twice as old, and the
    last when it expires. While it waits for a verdict the looks are as ``Verdicts`` wants them.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        completion: Completion,
        settling: Settling,
        verdicts: Verdicts,
        upkeep: Upkeep,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._completion = completion
        self._settling = settling
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
        """A batch of what ``look`` does. What fails with some uploads, such as the store with their objects, holds up
        no others: these are looked at again when their lease is over, after all that is due by then.

        Raises: Unavailable: none could be looked at, or many in a row could not; the others are due at once.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            claimed = await uploads.claim_to_look_at(connection, now=now, until=now + LEASE, limit=BATCH)
        moved: list[Upload] = []
        untried: list[Upload] = []
        failures: list[Exception] = []
        in_a_row = 0
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def look_at(upload: Upload) -> None:
            nonlocal in_a_row
            async with limiter:
                if in_a_row >= IN_A_ROW:
                    untried.append(upload)
                    return
                try:
                    if await self._look_at(upload):
                        moved.append(upload)
                except Exception as error:  # raised below, once the others were looked at
                    failures.append(error)
                    in_a_row += 1
                else:
                    in_a_row = 0

        async with anyio.create_task_group() as group:
            for upload in claimed:
                group.start_soon(look_at, upload)
        if untried:
            async with self._database.transaction() as connection:
                for upload in sorted(untried, key=lambda each: each.id):  # so that two who let go do not deadlock
                    await uploads.look_again(connection, upload, now)
        bugs = [failure for failure in failures if not isinstance(failure, Unavailable)]
        if bugs or untried or (failures and len(failures) == len(claimed)):
            raise (bugs or failures)[0]
        if failures:
            log.warning("look_postponed uploads=%d", len(failures))
        return Turn(len(moved), is_more=bool(claimed))

    async def _look_at(self, upload: Upload) -> bool:
        """Whether the upload has moved on. Raises: Unavailable."""
        try:
            return await self._move_on(upload)
        except Unavailable as error:
            is_pending = upload.status is UploadStatus.PENDING
            end = upload.expires_at if is_pending else self._settling.waits_until(upload)
            if error.part != "store" or end + HOPELESS_AFTER > self._clock():
                raise
        await self._store.check()  # while it is down altogether nothing ends
        try:
            return await self._move_on(upload)  # nor because of one bad moment
        except Unavailable as error:
            if error.part != "store":
                raise
        status, failure = (UploadStatus.EXPIRED, None) if is_pending else (UploadStatus.FAILED, _UNREADABLE)
        return await self._upkeep.end(upload, status, failure) is not None

    async def _move_on(self, upload: Upload) -> bool:
        """Whether it has."""
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
