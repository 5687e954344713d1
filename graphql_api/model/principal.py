"""Who asks."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from graphql_api.model.ids import UserId


class Permission(StrEnum):
    """What can be permitted."""

    READ = "READ"
    WRITE = "WRITE"
    DELETE = "DELETE"
    SHARE = "SHARE"
    AUDIT = "AUDIT"
    ADMINISTER = "ADMINISTER"


CONTENT_PERMISSIONS: Final = frozenset({Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE})
ADMINISTRATIVE_PERMISSIONS: Final = frozenset(Permission) - CONTENT_PERMISSIONS  # on the root only

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says about its bearer. ``issuer`` and ``subject`` together name one user for good.

    ``email``: verified by the issuer, or None; whoever was named by it before may sign in with it. ``is_admin``: by a
    role that the token names; whom the settings appoint is for ``Accounts`` to know.
    """

    issuer: str
    subject: str
    display_name: str
    email: str | None = None
    groups: frozenset[str] = frozenset()
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as every service method receives it. ``user_id`` is None for the anonymous principal only.

    ``groups``: what the token calls them, not group ids. ``is_admin``: the token or the settings say so; a rule can
    make an administrator too, so ask a ``Standing``. ``address`` and ``request_id``: for conditions, for the audit log.
    """

    user_id: UserId | None
    display_name: str = ""
    groups: frozenset[str] = frozenset()
    is_admin: bool = False
    address: Address | None = None
    request_id: str | None = None


ANONYMOUS = Principal(user_id=None)
