"""From permission to address."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from graphql_api.model.file import File
from graphql_api.model.rule import ReadTerms


class ContentDisposition(StrEnum):
    """How a browser presents a file (RFC 6266)."""

    INLINE = "INLINE"
    ATTACHMENT = "ATTACHMENT"


@dataclass(frozen=True, slots=True)
class ReadGrant:
    """Proof that a principal may download ``file``, on ``terms``. Only ``access`` makes one; whoever signs a link must
    hold it. ``revocable_by``: what the link says of that in its parameter ``rv``; None: nothing.
    """

    file: File
    terms: ReadTerms
    revocable_by: str | None = None


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What a caller would like of a link; policy may shorten ``lifetime``."""

    lifetime: timedelta
    starts_at: datetime | None = None
    disposition: ContentDisposition = ContentDisposition.INLINE
    filename: str | None = None  # the file's own name if None
    ip_range: str | None = None  # one IPv4 address or CIDR range


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """An address to be used as it is: re-encoding it breaks the signature."""

    url: str
    expires_at: datetime
    key_pair_id: str
    has_custom_policy: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A signed address of one file's bytes, as a client gets it.

    ``refresh_after``: when to ask for the next one. ``cache_key``: the same for the same bytes, whatever the address;
    opaque.
    """

    url: str
    expires_at: datetime
    refresh_after: datetime
    cache_key: str
    key_pair_id: str
    has_custom_policy: bool


@dataclass(frozen=True, slots=True)
class SignedCookie:
    """One cookie that opens what its policy names; attributes are the sender's business."""

    name: str
    value: str
