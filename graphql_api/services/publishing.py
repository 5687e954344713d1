"""What a worker does about published files: copies come, and go as soon as not everybody may read them any more.

Whatever changes a file has its copy withdrawn itself (``published_copies``). Rules change without a look at files, and
time changes what they say: so all copies are looked at, again and again, and none is forgotten, whatever it was that
took the right away. What is not published costs nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from graphql_api.db import files, jobs, publications, rules
from graphql_api.db.engine import Database
from graphql_api.edge import EdgeCache
from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.delivery import ContentDisposition
from graphql_api.model.file import File
from graphql_api.model.media_type import is_inert
from graphql_api.model.publication import Publication, PublicationState
from graphql_api.services.announcements import publication_changed
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.services.published_copies import COPY_JOB, REMOVE_JOB, UNSEEN, PublishedCopies, is_public
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

PAGE: Final = 500  # copies of one look
STUCK_AFTER: Final = timedelta(hours=12)  # a job that was given up has been tried for five hours at least
KEPT: Final = timedelta(days=30)  # after its removal, for logs that come late


@dataclass(slots=True)
class _Look:
    """How far the look at all copies has come; ``hurries``: the rules have changed, so that it goes to the end."""

    after: str = ""
    policy: int = -1
    hurries: bool = False


class Publishing:
    """Any number of processes may run it. ``cache``: the CDN's, None if it cannot be told to drop anything.
    ``max_age``: for how long browsers and the CDN may keep a copy without asking.
    """

    def __init__(
        self,
        database: Database,
        standings: Standings,
        store: ObjectStore,
        copies: PublishedCopies,
        cache: EdgeCache | None,
        clock: Clock,
        *,
        max_age: timedelta,
        page_size: int = PAGE,
    ) -> None:
        self._database = database
        self._standings = standings
        self._store = store
        self._copies = copies
        self._cache = cache
        self._clock = clock
        self._cache_control = f"public, max-age={max_age // timedelta(seconds=1)}"
        self._page_size = page_size
        self._look = _Look()

    async def copy(self, key: str, _payload: Mapping[str, Any]) -> None:
        """The job: make the copy, and say so. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            wanted = await publications.find(connection, key)
            if wanted is None or wanted.state is PublicationState.LIVE:
                return
            everybody = await self._standings.of_anonymous(connection)
            file = (await files.find_files(connection, everybody, [wanted.file_id])).get(wanted.file_id)
        if wanted.state is not PublicationState.COPYING:  # whoever had this job before may have died with a copy made
            await self.look_for_late(key, {})
            return
        if file is None or _is_lost(wanted, file):
            if not await self._review(wanted):  # everybody may read it again: this is to be done once more
                async with self._database.autocommit() as connection:
                    await jobs.enqueue(connection, COPY_JOB, key, now=self._clock())
            return
        disposition = ContentDisposition.INLINE if is_inert(file.content_type) else ContentDisposition.ATTACHMENT
        try:
            await self._store.copy(
                wanted.source_key,
                key,
                content_type=file.content_type,
                disposition=content_disposition(disposition, file.name),
                cache_control=self._cache_control,
            )
        except NotFound:
            log.error("publication_without_bytes file=%s", file.id)
            await self._give_up(wanted)
            return
        async with self._database.transaction() as connection:
            come_from, now = PublicationState.COPYING, self._clock()
            is_live = await publications.move(connection, key, PublicationState.LIVE, come_from=come_from, now=now)
            if is_live:
                publication_changed(connection, file.id, file.folder_id)
            else:
                known = await publications.find(connection, key)
                is_live = known is not None and known.state is PublicationState.LIVE  # another worker copied it, too
        if not is_live:  # it was withdrawn meanwhile, perhaps before these bytes were there to be removed
            await self.look_for_late(key, {})

    async def remove(self, key: str, _payload: Mapping[str, Any]) -> None:
        """The job: remove the copy, then what the CDN keeps of it: the other way round it could fetch it once more.

        Raises: Unavailable: the store, which may refuse, or the edge.
        """
        async with self._database.autocommit() as connection:
            found = await publications.find(connection, key)
        if found is None or found.state is not PublicationState.WITHDRAWN:
            return
        if await self._store.delete([key]):
            raise Unavailable("store")
        if self._cache is not None:
            # The same however often this is tried, and another if it is withdrawn again: edges heed each once.
            await self._cache.invalidate(f"/{key}", reference=f"{key} {found.changed_at.isoformat()}")
        async with self._database.autocommit() as connection:
            await publications.end(connection, found, now=self._clock())

    async def look_for_late(self, key: str, payload: Mapping[str, Any]) -> None:
        """The job: if a withdrawn copy is there all the same, because a request of a worker that has died came to its
        end after the removal, have it removed again, and what the CDN keeps of it; or if it may have been there
        (``UNSEEN``). Raises: Unavailable.
        """
        if UNSEEN not in payload and await self._store.find(key) is None:
            return
        async with self._database.transaction() as connection:
            now = self._clock()
            if not await publications.withdraw_again(connection, key, now=now):
                return
            await jobs.enqueue(connection, REMOVE_JOB, key, now=now)
        await self._store.delete([key])

    async def turn(self) -> Turn:
        """Look at the next copies: withdraw those that not everybody may read, and take new bytes in the place of those
        that the file has no longer. After a change of rules there is more to do until all have been looked at.

        Raises: Unavailable.
        """
        look = self._look
        async with self._database.autocommit() as connection:
            if not look.after:
                await publications.forget_removed(connection, before=self._clock() - KEPT)
            page = await publications.list_unfinished(connection, after=look.after, limit=self._page_size)
            if not page:
                look.after, look.hurries = "", False
                return Turn(0, is_more=False)
            policy = await rules.policy_version(connection)
            everybody = await self._standings.of_anonymous(connection)
            found = await files.find_files(connection, everybody, [each.file_id for each in page])
        changed = 0
        for each in page:
            if each.state is not PublicationState.WITHDRAWN and _is_lost(each, found.get(each.file_id)):
                changed += await self._review(each)
            await self._remind(each)
        is_begun, is_end = look.after != "", len(page) < self._page_size
        look.after = "" if is_end else page[-1].object_key
        if policy == look.policy:
            look.hurries = look.hurries and not is_end
        else:  # what was looked at before is looked at again
            look.policy, look.hurries = policy, is_begun or not is_end
            look.after = "" if is_begun else look.after
        return Turn(changed, is_more=look.hurries)

    async def _review(self, publication: Publication) -> bool:
        """Whether anything was changed. The file is locked, as by whoever publishes it: what was seen before that may
        be true no longer, and they were told that there is a copy.
        """
        file_id, now = publication.file_id, self._clock()
        async with self._database.transaction() as connection:
            await files.lock_rows(connection, [file_id])
            remains = await self._copies.review(connection, None, [file_id], now)
        if remains:
            log.info("publication_withdrawn file=%s", file_id)
            await self._copies.remove(remains)
        return bool(remains)

    async def _give_up(self, publication: Publication) -> None:
        """There is nothing to copy."""
        async with self._database.transaction() as connection:
            remains = await self._copies.withdraw(connection, None, [publication], self._clock())
        await self._copies.remove(remains)

    async def _remind(self, publication: Publication) -> None:
        """Have done what was given up long ago."""
        now = self._clock()
        if publication.state is PublicationState.LIVE or now < publication.changed_at + STUCK_AFTER:
            return
        kind = COPY_JOB if publication.state is PublicationState.COPYING else REMOVE_JOB
        async with self._database.autocommit() as connection:
            await jobs.enqueue(connection, kind, publication.object_key, now=now, hurries=False)


def _is_lost(publication: Publication, file: File | None) -> bool:
    """``file``: as everybody finds it. Whether there is to be no such copy of it any more."""
    return file is None or not is_public(file) or file.object_key != publication.source_key
