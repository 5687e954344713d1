"""Rules as tests wish for them, and what comes of wishing."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from graphql_api.errors import DeliveryError
from graphql_api.model.audit import AuditEvent, AuditFilter
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import AccessRule, Effect, Scope, Subject
from graphql_api.model.rule_change import Invitee, RuleWish
from tests.world import World

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
