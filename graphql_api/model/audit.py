"""The audit log: what changed access, by whom. Append-only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from graphql_api.model.ids import EventId, UserId, new_event_id
from graphql_api.model.principal import Principal


class AuditAction(StrEnum):
    """What was done. Everything that can change who may do what is here, and what changes or removes the bytes that
    somebody was allowed to read.
    """

    RULE_CREATED = "RULE_CREATED"
    RULE_UPDATED = "RULE_UPDATED"
    RULE_DELETED = "RULE_DELETED"
    GROUP_CREATED = "GROUP_CREATED"
    GROUP_UPDATED = "GROUP_UPDATED"
    GROUP_DELETED = "GROUP_DELETED"
    MEMBER_ADDED = "MEMBER_ADDED"
    MEMBER_REMOVED = "MEMBER_REMOVED"
    USER_INVITED = "USER_INVITED"
    FILE_MOVED = "FILE_MOVED"
    FILE_REPLACED = "FILE_REPLACED"
    FILE_VERSION_RESTORED = "FILE_VERSION_RESTORED"
    FILE_VERSION_DELETED = "FILE_VERSION_DELETED"
    FILE_DELETED = "FILE_DELETED"
    FOLDER_MOVED = "FOLDER_MOVED"
    FOLDER_DELETED = "FOLDER_DELETED"
    LABELS_CHANGED = "LABELS_CHANGED"
    QUOTA_CHANGED = "QUOTA_CHANGED"
    GATE_CHANGED = "GATE_CHANGED"
    FILE_WITHHELD = "FILE_WITHHELD"
    SHARE_LINK_CREATED = "SHARE_LINK_CREATED"
    SHARE_LINK_REVOKED = "SHARE_LINK_REVOKED"
    KEY_ADDED = "KEY_ADDED"
    KEY_ROTATED = "KEY_ROTATED"
    KEY_RETIRED = "KEY_RETIRED"
    LINKS_REVOKED = "LINKS_REVOKED"
    FILE_PUBLISHED = "FILE_PUBLISHED"
    FILE_UNPUBLISHED = "FILE_UNPUBLISHED"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """``target`` is the id of the rule, group, user, share link, file, folder or signing key that was changed;
    ``resource`` the scope that a rule or a share link is about, or the user who joined or left a group. ``before`` and
    ``after`` are JSON objects, None where there was or is nothing. ``actor_id`` is None for the system.
    """

    id: EventId
    occurred_at: datetime
    actor_id: UserId | None
    action: AuditAction
    target: str
    resource: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    address: str | None = None
    request_id: str | None = None


def audit_event(
    principal: Principal | None,
    action: AuditAction,
    target: str,
    *,
    now: datetime,
    resource: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """What ``principal`` (None: the system) does ``now``."""
    return AuditEvent(
        id=new_event_id(now),
        occurred_at=now,
        actor_id=principal.user_id if principal else None,
        action=action,
        target=target,
        resource=resource,
        before=before,
        after=after,
        address=str(principal.address) if principal and principal.address else None,
        request_id=principal.request_id if principal else None,
    )


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All given conditions must hold. ``resource_id`` matches the changed thing and what a rule is about."""

    actor_id: UserId | None = None
    resource_id: str | None = None
    actions: tuple[AuditAction, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
