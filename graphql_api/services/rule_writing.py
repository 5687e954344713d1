"""Drafted changes become rows, with what the audit log says about them; and what was answered is remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, idempotency, rules, users
from graphql_api.errors import Conflict
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.principal import Principal
from graphql_api.model.rule import AccessRule
from graphql_api.model.rule_change import ProposedChange, RuleChange
from graphql_api.services.rule_draft import RuleDraft, Step
from graphql_api.services.rule_json import instant, rule_event, rule_json, rule_of_json


async def write(draft: RuleDraft) -> None:
    """The policy's version has been bumped in this transaction, so what was drafted still holds.

    Raises: Conflict: what a rule stands on has gone at this moment, and the rule with it.
    """
    connection = draft.connection
    events = await _invite(draft)
    for action, some in groupby(draft.steps, _action_of):
        steps = list(some)
        events += [rule_event(draft.principal, action, step.before, step.after, draft.now) for step in steps]
        if action is AuditAction.RULE_CREATED:
            await rules.insert_rules(connection, [step.after for step in steps if step.after is not None])
        elif action is AuditAction.RULE_DELETED:
            await rules.delete_rules(connection, [step.before.id for step in steps if step.before is not None])
        else:
            for step in steps:
                await _update(connection, step)
    await audit.insert_events(connection, events)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a principal was answered the first time it asked with ``key``; nothing without a key."""

    principal: Principal
    key: str | None
    asked: Sequence[ProposedChange]
    now: datetime

    async def recall(self, connection: AsyncConnection) -> Sequence[RuleChange] | None:
        """Raises: InvalidInput: what is no key. Conflict: it was used for another request."""
        if self.key is None or self.principal.user_id is None:
            return None
        idempotency.require_key(self.key)
        found = await idempotency.remembered(connection, self.principal.user_id, self.key, self._fingerprint())
        return None if found is None else [_change_of_json(change) for change in found]

    async def keep(self, connection: AsyncConnection, answer: Sequence[RuleChange]) -> None:
        if self.key is None or self.principal.user_id is None:
            return
        said = [_change_json(change) for change in answer]
        await idempotency.remember(connection, self.principal.user_id, self.key, self._fingerprint(), said, self.now)

    def _fingerprint(self) -> str:
        return idempotency.fingerprint_of("rules", {"changes": _plain(self.asked)})


async def _invite(draft: RuleDraft) -> list[AuditEvent]:
    """Those whom rules now name, and who are not known yet, get their rows."""
    events = []
    named: set[str] = {step.after.terms.subject for step in draft.steps if step.after is not None}
    for user_id, invitee in draft.subjects.invitees.items():
        if user_id not in named:
            continue
        await users.find_or_invite(
            draft.connection,
            user_id,
            issuer=draft.subjects.issuer,
            email=invitee.email,
            subject=invitee.subject,
            now=draft.now,
        )
        after = {"email": invitee.email} if invitee.email is not None else {"tokenSubject": invitee.subject}
        events.append(audit_event(draft.principal, AuditAction.USER_INVITED, user_id, now=draft.now, after=after))
    return events


async def _update(connection: AsyncConnection, step: Step) -> None:
    assert step.before is not None
    assert step.after is not None
    if not await rules.update_rule(connection, step.after, expected_version=step.before.version):
        raise Conflict("the rule has changed since", path=("version",))


def _action_of(step: Step) -> AuditAction:
    if step.before is None:
        return AuditAction.RULE_CREATED
    return AuditAction.RULE_DELETED if step.after is None else AuditAction.RULE_UPDATED


def _change_json(change: RuleChange) -> dict[str, Any]:
    until = change.old_links_expire_by
    return {
        "rule": None if change.rule is None else rule_json(change.rule),
        "rules": [rule_json(rule) for rule in change.rules],
        "oldLinksExpireBy": None if until is None else until.isoformat(),
    }


def _change_of_json(said: Mapping[str, Any]) -> RuleChange:
    rule: AccessRule | None = None if said["rule"] is None else rule_of_json(said["rule"])
    return RuleChange(rule, tuple(map(rule_of_json, said["rules"])), instant(said["oldLinksExpireBy"]))


def _plain(value: object) -> Any:
    """What JSON can say, different for different requests."""
    if is_dataclass(value):
        of_fields = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **of_fields}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | timedelta):
        return str(value)
    return value
