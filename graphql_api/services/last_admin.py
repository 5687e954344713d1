"""The last administrator cannot be locked out, not even by themselves."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.groups import list_who_may_be
from graphql_api.db.rulebooks import load_rulebook_of, subjects_of
from graphql_api.db.rules import list_rules_on
from graphql_api.errors import Conflict
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, AccessRule, Effect

MAX_EXAMINED: Final = 100  # users; when rules name more, one of these will do

_After = Callable[[Iterable[AccessRule]], list[AccessRule]]


@asynccontextmanager
async def keeping_an_admin(connection: AsyncConnection, standing: Standing, now: datetime) -> AsyncIterator[None]:
    """Around the change of a policy, in its transaction; ``standing`` is that of who makes it.

    Only an administrator can take ADMINISTER from anybody, and one whose token says so remains one whatever rules say,
    so only those by rule are looked after.

    Raises: Conflict: the change would take the last enduring administrator's permission.
    """
    could_harm = standing.is_admin and not standing.is_token_admin
    had_one = could_harm and await _has_an_admin(connection, now)
    yield
    if had_one and not await _has_an_admin(connection, now):
        raise Conflict("nobody would be left who may administer")


async def require_an_admin_left(connection: AsyncConnection, standing: Standing, now: datetime, after: _After) -> None:
    """The same before anything is written: ``after`` says what a change would leave of some rules, with all that it
    would make. Raises: Conflict.
    """
    could_harm = standing.is_admin and not standing.is_token_admin
    if could_harm and await _has_an_admin(connection, now) and not await _has_an_admin(connection, now, after):
        raise Conflict("nobody would be left who may administer")


async def _has_an_admin(connection: AsyncConnection, now: datetime, after: _After = list) -> bool:
    """Whether somebody who has signed in is an administrator by rule from now on, whenever and wherever from."""
    on_root = after(await list_rules_on(connection, [ROOT]))
    allows = [rule.terms.subject for rule in on_root if _allows_for_good(rule, now)]
    for user_id in await list_who_may_be(connection, allows, MAX_EXAMINED):
        book = await load_rulebook_of(connection, user_id)
        own = subjects_of(user_id, book.groups)
        if _is_admin_for_good([rule for rule in after(book.rules) if rule.terms.subject in own], now):
            return True
    return False


def _is_admin_for_good(rules: Sequence[AccessRule], now: datetime) -> bool:
    return any(_allows_for_good(rule, now) for rule in rules) and not any(_may_deny(rule, now) for rule in rules)


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
