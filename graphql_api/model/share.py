"""Links that people hand on: whoever has the address may fetch what its maker may, for as long as its maker may."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from graphql_api.model.ids import ShareLinkId, UserId
from graphql_api.model.rule import Scope

TOKEN_BYTES: Final = 32  # of chance in an address; it is kept as its SHA-256 only
MAX_LINKS_ON_RESOURCE: Final = 1_000  # that have neither expired nor been revoked
MAX_LABEL_LENGTH: Final = 100  # characters
MIN_PASSWORD_LENGTH: Final = 8  # characters, after NFC
MAX_PASSWORD_LENGTH: Final = 200
MAX_DOWNLOADS: Final = 1_000_000  # that a link can be limited to
NO_LIMIT: Final = 2**31 - 1  # downloads, at which the database and GraphQL stop counting


class ShareLinkState(StrEnum):
    """Whether visitors may come. What its maker may do meanwhile is another question, asked at each visit."""

    OPEN = "OPEN"
    USED_UP = "USED_UP"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class ShareLink:
    """``resource``: the id of a file, or of a folder with all below. ``label``: the maker's own note, not shown to
    visitors. ``downloads``: how often somebody was sent on to the bytes of a file. ``max_downloads``: None for no limit
    """

    id: ShareLinkId
    resource: Scope
    label: str | None
    created_by: UserId
    created_at: datetime
    expires_at: datetime
    max_downloads: int | None
    password_hash: str | None = field(repr=False)
    downloads: int = 0
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def has_password(self) -> bool:
        return self.password_hash is not None

    def state(self, now: datetime) -> ShareLinkState:
        if self.revoked_at is not None:
            return ShareLinkState.REVOKED
        if self.expires_at <= now:
            return ShareLinkState.EXPIRED
        if self.downloads >= (self.max_downloads or NO_LIMIT):
            return ShareLinkState.USED_UP
        return ShareLinkState.OPEN


@dataclass(frozen=True, slots=True)
class ShareWish:
    """What a caller would like of a link. ``expires_at``: as late as links may be if None."""

    resource: Scope
    label: str | None = None
    expires_at: datetime | None = None
    max_downloads: int | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewShareLink:
    """``token``: what opens it. Nobody but its maker learns it, and only now."""

    link: ShareLink
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RevokedShareLink:
    """``old_links_expire_by``: until then who was sent on before may still fetch the bytes; None: nobody may."""

    link: ShareLink
    old_links_expire_by: datetime | None
