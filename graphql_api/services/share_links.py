"""Share links as their makers have them: made, listed with their use, revoked. ``visits`` is what comes of them."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.access.visiting import visiting_fault, visitor_standing
from graphql_api.db import audit, bundles, rules, share_links
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.ids import USER_PREFIX, FileId, ShareLinkId, UserId, new_share_link_id, well_formed
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import Scope, is_file, is_folder
from graphql_api.model.share import (
    MAX_DOWNLOADS,
    MAX_LABEL_LENGTH,
    MAX_LINKS_ON_RESOURCE,
    MAX_PASSWORD_LENGTH,
    MIN_PASSWORD_LENGTH,
    TOKEN_BYTES,
    NewShareLink,
    RevokedShareLink,
    ShareLink,
    ShareLinkState,
    ShareWish,
)
from graphql_api.services.clock import Clock
from graphql_api.services.passwords import Passwords, normalized_password
from graphql_api.services.people import sees_everybody
from graphql_api.services.requirements import require
from graphql_api.services.rule_resources import Resource, find_resources
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn

KEPT: Final = timedelta(days=30)  # after they have expired, so that their use can still be seen
BATCH: Final = 10_000  # rows of one DELETE, which holds up SQLite's other writers
_NOBODY: Final = UserId(well_formed("", USER_PREFIX))  # has made no link


def token_hash(token: str) -> str:
    """What is kept of a token. It has 256 bits of chance, so one round and no salt are enough."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class ShareLinks:
    """Who made a link sees it, and so do all who hold SHARE on what it opens, administrators and auditors; to others it
    is not there.
    """

    def __init__(
        self,
        database: Database,
        standings: Standings,
        passwords: Passwords,
        clock: Clock,
        *,
        public_url: str | None,
        max_lifetime: timedelta,
        redirect_lifetime: timedelta,
        max_on_resource: int = MAX_LINKS_ON_RESOURCE,
    ) -> None:
        """``public_url``: where browsers reach this service. ``redirect_lifetime``: of what visitors are sent on to."""
        self._database = database
        self._standings = standings
        self._passwords = passwords
        self._clock = clock
        self._public_url = public_url
        self._max_lifetime = max_lifetime
        self._redirect_lifetime = redirect_lifetime
        self._max_on_resource = max_on_resource

    async def create(self, principal: Principal, wish: ShareWish) -> NewShareLink:
        """A link to a file, or to a folder with all below. What its visitors may read is asked anew at each visit.

        Raises: InvalidInput: a value that no link can have, or too many links on the thing. NotFound. Forbidden: SHARE
        is missing. Conflict: it is a bundle, or a file to which visitors could be given no link. Unavailable.
        """
        now = self._clock()
        wish = self._checked(wish, now)
        async with self._database.autocommit() as connection:  # before any work is done for somebody who may not
            await self._require_to_share(connection, principal, wish.resource)
            await self._require_room(connection, wish.resource, now)
        password_hash = None if wish.password is None else await self._passwords.hash(wish.password)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.transaction() as connection:
            await rules.lock_version(connection)  # what is being deleted is waited for, and one link made at a time
            await self._require_to_share(connection, principal, wish.resource)
            if is_file(wish.resource) and await bundles.find_bundles(connection, [FileId(wish.resource)]):
                message = "a share link opens one object, and a bundle has many"
                raise Conflict(message, conflicting_id=wish.resource, path=("resource",))
            await self._require_room(connection, wish.resource, now)
            assert principal.user_id is not None, "who is not signed in holds SHARE nowhere"
            link = ShareLink(
                id=new_share_link_id(now),
                resource=wish.resource,
                label=wish.label,
                created_by=principal.user_id,
                created_at=now,
                expires_at=wish.expires_at or now + self._max_lifetime,
                max_downloads=wish.max_downloads,
                password_hash=password_hash,
            )
            await share_links.insert_link(connection, link, token_hash(token))
            event = audit_event(
                principal,
                AuditAction.SHARE_LINK_CREATED,
                link.id,
                now=now,
                resource=link.resource,
                after=_link_json(link),
            )
            await audit.insert_events(connection, [event])
        return NewShareLink(link, token)

    async def revoke(self, principal: Principal, link_id: ShareLinkId) -> RevokedShareLink:
        """Let nobody come by this link any more. Idempotent.

        Raises: NotFound. Forbidden: it is another's, and SHARE is missing. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            link = (await self._visible(connection, standing, [link_id])).get(link_id)
            if link is None:
                raise NotFound("no such share link", path=("shareLinkId",))
            if link.created_by != principal.user_id:
                resource = (await find_resources(connection, [link.resource])).get(link.resource)
                shared = frozenset[str]() if resource is None else resource.shared
                require(standing, Permission.SHARE, shared, "shareLinkId")
            revoked = await share_links.revoke_link(connection, link_id, now)
            if revoked is not None:
                link = revoked
                await audit.insert_events(connection, [revocation(principal, link, now)])
        return RevokedShareLink(link, self._last_redirect(link, now))

    async def find(self, principal: Principal, ids: Sequence[ShareLinkId]) -> Mapping[ShareLinkId, ShareLink]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await self._visible(connection, await self._standings.of(connection, principal), ids)

    async def list(self, principal: Principal, request: PageRequest) -> Page[ShareLink]:
        """Those that the principal made, the newest first; to administrators and auditors all.

        Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            if sees_everybody(standing):
                return await share_links.list_links(connection, request)
            return await share_links.list_links(connection, request, created_by=principal.user_id or _NOBODY)

    async def list_on(
        self, principal: Principal, request: PageRequest, resources: Sequence[Scope]
    ) -> Mapping[Scope, Page[ShareLink]]:
        """For each of ``resources``, files and folders, the links on it and above it that the principal may see, the
        newest first; none when it is hidden or absent. Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            found = await find_resources(connection, resources)
            opened_by = {
                resource: _opened_by(found[resource]) if _shows(found.get(resource), standing) else frozenset()
                for resource in resources
            }
            every = frozenset[str]().union(*opened_by.values())
            above = await find_resources(connection, every)
            is_auditor = sees_everybody(standing)
            managed = {scope for scope, there in above.items() if is_auditor or there.is_managed_by(standing)}
            links = await share_links.list_nearest_on(
                connection, request, managed=managed, others=every - managed, created_by=principal.user_id
            )
        return {
            resource: share_links.page_among([link for link in links if link.resource in scopes], request)
            for resource, scopes in opened_by.items()
        }

    def state(self, link: ShareLink) -> ShareLinkState:
        """Whether visitors may come now, as far as the link itself says."""
        return link.state(self._clock())

    def address(self, token: str) -> str | None:
        """What to hand on; None when this service does not know its own address."""
        return None if self._public_url is None else f"{self._public_url}/s/{token}"

    async def turn(self) -> Turn:
        """Forget a batch of links that expired a while ago. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            swept = await share_links.delete_links_before(connection, self._clock() - KEPT, BATCH)
        return Turn(swept, is_more=swept == BATCH)

    async def _visible(
        self, connection: AsyncConnection, standing: Standing, ids: Sequence[ShareLinkId]
    ) -> dict[ShareLinkId, ShareLink]:
        found = await share_links.find_links(connection, ids)
        resources = await find_resources(connection, {link.resource for link in found.values()})
        is_auditor = sees_everybody(standing)
        return {
            id_: link
            for id_, link in found.items()
            if is_auditor
            or link.created_by == standing.user_id
            or (link.resource in resources and resources[link.resource].is_managed_by(standing))
        }

    async def _require_to_share(self, connection: AsyncConnection, principal: Principal, thing: Scope) -> None:
        """Raises: NotFound, Forbidden: SHARE is missing. Conflict: its visitors could not be sent on to the file."""
        standing = await self._standings.of(connection, principal)
        resource = (await find_resources(connection, [thing])).get(thing)
        if resource is None or not resource.is_visible_to(standing):
            raise NotFound("no such file" if is_file(thing) else "no such folder", path=("resource",))
        require(standing, Permission.SHARE, resource.shared, "resource")
        if not is_file(thing):
            return  # what is in a folder may be open though it is not, and changes
        visitors = visitor_standing(standing, await self._standings.of_anonymous(connection, principal.address))
        if (fault := visiting_fault(visitors, resource.scopes)) is not None:
            raise Conflict(fault, path=("resource",))

    async def _require_room(self, connection: AsyncConnection, resource: Scope, now: datetime) -> None:
        """Raises: InvalidInput: there are too many links on it."""
        if await share_links.count_living_on(connection, resource, now) >= self._max_on_resource:
            message = f"at most {self._max_on_resource} links can open one file or folder"
            raise InvalidInput(InputFault(message, ("resource",)))

    def _last_redirect(self, link: ShareLink, now: datetime) -> datetime | None:
        if link.last_used_at is None:
            return None
        end = min(link.last_used_at + self._redirect_lifetime, link.expires_at)
        return end if end > now else None

    def _checked(self, wish: ShareWish, now: datetime) -> ShareWish:
        """With label and password as they are kept. Raises: InvalidInput."""
        faults = [*_faults_of_texts(wish)]
        if wish.max_downloads is not None and not 1 <= wish.max_downloads <= MAX_DOWNLOADS:
            faults.append(InputFault(f"must be from 1 to {MAX_DOWNLOADS}", ("maxDownloads",)))
        longest = now + self._max_lifetime
        if wish.expires_at is not None and not now < wish.expires_at <= longest:
            message = f"must lie between now and {longest.isoformat(timespec='seconds')}"
            faults.append(InputFault(message, ("expiresAt",)))
        if faults:
            raise InvalidInput(*faults)
        return replace(wish, password=None if wish.password is None else normalized_password(wish.password))


