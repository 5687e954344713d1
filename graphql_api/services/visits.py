"""Share links as their visitors meet them, who are strangers and hold nothing but the address.

A link that is unknown, expired, revoked, used up, or whose maker may no longer share what it opens: these look all
alike. What its maker may do is asked at each visit, by what a token said of them last, from the visitor's address.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.access.visiting import visitor_standing
from graphql_api.db import files, folders, share_links
from graphql_api.db.engine import Database
from graphql_api.db.scopes import scopes_of_files
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import NotFound
from graphql_api.limits import address_key
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.delivery import Link, ReadGrant
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import is_file
from graphql_api.model.share import ShareLink, ShareLinkState
from graphql_api.services.accounts import Accounts
from graphql_api.services.clock import Clock
from graphql_api.services.delivery import Delivery
from graphql_api.services.guesses import Guesses
from graphql_api.services.passwords import AT_ONCE, Passwords, normalized_password
from graphql_api.services.revocations import Revocations
from graphql_api.services.rule_resources import find_resources
from graphql_api.services.share_links import token_hash
from graphql_api.services.standings import Standings

_BY_NAME: Final = FileOrder(FileOrderField.NAME, OrderDirection.ASC)
_PREFIX: Final = 8  # characters of a token by which failures are counted: 48 bits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuessLimits:
    """How many failures are let pass in ``window``: from one address, and with tokens that begin alike."""

    per_address: int
    per_link: int
    window: timedelta


@dataclass(frozen=True)
class Visit:
    """A link that was open a moment ago, and what it opens. ``standing``: what visitors may READ by it.

    It is for looking. Whatever leads to bytes asks anew.
    """

    link: ShareLink
    thing: File | Folder
    standing: Standing = field(repr=False)
    visitor: Principal = field(repr=False)
    guess_keys: tuple[str, str] = field(repr=False)  # of the visitor's address, and of the token


@dataclass(frozen=True)
class SharedFiles:
    """A page of the files below a shared folder, by name. ``paths``: from there on, such as ``rome/forum.jpg``."""

    page: Page[File]
    paths: Mapping[FileId, str]


class Visits:
    """One for the process."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        accounts: Accounts,
        delivery: Delivery,
        revocations: Revocations,
        passwords: Passwords,
        clock: Clock,
        cursor_seal: CursorSeal,
        limits: GuessLimits,
    ) -> None:
        self._database = database
        self._standings = standings
        self._accounts = accounts
        self._delivery = delivery
        self._revocations = revocations
        self._passwords = passwords
        self._clock = clock
        self._cursor_seal = cursor_seal
        self._of_addresses = Guesses(clock, limit=limits.per_address, window=limits.window)
        self._of_links = Guesses(clock, limit=limits.per_link, window=limits.window)
        self._unlocking = anyio.Semaphore(AT_ONCE)

    async def begin(self, visitor: Principal, token: str) -> Visit:
        """What the token opens to somebody from ``visitor``'s address; who they are does not matter.

        Raises: NotFound: nothing, for whatever reason. If it never has, that counts as a guess. RateLimited: too many
        of these; of many that come at once no more are answered than of as many one after the other. Unavailable.
        """
        keys = address_key(visitor.address), token[:_PREFIX]
        self._require_room(keys)
        async with self._database.autocommit() as connection:
            link = await share_links.find_by_hash(connection, token_hash(token))
            visit = None if link is None else await self._open(connection, link, visitor, keys)
        self._require_room(keys)  # again: others that came at the same time may have been in vain meanwhile
        if link is None:
            self._count(keys)
        if visit is None:
            raise NotFound("no such link")
        return visit

    async def unlock(self, visit: Visit, password: str) -> bool:
        """Whether it is the password of the link, which has one; if not, this counts as a guess.

        Raises: RateLimited: too many of these.
        """
        assert visit.link.password_hash is not None
        async with self._unlocking:
            self._require_room(visit.guess_keys)
            self._count(visit.guess_keys)  # now, or those that come at once would all find room
            is_right = await self._passwords.is_right(visit.link.password_hash, normalized_password(password))
        if is_right:
            self._of_addresses.take_back(visit.guess_keys[0])
            self._of_links.take_back(visit.guess_keys[1])
        else:
            log.warning("share_link_refused link=%s reason=password", visit.link.id)
        return is_right

    async def list_files(self, visit: Visit, request: PageRequest) -> SharedFiles:
        """The files in the shared folder and below that this visitor would be sent on to.

        Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        assert isinstance(visit.thing, Folder)
        wanted = FileFilter(folder_id=visit.thing.id, is_recursive=True)
        async with self._database.autocommit() as connection:
            page = await files.list_files(connection, visit.standing, wanted, _BY_NAME, request, self._cursor_seal)
            if page.has_next_page and page.nodes:  # from the last that was looked at, which may be none that is shown
                page = replace(page, resume=page.resume or page.cursor_of(page.nodes[-1]))
            page = replace(page, nodes=tuple(file for file in page.nodes if self._grant(file) is not None))
            ancestry = await folders.list_ancestry(connection, {file.folder_id for file in page.nodes})
        return SharedFiles(page, {file.id: _path(file, ancestry, visit.thing.id) for file in page.nodes})

    async def get_file(self, visit: Visit, file_id: FileId) -> File:
        """A file in the shared folder or below. Raises: NotFound: none that this visitor may fetch. Unavailable."""
        async with self._database.autocommit() as connection:
            found = None if isinstance(visit.thing, File) else await _opened_file(connection, visit, file_id)
        if found is None or self._grant(found) is None:
            raise NotFound("no such file")
        return found

    async def fetch(self, visit: Visit, file: File) -> Link:
        """A link of seconds to the file's bytes, which counts as one download.

        What the visit came by is asked anew: its visitor may have stood in line for long, while the rights of the
        link's maker went or the file was moved away.

        Raises: NotFound: none can be made for this visitor, or the share link opens the file no longer. Unavailable.
        """
        link = visit.link
        async with self._database.autocommit() as connection:
            now = await self._open(connection, link, visit.visitor, visit.guess_keys)
            found = None if now is None else await _opened_file(connection, now, file.id)
            grant = None if found is None else self._grant(found)
            if grant is None:
                raise NotFound("no such file")
        # Signed before it counts: a key that does not answer costs nobody a download.
        grant = await self._revocations.named(ANONYMOUS, grant)
        signed = await self._delivery.sign_briefly(grant, until=link.expires_at)
        async with self._database.autocommit() as connection:
            if not await share_links.use_link(connection, link.id, self._clock()):
                raise NotFound("no such link")
        log.info("share_link_used link=%s file=%s", link.id, file.id)
        return signed

    async def _open(
        self, connection: AsyncConnection, link: ShareLink, visitor: Principal, keys: tuple[str, str]
    ) -> Visit | None:
        if link.state(self._clock()) is not ShareLinkState.OPEN:
            return None
        maker = await self._accounts.recall_on(connection, link.created_by, address=visitor.address)
        resource = (await find_resources(connection, [link.resource])).get(link.resource)
        if maker is None or resource is None:
            return None
        makers = await self._standings.of(connection, maker)
        if not makers.may(Permission.SHARE, resource.shared):
            return None
        standing = visitor_standing(makers, await self._standings.of_anonymous(connection, visitor.address))
        thing: File | Folder | None
        if is_file(link.resource):
            file_id = FileId(link.resource)
            thing = (await files.find_files(connection, standing, [file_id])).get(file_id)
            if thing is not None and self._grant(thing) is None:
                return None
        else:
            folder_id = FolderId(link.resource)
            thing = (await folders.find_folders(connection, standing, [folder_id])).get(folder_id)
        return None if thing is None else Visit(link, thing, standing, visitor, keys)

    def _grant(self, file: File) -> ReadGrant | None:
        """The proof that visitors may be sent on to what was found for them. None to a bundle: its link would open but
        the first of its objects.
        """
        return None if is_bundle_key(file.object_key) else self._delivery.grant(file)

    def _require_room(self, keys: tuple[str, str]) -> None:
        self._of_addresses.require_room(keys[0])
        self._of_links.require_room(keys[1])

    def _count(self, keys: tuple[str, str]) -> None:
        self._of_addresses.count(keys[0])
        self._of_links.count(keys[1])


async def _opened_file(connection: AsyncConnection, visit: Visit, file_id: FileId) -> File | None:
    """The shared file, or one in the shared folder or below, if visitors may read it."""
    if isinstance(visit.thing, File):
        return visit.thing if visit.thing.id == file_id else None
    found = (await files.find_files(connection, visit.standing, [file_id])).get(file_id)
    scopes = (await scopes_of_files(connection, [file_id])).get(file_id, frozenset())
    return found if visit.thing.id in scopes else None


def _path(file: File, ancestry: Mapping[FolderId, Sequence[Folder]], shared: FolderId) -> str:
    """The names of the folders between are no secret: who may not read one may not read what is in it."""
    names = [file.name]
    for folder in ancestry.get(file.folder_id, ()):
        if folder.id == shared:
            break
        names.append(folder.name)
    return "/".join(reversed(names))
