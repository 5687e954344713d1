"""Who asks."""

from dataclasses import dataclass
from enum import StrEnum

from graphql_api.model.ids import UserId


class Permission(StrEnum):
    """What can be permitted."""

    READ = "READ"
    WRITE = "WRITE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says about its bearer. ``issuer`` and ``subject`` together name one user for good."""

    issuer: str
    subject: str
    display_name: str
    email: str | None = None
    groups: frozenset[str] = frozenset()
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as every service method receives it. ``user_id`` is None for the anonymous principal only."""

    user_id: UserId | None
    display_name: str = ""
    groups: frozenset[str] = frozenset()
    is_admin: bool = False


ANONYMOUS = Principal(user_id=None)
