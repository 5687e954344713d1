"""Keys that sign for the CDN: which there are, in what state, and where their private parts are kept."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from graphql_api.model.ids import SigningKeyId


class KeyStatus(StrEnum):
    """PENDING is not yet known to every edge, ACTIVE signs, RETIRING still opens old links, RETIRED opens nothing."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"


class HashAlgorithm(StrEnum):
    """What is hashed under the signature; the value is the one CloudFront reads in ``Hash-Algorithm``."""

    SHA1 = "SHA1"
    SHA256 = "SHA256"


class KeyPlace(StrEnum):
    """What kind of place keeps a private part. SETTINGS: where the settings say; the others have a name in theirs."""

    SETTINGS = "SETTINGS"
    FILE = "FILE"
    ENVIRONMENT = "ENVIRONMENT"
    SECRETS_MANAGER = "SECRETS_MANAGER"
    KMS = "KMS"


MAX_PLACE_NAME: Final = 1_024  # characters

_NAMES: Final = {
    KeyPlace.SETTINGS: (re.compile(r""), "has no name"),
    KeyPlace.FILE: (re.compile(r"/[^\x00-\x1f]+"), "must be the whole path of a file"),
    KeyPlace.ENVIRONMENT: (
        # A name of the settings' own would be a fault at the next start.
        re.compile(r"(?!GRAPHQL_API_)[A-Za-z_][A-Za-z0-9_]{0,199}"),
        "must be the name of an environment variable that does not begin with GRAPHQL_API_",
    ),
    KeyPlace.SECRETS_MANAGER: (
        re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+"),
        "must be the ARN of a secret, with its region",
    ),
    KeyPlace.KMS: (
        re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"),
        "must be the ARN of a key, with its region",
    ),
}


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Where a private part is kept; ``name`` is no secret: a path, a variable, an ARN, or nothing."""

    place: KeyPlace
    name: str = ""

    def fault(self) -> str | None:
        """Why there can be nothing of this name, in words that do not repeat it: it may be a key in the wrong place."""
        pattern, fault = _NAMES[self.place]
        return None if len(self.name) <= MAX_PLACE_NAME and pattern.fullmatch(self.name) else fault

    def __str__(self) -> str:
        return f"{self.place.lower().replace('_', '-')}:{self.name}" if self.name else self.place.lower()


FROM_SETTINGS: Final = KeyReference(KeyPlace.SETTINGS)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key of the keyring, without its private part. ``key_pair_id``: what the CDN calls it.

    ``longest_lifetime``: seconds; no link that it signed lives longer. ``retires_at``: when the last of them has ended
    for certain; None before it is RETIRING, and for a key that never signed.
    """

    id: SigningKeyId
    key_pair_id: str
    reference: KeyReference
    hash_algorithm: HashAlgorithm
    public_pem: str
    status: KeyStatus
    longest_lifetime: int
    created_at: datetime
    activated_at: datetime | None = None
    retires_at: datetime | None = None
    retired_at: datetime | None = None

    @property
    def is_distrusted(self) -> bool:
        """Whether it was retired before its last link had ended, or without having signed: others may have it."""
        return self.retired_at is not None and (self.retires_at is None or self.retired_at < self.retires_at)
