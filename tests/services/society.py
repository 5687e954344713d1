"""Users, groups and rules on a real database, without files: what tests of people and the log need."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, TypeVar

from graphql_api.db import rules, users
from graphql_api.db.engine import Database
from graphql_api.errors import DeliveryError
from graphql_api.model.audit import AuditEvent, AuditFilter
from graphql_api.model.group import Group
from graphql_api.model.ids import UserId, new_rule_id, new_user_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Identity, Permission, Principal
from graphql_api.model.rule import ROOT, AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.groups import Groups
from graphql_api.services.people import People
from graphql_api.services.standings import Standings
from graphql_api.services.takeover import take_over_invitation
from tests.world import START, Clock

T = TypeVar("T")

ISSUER = "https://issuer.test"
RETENTION = timedelta(days=400)


async def outcome(work: Awaitable[T]) -> T | DeliveryError:
    try:
        return await work
    except DeliveryError as error:
        return error


def identity(subject: str, email: str | None = None, groups: tuple[str, ...] = ()) -> Identity:
    return Identity(ISSUER, subject, subject.capitalize(), email, frozenset(groups))


@dataclass
class Society:
    database: Database
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.standings = Standings(self.clock)
        self.groups = Groups(self.database, self.standings, self.clock)
        self.people = People(self.database, self.standings, self.clock, issuer=ISSUER)
        self.log = AuditLog(self.database, self.standings, self.clock, retention=RETENTION)

    async def sign_in(self, who: Identity) -> tuple[UserId, bool]:
        """As a first or later sign-in does it; the user, and whether they are new."""
        async with self.database.autocommit() as connection:
            found = await users.find_user(connection, who)
        if found is not None:
            return found, False
        async with self.database.transaction() as connection:
            known = await users.meet_user(connection, who)
            known = known or await users.claim_invitation(connection, who, self.clock())
            user_id = known or new_user_id(self.clock())
            if known is None:
                assert await users.insert_user(connection, user_id, who, now=self.clock())
            await take_over_invitation(connection, user_id, who, self.clock())
            return user_id, known is None

    async def principal(self, subject: str, *, is_admin: bool = False, groups: tuple[str, ...] = ()) -> Principal:
        """Somebody who has signed in; ``is_admin``: their token says so."""
        user_id, _ = await self.sign_in(identity(subject, groups=groups))
        asks_from = ip_address("192.0.2.1")
        return Principal(user_id, subject, frozenset(groups), is_admin, address=asks_from, request_id="req-1")

    async def rule(
        self, subject: str, *permissions: Permission, effect: Effect = Effect.ALLOW, **terms: Any
    ) -> AccessRule:
        """A rule on the root, made by nobody."""
        wanted = RuleTerms(effect, frozenset(permissions), Subject(subject), Scope(ROOT), **terms)
        made = AccessRule(new_rule_id(START), wanted, 1, None, START, START)
        async with self.database.transaction() as connection:
            await rules.bump_version(connection)
            await rules.insert_rules(connection, [made])
        return made

    async def administrator(self, subject: str) -> Principal:
        """Somebody whom a rule makes an administrator."""
        principal = await self.principal(subject)
        await self.rule(str(principal.user_id), Permission.ADMINISTER)
        return principal

    async def members(self, group: Group) -> set[UserId]:
        auditor = Principal(UserId("user_" + "9" * 26), is_admin=True)
        page = await self.groups.list_members(auditor, group.id, PageRequest(100))
        return {user.id for user in page.nodes}

    async def events(self, **wanted: Any) -> list[AuditEvent]:
        """Newest first."""
        auditor = Principal(UserId("user_" + "9" * 26), is_admin=True)
        return list((await self.log.list(auditor, AuditFilter(**wanted), PageRequest(100))).nodes)


def id_of(principal: Principal) -> UserId:
    assert principal.user_id is not None
    return principal.user_id


async def at_once(*works: Awaitable[T]) -> list[T | DeliveryError]:
    return list(await asyncio.gather(*(outcome(work) for work in works)))


def elsewhere(principal: Principal) -> Principal:
    return replace(principal, address=ip_address("2001:db8::1"), request_id="req-2")
