"""Whom rules are about, besides everybody: users and groups of them."""

from dataclasses import dataclass
from datetime import datetime

from graphql_api.model.ids import GroupId, UserId


@dataclass(frozen=True, slots=True)
class User:
    """A person or a service. ``has_signed_in`` is False while only somebody else has named them."""

    id: UserId
    display_name: str
    email: str | None
    has_signed_in: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Its members, and whoever's token names ``claim`` among their groups; None: members only."""

    id: GroupId
    name: str
    claim: str | None
    created_at: datetime
    updated_at: datetime
