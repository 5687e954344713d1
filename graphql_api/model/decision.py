"""The answer to "may they, and why?"."""

from dataclasses import dataclass
from enum import StrEnum

from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule, ReadTerms


class Ground(StrEnum):
    """What decided."""

    ADMINISTRATOR = "ADMINISTRATOR"
    OWNERSHIP = "OWNERSHIP"
    RULE = "RULE"
    NO_RULE = "NO_RULE"


class Verdict(StrEnum):
    """What became of one rule."""

    DECIDED = "DECIDED"
    AGREED = "AGREED"  # applied, and said the same as what decided
    OVERRULED = "OVERRULED"  # applied, and lost: to a denial, ownership, an administrator, a more generous rule
    OTHER_SUBJECT = "OTHER_SUBJECT"
    OTHER_PERMISSION = "OTHER_PERMISSION"
    OTHER_ADDRESS = "OTHER_ADDRESS"
    NOT_YET = "NOT_YET"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class ConsideredRule:
    """A rule on one of the thing's scopes. ``explanation`` is a sentence for people."""

    rule: AccessRule
    verdict: Verdict
    explanation: str


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """``terms``: of READ on a file; None when no link can be made, because of ``is_allowed`` or of ``link_fault``."""

    permission: Permission
    is_allowed: bool
    ground: Ground
    deciding_rule: AccessRule | None
    considered: tuple[ConsideredRule, ...]
    terms: ReadTerms | None
    link_fault: str | None
    explanation: str
