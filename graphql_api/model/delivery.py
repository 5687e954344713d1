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
    hold it. ``revocable_by``: what the link says of that in its parameter ``rv``, or that of a bundle in its path;
    None: nothing.
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


class SameSite(StrEnum):
    """From which pages browsers send a cookie (RFC 6265bis)."""

    STRICT = "STRICT"
    LAX = "LAX"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class CookieScope:
    """``domain``: with all hosts below; None for the host that sets the cookies."""

    domain: str | None
    same_site: SameSite
    is_secure: bool  # sent over https only


@dataclass(frozen=True, slots=True)
class BundleLink:
    """Opens every entry of a bundle: ``base_url`` with a path of the bundle and ``?`` with ``query``; or ``cookies``,
    which browsers send below ``path``. ``url`` is the main entry's. ``refresh_after``: when to ask for the next one.
    """

    base_url: str
    path: str
    url: str
    query: str
    expires_at: datetime
    refresh_after: datetime

    @property
    def cookies(self) -> tuple[SignedCookie, ...]:
        """The signature is the same: cookies take the policy of a link as it is, since it names a whole address."""
        parameters = (part.partition("=") for part in self.query.split("&"))
        return tuple(SignedCookie(f"CloudFront-{name}", value) for name, _, value in parameters)
