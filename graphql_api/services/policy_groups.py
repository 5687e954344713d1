"""The groups of a policy file: what would become of them, who would be in them, and making it so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, groups, policy_names
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.group import Group
from graphql_api.model.ids import GroupId, UserId, new_group_id
from graphql_api.model.names import name_key
from graphql_api.policyfile import Path, PolicyFile
from graphql_api.services.groups import group_json, joining, leaving
from graphql_api.services.policy_names import Key, Meaning
from graphql_api.services.rule_draft import Regrouping

_NOBODY: Final = frozenset[UserId]()
_IN_ONE_STATEMENT: Final = 1_000  # users


@dataclass(frozen=True, slots=True)
class GroupChange:
    """``before`` is None for a new group. ``members``: before the change, as far as they are kept by us."""

    before: Group | None
    after: Group
    members: frozenset[UserId]
    joins: frozenset[UserId]
    leaves: frozenset[UserId]

    @property
    def changes_anything(self) -> bool:
        return self.before != self.after or bool(self.joins | self.leaves)


async def changes_of_groups(
    connection: AsyncConnection, file: PolicyFile, meaning: Meaning, people: Mapping[Key, UserId], now: datetime
) -> list[GroupChange]:
    """One for each group of the file. Raises: ConfigurationError: another group has the claim. Unavailable."""
    there = [meaning.groups.get(name_key(group.name)) for group in file.document.groups]
    members = await policy_names.members_of(connection, [group.id for group in there if group is not None])
    changes = []
    for wanted, before in zip(file.document.groups, there, strict=True):
        after = before or Group(new_group_id(now), wanted.name, wanted.claim, now, now)
        if (after.name, after.claim) != (wanted.name, wanted.claim):
            after = replace(after, name=wanted.name, claim=wanted.claim, updated_at=now)
        old = members.get(after.id, _NOBODY)
        new = old if wanted.members is None else frozenset(people[member.key] for member in wanted.members)
        changes.append(GroupChange(before, after, old, new - old, old - new))
    _require_free_claims(file, meaning, changes)
    return changes


async def regrouping_of(connection: AsyncConnection, changes: Iterable[GroupChange]) -> Regrouping:
    """Who would be in other groups than now, as members or by what their last token said. Raises: Unavailable."""
    joined: dict[UserId, frozenset[GroupId]] = {}
    left: dict[UserId, frozenset[GroupId]] = {}
    for change in changes:
        if not change.changes_anything:
            continue
        claim = None if change.before is None else change.before.claim
        claiming = {
            name: await policy_names.list_claiming(connection, name) for name in {claim, change.after.claim} if name
        }
        before = change.members | claiming.get(claim or "", _NOBODY)
        after = (change.members | change.joins) - change.leaves | claiming.get(change.after.claim or "", _NOBODY)
        for user_id in after - before:
            joined[user_id] = joined.get(user_id, frozenset()) | {change.after.id}
        for user_id in before - after:
            left[user_id] = left.get(user_id, frozenset()) | {change.after.id}
    return Regrouping(joined, left)


async def write_groups(connection: AsyncConnection, changes: Sequence[GroupChange], now: datetime) -> None:
    """The policy's version has been bumped in this transaction; all users exist."""
    changes = [change for change in changes if change.changes_anything]
    for change in changes:  # two groups of a file may exchange their claims, which no two can have for a moment
        if change.before is not None and change.before.claim != change.after.claim:
            await groups.update_group(connection, replace(change.after, claim=None))
    events: list[AuditEvent] = []
    for change in changes:
        if change.before is None:
            await groups.insert_group(connection, change.after)
        elif change.before != change.after:
            await groups.update_group(connection, change.after)
        for portion in _portions(sorted(change.joins)):
            await groups.add_members(connection, change.after.id, portion)
        for portion in _portions(sorted(change.leaves)):
            await groups.remove_members(connection, change.after.id, portion)
        events += _events(change, now)
    await audit.insert_events(connection, events)


def _events(change: GroupChange, now: datetime) -> Iterable[AuditEvent]:
    group, before = change.after, change.before
    if before is None:
        yield audit_event(None, AuditAction.GROUP_CREATED, group.id, now=now, after=group_json(group))
    elif before != group:
        was, is_ = group_json(before), group_json(group)
        yield audit_event(None, AuditAction.GROUP_UPDATED, group.id, now=now, before=was, after=is_)
    for user_id in sorted(change.joins):
        yield joining(None, group.id, user_id, now)
    for user_id in sorted(change.leaves):
        yield leaving(None, group.id, user_id, now)


def _require_free_claims(file: PolicyFile, meaning: Meaning, changes: Sequence[GroupChange]) -> None:
    """Raises: ConfigurationError."""
    managed = {change.after.id for change in changes}
    taken = {group.claim: group.name for group in meaning.groups.values() if group.id not in managed}
    faults: list[tuple[Path, str]] = [
        (("groups", number, "claim"), f"the group {taken[change.after.claim]!r} has this claim")
        for number, change in enumerate(changes)
        if change.after.claim is not None and change.after.claim in taken
    ]
    if faults:
        raise file.refused(faults)


def _portions(user_ids: Sequence[UserId]) -> Iterable[Sequence[UserId]]:
    for start in range(0, len(user_ids), _IN_ONE_STATEMENT):
        yield user_ids[start : start + _IN_ONE_STATEMENT]
