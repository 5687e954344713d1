"""Revoking: making links that were given out stop working before they end.

Each link says, in one signed parameter ``rv``, by what it can be revoked and how new it is; each revocation has a
number, larger than all before it. The edge refuses a link whose number is smaller than that of a thing it names. What
opens a bundle binds no parameter: there the same text stands in the path.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, NewType

from graphql_api.model.ids import BUNDLE_PREFIX, BundleId, FileId, FolderId, UserId

Mark = NewType("Mark", str)
"""A thing's name at the edge: 12 characters of ``A-Za-z0-9-_``."""

PARAMETER: Final = "rv"
MAX_MARKS: Final = 16  # in one link; each costs the edge a look-up
FOLDERS_NAMED: Final = MAX_MARKS - 2
"""How many folders above a file its link names, from the nearest up; besides them the file and perhaps a person.

Who revokes a folder revokes with it, as relays, the folders 14, 28, 42 … levels below: of any 14 folders in a row one
is the folder or one of these, so a link to whatever is below names one of them, however deep it is.
"""


@dataclass(frozen=True, slots=True)
class RevocationLimits:
    """How many things may have a number at the same time, each of which takes some 25 bytes of the 5 MB that
    CloudFront's store holds; how many by one person; and how many more by administrators, who have no limit of their
    own, when everybody else together has as many as they may.
    """

    in_force: int = 100_000
    of_one: int = 20_000
    kept_for_admins: int = 20_000


@lru_cache(maxsize=100_000)
def mark_of(id_: str) -> Mark:
    """72 bits of the id's hash: short, never that of two things, and nothing to those who do not know the id. Of a
    bundle as ``bundle_mark`` has it; its links name the file that it is.
    """
    if id_.startswith(BUNDLE_PREFIX):
        return bundle_mark(BundleId(id_))
    return Mark(urlsafe_b64encode(blake2b(id_.encode(), digest_size=9).digest()).decode())


def bundle_mark(bundle_id: BundleId) -> Mark:
    """The last 60 bits of the id, which the edge reads from a path that names nothing: that of a link from before
    paths did, or before the edge ran the function.
    """
    return Mark(bundle_id[-12:])


class Markable(NamedTuple):
    """A file whose link is to be signed; ``is_personal``: for one person only."""

    file_id: FileId
    folder_id: FolderId
    is_personal: bool


def parameter_of(number: int, marks: Iterable[Mark]) -> str:
    """The value of ``rv``; nothing escapes it in an address. ``number``: the highest that one of them has."""
    return ".".join((str(number), *marks))


Revocable = FileId | FolderId | UserId


@dataclass(frozen=True, slots=True)
class LinkRevocation:
    """The last one of a thing. ``confirmed_at``: when the edge's store took it; None: it has not yet.

    ``links_end_by``: when the last link from before has ended by itself, and the number is forgotten. ``relays``: how
    many things got the number with it, as far as that is known: when it is made.
    """

    target: Revocable
    number: int
    revoked_at: datetime
    links_end_by: datetime
    confirmed_at: datetime | None
    relays: int = 0
