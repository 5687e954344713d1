"""What a worker does about published files: copies come, and go as soon as not everybody may read them any more.

No change of rules, folders, labels or bytes tells of what is published: all copies are looked at, again and again. So
none is forgotten, whatever it was that took the right away, the time included; and what is not published costs nothing.
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
from graphql_api.model.media_type import is_active
from graphql_api.model.parts import Remains
from graphql_api.model.publication import Publication, PublicationState
from graphql_api.services.announcements import publication_changed
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.services.publications import COPY_JOB, REMOVE_JOB, begin, is_public, withdraw
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn
from graphql_api.services.upkeep import Upkeep
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
        upkeep: Upkeep,
        cache: EdgeCache | None,
        clock: Clock,
        *,
        max_age: timedelta,
        page_size: int = PAGE,
    ) -> None:
        self._database = database
        self._standings = standings
        self._store = store
        self._upkeep = upkeep
        self._cache = cache
        self._clock = clock
        self._cache_control = f"public, max-age={max_age // timedelta(seconds=1)}"
        self._page_size = page_size
        self._look = _Look()

    async def copy(self, key: str, _payload: Mapping[str, Any]) -> None:
        """The job: make the copy, and say so. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            wanted = await publications.find(connection, key)
            if wanted is None or wanted.state is not PublicationState.COPYING:
                return
            everybody = await self._standings.of_anonymous(connection)
            file = (await files.find_files(connection, everybody, [wanted.file_id])).get(wanted.file_id)
        if file is None or not is_public(file) or file.object_key != wanted.source_key:
            await self._judge(wanted, file)
            return
        disposition = ContentDisposition.ATTACHMENT if is_active(file.content_type) else ContentDisposition.INLINE
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
            await self._withdraw(wanted)
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
            await self._store.delete([key])
            if self._cache is not None:  # nobody was told the address, but it was there
                await self._cache.invalidate(f"/{key}", reference=f"{key} late")

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
            await self._cache.invalidate(f"/{key}", reference=key)
        async with self._database.autocommit() as connection:
            come_from, now = PublicationState.WITHDRAWN, self._clock()
            await publications.move(connection, key, PublicationState.REMOVED, come_from=come_from, now=now)

    async def turn(self) -> Turn:
        """Look at the next copies: withdraw those that not everybody may read, and take new bytes in the place of those
        that the file has no longer. After a change of rules there is more to do until all have been looked at.

        Raises: Unavailable.
        """
        look = self._look
        async with self._database.autocommit() as connection:
            page = await publications.list_unfinished(connection, after=look.after, limit=self._page_size)
            if not look.after and page:
                await publications.forget_removed(connection, before=self._clock() - KEPT)
            if not page:
                look.after, look.hurries = "", False
                return Turn(0, is_more=False)
            policy = await rules.policy_version(connection)
            everybody = await self._standings.of_anonymous(connection)
            found = await files.find_files(connection, everybody, [each.file_id for each in page])
        changed = 0
        for each in page:
            if each.state is not PublicationState.WITHDRAWN:
                changed += await self._judge(each, found.get(each.file_id))
            await self._remind(each)
        is_begun, is_end = look.after != "", len(page) < self._page_size
        look.after = "" if is_end else page[-1].object_key
        if policy == look.policy:
            look.hurries = look.hurries and not is_end
        else:  # what was looked at before is looked at again
            look.policy, look.hurries = policy, is_begun or not is_end
            look.after = "" if is_begun else look.after
        return Turn(changed, is_more=look.hurries)

    async def _judge(self, publication: Publication, file: File | None) -> bool:
        """``file``: as everybody finds it. Whether anything was changed."""
        if file is None or not is_public(file):
            return await self._withdraw(publication)
        if file.object_key != publication.source_key:
            return await self._withdraw(publication, then=file)
        return False

    async def _withdraw(self, publication: Publication, *, then: File | None = None) -> bool:
        """``then``: the file whose bytes are to be published instead."""
        now, file_id, key = self._clock(), publication.file_id, publication.object_key
        async with self._database.transaction() as connection:
            if await withdraw(connection, self._upkeep, None, file_id, now, key=key) is None:
                return False
            if then is not None:
                await begin(connection, None, file_id, then.object_key, now)
            folder_id = await publications.folder_of(connection, file_id)
            if folder_id is not None:
                publication_changed(connection, file_id, folder_id)
        log.info("publication_withdrawn file=%s", file_id)
        await self._upkeep.remove([Remains(key)])
        return True

    async def _remind(self, publication: Publication) -> None:
        """Have done what was given up long ago."""
        now = self._clock()
        if publication.state is PublicationState.LIVE or now < publication.changed_at + STUCK_AFTER:
            return
        kind = COPY_JOB if publication.state is PublicationState.COPYING else REMOVE_JOB
        async with self._database.autocommit() as connection:
            await jobs.enqueue(connection, kind, publication.object_key, now=now, hurries=False)
