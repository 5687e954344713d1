"""Whom rules are about, besides everybody: users and groups of them."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from graphql_api.model.ids import GroupId, UserId

MAX_EMAIL_LENGTH: Final = 254  # characters; RFC 5321, section 4.5.3.1.3, less the angle brackets
MAX_CLAIM_LENGTH: Final = 255  # characters; of what a token calls a user or a group
MAX_CHANGED_MEMBERS: Final = 100  # in one go

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")


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


def email_key(email: str) -> str:
    """Two addresses are the same exactly when their keys are equal: letters of ASCII may differ in case.

    Nothing else is folded: the Kelvin sign would become a k, and somebody else's address would be mine.
    """
    return "".join(character.lower() if character.isascii() else character for character in email)


def email_fault(email: str) -> str | None:
    """Why ``email`` cannot be anybody's address, or None."""
    if len(email) > MAX_EMAIL_LENGTH or not email.isprintable() or not _EMAIL.fullmatch(email):
        return "is not an e-mail address"
    return None


def claim_fault(claim: str) -> str | None:
    """Why no token that is believed can have this value as a subject or a group, or None."""
    if not 0 < len(claim) <= MAX_CLAIM_LENGTH or not claim.isprintable():
        return f"must be 1 to {MAX_CLAIM_LENGTH} printable characters, as a token has it"
    return None
