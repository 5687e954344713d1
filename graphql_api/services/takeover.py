"""Somebody was named by e-mail address, and it is a user who is known already: what waits for the one is the other's.

So it is with whoever signed in before their address was verified, and with whoever was named by subject as well.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, groups, rules, users
from graphql_api.model.audit import AuditAction, AuditEvent
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Identity
from graphql_api.model.rule import Subject
from graphql_api.services.groups import joining, leaving
from graphql_api.services.rule_json import rule_event


async def take_over_invitation(connection: AsyncConnection, user_id: UserId, identity: Identity, now: datetime) -> None:
    """Give the user, whose identity it is, the rules and memberships of whoever was named by their address and has not
    signed in. In a transaction that ``meet_user`` has begun.
    """
    invited = await users.release_invitation(connection, identity)
    if invited is None:
        return
    await rules.bump_version(connection)
    events = await _move_rules(connection, invited, user_id, now)
    events += await _move_memberships(connection, invited, user_id, now)
    await audit.insert_events(connection, events)


async def _move_rules(connection: AsyncConnection, invited: UserId, user_id: UserId, now: datetime) -> list[AuditEvent]:
    has = {rule.terms for rule in await rules.list_rules_about(connection, [user_id])}
    events, doubles = [], []
    for old in await rules.list_rules_about(connection, [invited]):
        terms = replace(old.terms, subject=Subject(user_id))
        if terms in has:
            doubles.append(old.id)
            events.append(rule_event(None, AuditAction.RULE_DELETED, old, None, now))
            continue
        has.add(terms)
        new = replace(old, terms=terms, version=old.version + 1, updated_at=now)
        await rules.update_rule(connection, new, expected_version=old.version)
        events.append(rule_event(None, AuditAction.RULE_UPDATED, old, new, now))
    await rules.delete_rules(connection, doubles)
    return events


async def _move_memberships(
    connection: AsyncConnection, invited: UserId, user_id: UserId, now: datetime
) -> list[AuditEvent]:
    events = []
    for group_id in await groups.list_joined(connection, invited):
        await groups.remove_members(connection, group_id, [invited])
        events.append(leaving(None, group_id, invited, now))
        if await groups.add_members(connection, group_id, [user_id]):
            events.append(joining(None, group_id, user_id, now))
    return events
