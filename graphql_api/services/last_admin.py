"""The last administrator cannot be locked out, not even by themselves."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.groups import list_who_may_be
from graphql_api.db.rehearsal import groups_of
from graphql_api.db.rulebooks import subjects_of
from graphql_api.db.rules import list_rules_on
from graphql_api.errors import Conflict
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, AccessRule, Effect
from graphql_api.services.rule_draft import Regrouping, RuleDraft

EXAMINED_AT_ONCE: Final = 500  # users

_AS_IT_IS: Final = Regrouping()
_After = Callable[[Iterable[AccessRule]], list[AccessRule]]


@asynccontextmanager
async def keeping_an_admin(
    connection: AsyncConnection, standing: Standing | None, now: datetime
) -> AsyncIterator[None]:
    """Around the change of a policy, in its transaction; ``standing`` is that of who makes it, None: the system.

    Only an administrator can take ADMINISTER from anybody, and one whose token says so remains one whatever rules say,
    so only those by rule are looked after.

    Raises: Conflict: the change would take the last enduring administrator's permission.
    """
    could_harm = standing is None or (standing.is_admin and not standing.is_token_admin)
    had_one = could_harm and await _has_an_admin(connection, now)
    yield
    if had_one and not await _has_an_admin(connection, now):
        raise Conflict("nobody would be left who may administer")


async def leaves_no_admin(draft: RuleDraft) -> bool:
    """Whether nobody would be left, where somebody is, whoever makes the change; nothing is written."""
    connection, now = draft.connection, draft.now
    if not await _has_an_admin(connection, now):
        return False
    return not await _has_an_admin(connection, now, draft.after, draft.regrouping)


async def require_an_admin_left(connection: AsyncConnection, standing: Standing, now: datetime, after: _After) -> None:
    """The same before anything is written: ``after`` says what a change would leave of some rules, with all that it
    would make. Raises: Conflict.
    """
    could_harm = standing.is_admin and not standing.is_token_admin
    if could_harm and await _has_an_admin(connection, now) and not await _has_an_admin(connection, now, after):
        raise Conflict("nobody would be left who may administer")


async def _has_an_admin(
    connection: AsyncConnection, now: datetime, after: _After = list, regrouping: Regrouping = _AS_IT_IS
) -> bool:
    """Whether somebody who has signed in is an administrator by rule from now on, whenever and wherever from.

    All whom a rule may make one are looked at, some at a time: any number of them may be denied it.
    """
    on_root = after(await list_rules_on(connection, [ROOT]))
    allowed: set[str] = {rule.terms.subject for rule in on_root if _allows_for_good(rule, now)}
    denied: set[str] = {rule.terms.subject for rule in on_root if _may_deny(rule, now)}
    if not allowed or not denied.isdisjoint({ANYONE, SIGNED_IN}):
        return False
    joining = {user_id for user_id, groups in regrouping.joined.items() if not allowed.isdisjoint(groups)}
    last: UserId | None = None
    while user_ids := await list_who_may_be(connection, allowed | joining, EXAMINED_AT_ONCE, last):
        for user_id, groups in (await groups_of(connection, user_ids)).items():
            own = subjects_of(user_id, regrouping.after(user_id, groups))
            if not allowed.isdisjoint(own) and denied.isdisjoint(own):
                return True
        last = user_ids[-1]
    return False


def _allows_for_good(rule: AccessRule, now: datetime) -> bool:
    terms = rule.terms
    has_begun = terms.starts_at is None or terms.starts_at <= now
    is_bounded = terms.ends_at is not None or bool(terms.ip_ranges)
    return terms.effect is Effect.ALLOW and _is_about_administering(rule) and has_begun and not is_bounded


def _may_deny(rule: AccessRule, now: datetime) -> bool:
    """Now, or on some later day, or from some address."""
    terms = rule.terms
    return (
        terms.effect is Effect.DENY and _is_about_administering(rule) and (terms.ends_at is None or terms.ends_at > now)
    )


def _is_about_administering(rule: AccessRule) -> bool:
    return rule.terms.resource == ROOT and Permission.ADMINISTER in rule.terms.permissions
