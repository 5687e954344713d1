"""Access rules: who may (or may not) do what with which files, when, from where, and on what terms.

A **scope** is a set of files that a rule can name, written as one text: a folder's id (the folder with all below; the
root's id is everything), a file's id, ``label:`` and a label, or a user's id (all that the user owns). A **subject** is
written as one text too: a user's or a group's id, ``signed-in`` or ``anyone``. Ids tell their type, so nothing else has
to be kept beside them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from graphql_api.model.ids import FILE_PREFIX, FOLDER_PREFIX, ROOT_FOLDER_ID, RuleId, UserId
from graphql_api.model.principal import Permission

Scope = NewType("Scope", str)
Subject = NewType("Subject", str)

ANYONE: Final = Subject("anyone")
SIGNED_IN: Final = Subject("signed-in")
ROOT: Final = Scope(ROOT_FOLDER_ID)
LABEL_PREFIX: Final = "label:"

EVERYBODY: Final = frozenset({ANYONE, SIGNED_IN})

MAX_RULES_ON_RESOURCE: Final = 10_000
MAX_RULES_ABOUT_SUBJECT: Final = 10_000  # a user or a group; whoever is one carries them all with each request
MAX_RULES_ABOUT_EVERYBODY: Final = 2_000  # about ANYONE and SIGNED_IN together: every request carries these
MAX_SHARED_WITH_EVERYBODY: Final = 100  # of these, made by one user who is no administrator
MAX_IP_RANGES: Final = 50  # of one rule
MAX_SCOPE_LENGTH: Final = 80  # characters: the prefix and the longest label, or an id


def label_scope(label: str) -> Scope:
    """``label``: normalised, as files carry it."""
    return Scope(LABEL_PREFIX + label)


def is_label(scope: str) -> bool:
    return scope.startswith(LABEL_PREFIX)


def is_file(scope: str) -> bool:
    return scope.startswith(FILE_PREFIX)


def is_folder(scope: str) -> bool:
    """The root is one too."""
    return scope.startswith(FOLDER_PREFIX)


class Effect(StrEnum):
    """Deny wins over allow."""

    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Obligations:
    """What a rule that allows READ imposes on the link."""

    max_lifetime: timedelta | None = None
    binds_ip: bool = False  # the link works from the caller's address only
    forces_download: bool = False
    personal_links: bool = False  # the link names who asked, so that theirs alone can be revoked


NO_OBLIGATIONS: Final = Obligations()


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """All that a rule says: what a caller writes, checked and normalised.

    It applies from ``starts_at`` (inclusive) to ``ends_at`` (exclusive), None meaning no bound, to requests from one of
    ``ip_ranges`` (canonical CIDR text, IPv4 or IPv6), an empty tuple meaning from anywhere.
    """

    effect: Effect
    permissions: frozenset[Permission]
    subject: Subject
    resource: Scope
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    ip_ranges: tuple[str, ...] = ()
    obligations: Obligations = NO_OBLIGATIONS


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A rule as it is kept. ``version`` counts its changes from 1; ``made_by`` is None for the system."""

    id: RuleId
    terms: RuleTerms
    version: int
    made_by: UserId | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ReadTerms:
    """On what terms one principal may download one file: the winning rule's, as a whole, with its conditions resolved.

    ``until``: when that ends, as far as is known now. ``ip_range``: the one CIDR range that a link must be bound to.
    ``personal_links``: a link must name the principal.
    """

    max_lifetime: timedelta | None = None
    ip_range: str | None = None
    forces_download: bool = False
    until: datetime | None = None
    personal_links: bool = False


PLAIN: Final = ReadTerms()
