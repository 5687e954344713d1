"""Uploads in parts that are open at the store and that no row names: their parts cost money and show in no list.

The row comes first, then the store's upload, then its id in the row. Whoever stops in between leaves a stray, and so
does a client that begins uploads at the store itself and does not go on, and a worker that dies while it copies a
large file that is published.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from graphql_api.db import periodic, recorded_objects
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.ids import BUNDLES_PREFIX, OBJECT_PREFIX, PUBLISHED_PREFIX
from graphql_api.model.parts import OpenStoreUpload, StoreUpload
from graphql_api.services.clock import Clock
from graphql_api.services.turns import MAX_FAILURES, Turn
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

TASK: Final = "strays"
EVERY: Final = timedelta(hours=1)
SAFE_AGE: Final = timedelta(hours=1)
"""From the beginning of a store's upload to its id in the row is one statement, which takes at most some seconds. The
clocks of store and API may differ by 15 minutes. An hour is well above both, and parts lie about no longer than two.
"""
PREFIXES: Final = (OBJECT_PREFIX, BUNDLES_PREFIX, PUBLISHED_PREFIX)
PAGE: Final = 1_000  # uploads; the most that a store lists at once


@dataclass(frozen=True, slots=True)
class StrayPage:
    """``examined``: how many are open on it. ``last``: where the next begins; None at the end."""

    strays: Sequence[OpenStoreUpload]
    examined: int
    last: StoreUpload | None


class Strays:
    """Any number of processes may run it: one of them does it each hour, and to abort twice is harmless."""

    def __init__(self, database: Database, store: ObjectStore, clock: Clock, *, page_size: int = PAGE) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._page_size = page_size

    async def turn(self) -> Turn:
        """The same as ``sweep``, as a worker's loop wants it."""
        return Turn(await self.sweep(), is_more=False)

    async def sweep(self) -> int:
        """If it is time: abort all strays; how many there were. Raises: Unavailable: the next sweep does it."""
        now = self._clock()
        async with self._database.autocommit() as connection:
            if not await periodic.claim(connection, TASK, now=now, until=now + EVERY):
                return 0
        try:
            return sum([await self._abort_all(prefix) for prefix in PREFIXES])
        except Unavailable:
            async with self._database.autocommit() as connection:
                await periodic.give_back(connection, TASK, now=now, until=now + EVERY)
            raise

    async def _abort_all(self, prefix: str) -> int:
        """Those that the store fails to abort hold up no others; they are tried again in an hour. After many in a row
        the list is read anew behind them: a store that is down does not give it.
        """
        number, stuck = 0, 0
        last: StoreUpload | None = None
        is_end = False
        while not is_end:
            page = await self.page(prefix, after=last, safe_age=SAFE_AGE)
            last, is_end, in_a_row = page.last, page.last is None, 0
            for stray in page.strays:
                try:
                    number += await self.abort(stray.upload)
                except Unavailable:
                    stuck, in_a_row = stuck + 1, in_a_row + 1
                    if in_a_row == MAX_FAILURES:
                        last, is_end = stray.upload, False
                        break
                else:
                    in_a_row = 0
        if stuck:
            log.warning("removal_postponed objects=%d part=store", stuck)
        return number

    async def page(self, prefix: str, *, after: StoreUpload | None, safe_age: timedelta) -> StrayPage:
        """The strays among the store's next open uploads that are older than ``safe_age``. Raises: Unavailable."""
        opened = await self._store.list_open_uploads(prefix, after=after, limit=self._page_size)
        youngest = self._clock() - safe_age
        old = [one for one in opened if one.begun_at <= youngest]
        async with self._database.autocommit() as connection:
            named = await recorded_objects.find_pending_parts(connection, {one.upload.key for one in old})
        strays = [one for one in old if not _is_wanted(named, one.upload)]
        return StrayPage(strays, len(opened), opened[-1].upload if len(opened) == self._page_size else None)

    async def abort(self, upload: StoreUpload) -> bool:
        """Whether it was aborted: not if a row names it by now. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            if _is_wanted(await recorded_objects.find_pending_parts(connection, [upload.key]), upload):
                return False
        await self._store.abort_parts(upload)
        return True


def _is_wanted(named: Mapping[str, str | None], upload: StoreUpload) -> bool:
    """Also while the row names none: a client may have begun this one, and be about to say so, or a worker copies."""
    return upload.key in named and named[upload.key] in (None, upload.id)