def revocation(principal: Principal, link: ShareLink, now: datetime) -> AuditEvent:
    """A link is revoked, or goes with what it opens."""
    return audit_event(
        principal,
        AuditAction.SHARE_LINK_REVOKED,
        link.id,
        now=now,
        resource=link.resource,
        before=_link_json(link) | {"downloads": link.downloads},
    )


def links_gone(principal: Principal, gone: Iterable[ShareLink], now: datetime) -> list[AuditEvent]:
    """They went with the files and folders that they opened."""
    return [revocation(principal, link, now) for link in gone]


def _opened_by(resource: Resource) -> frozenset[str]:
    """Of which things a link opens this one: itself and the folders above."""
    return frozenset(scope for scope in resource.scopes if is_file(scope) or is_folder(scope))


def _shows(resource: Resource | None, standing: Standing) -> bool:
    return resource is not None and (resource.is_visible_to(standing) or sees_everybody(standing))


def _faults_of_texts(wish: ShareWish) -> Iterable[InputFault]:
    label, password = wish.label, wish.password
    if label is not None and not (0 < len(label) <= MAX_LABEL_LENGTH and label.isprintable()):
        yield InputFault(f"must be 1 to {MAX_LABEL_LENGTH} printable characters", ("label",))
    if password is None:
        return
    length = len(normalized_password(password))
    if not MIN_PASSWORD_LENGTH <= length <= MAX_PASSWORD_LENGTH or not password.isprintable():
        message = f"must be {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} printable characters"
        yield InputFault(message, ("password",))


def _link_json(link: ShareLink) -> dict[str, Any]:
    """What the audit log keeps: nothing that opens it."""
    return {
        "label": link.label,
        "expiresAt": link.expires_at.isoformat(),
        "maxDownloads": link.max_downloads,
        "hasPassword": link.has_password,
    }
