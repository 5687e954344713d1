"""What a caller may ask to be changed about the rules: by mutations, rehearsals and policy files alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from graphql_api.model.ids import RuleId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule, Effect, Scope, Subject


@dataclass(frozen=True, slots=True)
class Invitee:
    """Somebody who may not have signed in yet, by verified e-mail address or by the subject of their token: one of
    the two.
    """

    email: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class RuleWish:
    """A rule as a caller writes it: nothing is checked yet. ``ip_ranges``: addresses or CIDR ranges, IPv4 or IPv6."""

    effect: Effect
    permissions: frozenset[Permission]
    subject: Subject | Invitee
    resource: Scope
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    ip_ranges: tuple[str, ...] = ()
    max_lifetime: timedelta | None = None
    binds_ip: bool = False
    forces_download: bool = False
    personal_links: bool = False


@dataclass(frozen=True, slots=True)
class CreateRule:
    wish: RuleWish


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """``changes``: new values of fields of ``RuleWish``; what is not named stays."""

    rule_id: RuleId
    version: int  # which the caller has seen
    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DeleteRule:
    rule_id: RuleId
    version: int  # which the caller has seen


@dataclass(frozen=True, slots=True)
class ReplaceRules:
    """All rules that stand on ``resource`` itself. A rule that ``wishes`` has word for word stays the rule it is."""

    resource: Scope
    tag: str  # of the rules that the caller has seen there
    wishes: tuple[RuleWish, ...]


ProposedChange = CreateRule | UpdateRule | DeleteRule | ReplaceRules


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What a change has left. ``rule``: the one created, updated or deleted (as it was); None for a replacement.
    ``rules``: those that now stand on the resource for a replacement, else that one rule while it exists.

    ``old_links_expire_by``: links that were issued before may work until then for somebody who may no longer read, or
    gets no more of them; None when the change does that to nobody.
    """

    rule: AccessRule | None
    rules: tuple[AccessRule, ...]
    old_links_expire_by: datetime | None
