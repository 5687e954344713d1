"""What the account is about, and how long everything lasts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tests.stateful.blobs import Blob

ROOT: Final = "root"
SHARED: Final = "shared"
PEOPLE: Final = ("alice", "bob")
ADMIN: Final = "admin"

UNFINISHED: Final = ("PENDING", "PROCESSING")
FIRST_LOOK: Final = timedelta(minutes=5)
TARGET_LIFETIME: Final = timedelta(hours=1)
UPLOAD_LIFETIME: Final = timedelta(days=1)
LONGEST_LIFETIME: Final = timedelta(days=7)
WORTH_EXTENDING: Final = timedelta(hours=1)
SLOW_TRANSFER: Final = timedelta(hours=1)  # of what was begun in time
LAST_ARRIVAL: Final = timedelta(days=1) + SLOW_TRANSFER
FORM_IS_OVER: Final = SLOW_TRANSFER + timedelta(minutes=15)  # the store's clock may differ
STRAYS_EVERY: Final = timedelta(hours=1)
OLD_ENOUGH: Final = timedelta(hours=1)  # for a store's upload without a row
REFUSED_AGAIN: Final = timedelta(hours=1)
SCAN_PATIENCE: Final = timedelta(days=1)
LINK_LIFETIME: Final = timedelta(days=90)  # of share links
LOOK_FOR_VERDICT: Final = timedelta(hours=1)


class Refused(Exception):
    """Its text is the name of the product's error, and why an upload failed."""


def home_of(person: str) -> str:
    return f"{person}'s"


@dataclass(frozen=True)
class Wish:
    """``promised``: the content whose size and checksums are promised, whatever comes."""

    place: str
    name: str
    promised: Blob
    method: str = "PUT"
    binds_sha256: bool = False
    crc_of: Blob | None = None  # of this content the CRC-64/NVME is promised
    is_text: bool = False
    renames: bool = False
    replaces: int | None = None


@dataclass
class Upload:
    """``store``: whether the store's upload is to come ("none"), "open" or "gone"."""

    wish: Wish
    owner: str
    place: str | None
    name: str
    created: datetime
    expires: datetime
    look_at: datetime
    status: str = "PENDING"
    failure: str | None = None
    moved: datetime | None = None  # to PROCESSING
    clean: Blob | None = None  # what was called clean
    has_job: bool = False
    lands_until: datetime | None = None  # who has a target may send to it, and be slow
    store: str = "none"
    begun: datetime | None = None  # the store's upload
    parts: dict[int, Blob] = field(default_factory=dict)
    said: dict[int, Blob] = field(default_factory=dict)  # what was told of parts when they were signed
    kept: Blob | None = None  # what was verified
    check_at: datetime | None = None  # whether it is that still
    is_altered: bool = False
    is_infected: bool = False  # as somebody said when it was a file already

    @property
    def size(self) -> int:
        return len(self.wish.promised)

    @property
    def is_new_file(self) -> bool:
        return self.wish.replaces is None


@dataclass
class File:
    owner: str
    place: str
    name: str
    versions: dict[int, int]  # number -> upload
    current: int  # upload
    newest: int = 1


@dataclass
class Folder:
    parent: str
    owner: str
    name: str
    quota: int | None = None
    max_size: int | None = None
    takes_text_only: bool = False


@dataclass
class Link:
    """A share link. ``thing``: a file's number or a folder's handle."""

    maker: str
    thing: int | str
    made: datetime
    max_downloads: int | None
    downloads: int = 0
    is_revoked: bool = False

    def is_open(self, now: datetime) -> bool:
        is_used_up = self.max_downloads is not None and self.downloads >= self.max_downloads
        return not self.is_revoked and not is_used_up and now < self.made + LINK_LIFETIME
