"""What a policy file says, with the names that it says it by: paths, group names, e-mail addresses."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from graphql_api.model.group import email_key
from graphql_api.model.labels import normalized_label
from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import NO_OBLIGATIONS, Effect, Obligations

TargetKey = tuple[str, ...]


class Kind(StrEnum):
    """How somebody is named."""

    GROUP = "group"
    USER = "user"  # by e-mail address
    SUBJECT = "subject"  # of their token
    ID = "id"  # of a user for whom the other two would be ambiguous
    SIGNED_IN = "signed-in"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Whom:
    """``name`` is empty for ``SIGNED_IN`` and ``ANYONE``."""

    kind: Kind
    name: str = ""

    @property
    def key(self) -> tuple[Kind, str]:
        """Two that mean the same have equal keys."""
        match self.kind:
            case Kind.GROUP:
                return self.kind, name_key(self.name)
            case Kind.USER:
                return self.kind, email_key(self.name)
            case _:
                return self.kind, self.name

    def __str__(self) -> str:
        match self.kind:
            case Kind.SIGNED_IN | Kind.ANYONE:
                return str(self.kind)
            case Kind.USER:
                return self.name
            case _:
                return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """A resource by its names. ``kind`` is ``root``, ``folder``, ``file`` or ``label``; ``path`` has the names from
    below the root down, ``label`` is normalised.
    """

    kind: str
    path: tuple[str, ...] = ()
    label: str = ""

    @property
    def key(self) -> TargetKey:
        """Two targets are the same exactly when their keys are equal: a folder and a file cannot share a name."""
        if self.kind == "label":
            return (self.kind, normalized_label(self.label) or self.label)
        return ("root" if self.kind == "root" else "entry", *map(name_key, self.path))

    def __str__(self) -> str:
        match self.kind:
            case "root":
                return "root"
            case "label":
                return f"label {self.label}"
            case _:
                return f"{self.kind} /{'/'.join(self.path)}"


@dataclass(frozen=True, slots=True)
class FileRule:
    """One rule on the section's resource. ``ip_ranges`` are canonical CIDR texts in order."""

    effect: Effect
    permissions: frozenset[Permission]
    to: Whom
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    ip_ranges: tuple[str, ...] = ()
    obligations: Obligations = NO_OBLIGATIONS

    @property
    def key(self) -> Hashable:
        """Two rules on one resource that say the same have equal keys."""
        return replace(self, to=Whom(*self.to.key))


@dataclass(frozen=True, slots=True)
class FileSection:
    """All rules that stand on ``target`` itself."""

    target: Target
    rules: tuple[FileRule, ...]


@dataclass(frozen=True, slots=True)
class FileGroup:
    """``claim`` None: no token's claim makes members. ``members`` None: whoever they are, they stay."""

    name: str
    claim: str | None = None
    members: tuple[Whom, ...] | None = None


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """Everything that a file says; it manages exactly the groups and resources that it names."""

    groups: tuple[FileGroup, ...] = ()
    sections: tuple[FileSection, ...] = ()
