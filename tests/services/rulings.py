"""Rules as tests wish for them, and what comes of wishing."""

from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from graphql_api.db import rules
from graphql_api.errors import DeliveryError
from graphql_api.model.audit import AuditEvent, AuditFilter
from graphql_api.model.ids import new_rule_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.model.rule_change import Invitee, RuleWish
from tests.world import START, World

T = TypeVar("T")


def wish(
    subject: Principal | Invitee | str, resource: str, *permissions: Permission, deny: bool = False, **more: Any
) -> RuleWish:
    """READ, if no permission is named."""
    whom = subject.user_id if isinstance(subject, Principal) else subject
    assert whom is not None
    return RuleWish(
        effect=Effect.DENY if deny else Effect.ALLOW,
        permissions=frozenset(permissions or (Permission.READ,)),
        subject=whom if isinstance(whom, Invitee) else Subject(whom),
        resource=Scope(resource),
        **more,
    )


async def ruled(world: World, maker: Principal, wanted: RuleWish) -> AccessRule:
    """The rule that ``maker`` has made."""
    rule = (await world.services.policies.create(maker, wanted)).rule
    assert rule is not None
    return rule


async def outcome(work: Awaitable[T]) -> T | DeliveryError:
    try:
        return await work
    except DeliveryError as error:
        return error


async def refusal(work: Awaitable[object]) -> tuple[str, tuple[str, ...]]:
    """How it was refused: the error's code and its path."""
    error = await outcome(work)
    assert isinstance(error, DeliveryError), error
    return error.code, error.path


async def events(world: World, admin: Principal, **wanted: Any) -> list[AuditEvent]:
    """The newest first."""
    return list((await world.services.audit_log.list(admin, AuditFilter(**wanted), PageRequest(100))).nodes)


async def rules_on(world: World, viewer: Principal, resource: str) -> tuple[AccessRule, ...]:
    """Those that the viewer sees, the newest first."""
    return (await world.services.policies.list(viewer, PageRequest(100), Scope(resource))).nodes


async def stocked(world: World, named: Iterable[tuple[str, str]], maker: Principal | None = None) -> list[AccessRule]:
    """Rules that allow READ, about such subjects and on such resources, as if ``maker`` had made them all before."""
    made_by = None if maker is None else maker.user_id
    made = []
    for subject, resource in named:
        terms = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), Subject(subject), Scope(resource))
        made.append(AccessRule(new_rule_id(START), terms, 1, made_by, START, START))
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, made)
    return made
