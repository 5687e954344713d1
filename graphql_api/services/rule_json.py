"""Rules in the audit log and in remembered answers: the field names are the API's, so that one spelling serves all."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.ids import RuleId, UserId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import AccessRule, Effect, Obligations, RuleTerms, Scope, Subject


def terms_json(terms: RuleTerms) -> dict[str, Any]:
    lifetime = terms.obligations.max_lifetime
    return {
        "effect": terms.effect.value,
        "permissions": [permission.value for permission in Permission if permission in terms.permissions],
        "subject": terms.subject,
        "resource": terms.resource,
        "startsAt": _text(terms.starts_at),
        "endsAt": _text(terms.ends_at),
        "ipRanges": list(terms.ip_ranges),
        "obligations": {
            "maxLifetime": None if lifetime is None else int(lifetime.total_seconds()),
            "bindsIp": terms.obligations.binds_ip,
            "forcesDownload": terms.obligations.forces_download,
            "personalLinks": terms.obligations.personal_links,
        },
    }


def rule_json(rule: AccessRule) -> dict[str, Any]:
    """All of a rule: ``rule_of_json`` reads it."""
    return {
        "id": rule.id,
        **terms_json(rule.terms),
        "version": rule.version,
        "madeBy": rule.made_by,
        "createdAt": rule.created_at.isoformat(),
        "updatedAt": rule.updated_at.isoformat(),
    }


def rule_of_json(said: Mapping[str, Any]) -> AccessRule:
    obligations = said["obligations"]
    lifetime = obligations["maxLifetime"]
    return AccessRule(
        id=RuleId(said["id"]),
        terms=RuleTerms(
            effect=Effect(said["effect"]),
            permissions=frozenset(map(Permission, said["permissions"])),
            subject=Subject(said["subject"]),
            resource=Scope(said["resource"]),
            starts_at=instant(said["startsAt"]),
            ends_at=instant(said["endsAt"]),
            ip_ranges=tuple(said["ipRanges"]),
            obligations=Obligations(
                None if lifetime is None else timedelta(seconds=lifetime),
                obligations["bindsIp"],
                obligations["forcesDownload"],
                obligations.get("personalLinks", False),  # an older version did not say
            ),
        ),
        version=said["version"],
        made_by=None if said["madeBy"] is None else UserId(said["madeBy"]),
        created_at=datetime.fromisoformat(said["createdAt"]),
        updated_at=datetime.fromisoformat(said["updatedAt"]),
    )


def rule_event(
    principal: Principal | None,
    action: AuditAction,
    before: AccessRule | None,
    after: AccessRule | None,
    now: datetime,
) -> AuditEvent:
    """One of the two may be None."""
    rule = after or before
    assert rule is not None
    return audit_event(
        principal,
        action,
        rule.id,
        now=now,
        resource=rule.terms.resource,
        before=None if before is None else rule_json(before),
        after=None if after is None else rule_json(after),
    )


def rules_gone(principal: Principal, gone: Iterable[AccessRule], now: datetime) -> list[AuditEvent]:
    """They went with the files and folders that they stood on."""
    return [rule_event(principal, AuditAction.RULE_DELETED, rule, None, now) for rule in gone]


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def tag_of(rules: Iterable[AccessRule]) -> str:
    """Differs when another rule is among them, one is gone or one was changed."""
    states = sorted(f"{rule.id} {rule.version}\n" for rule in rules)
    return hashlib.sha256("".join(states).encode()).hexdigest()[:32]


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
