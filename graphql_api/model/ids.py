"""Ids: a type prefix and a ULID, such as ``file_01jd9x2q6c8s5v7e0k3m4n5p6r``.

One text serves as primary key, as GraphQL global id and in logs, so nothing is encoded or decoded on the way. Ids are
unique across types, never reused, and sort by the time they were made (48 bits of milliseconds, 80 random bits).

Source: ULID specification, section "Components"; Crockford's Base32, written in lower case.
"""

import re
import secrets
from datetime import datetime
from typing import Final, NewType

UserId = NewType("UserId", str)
FolderId = NewType("FolderId", str)
FileId = NewType("FileId", str)
UploadId = NewType("UploadId", str)
GroupId = NewType("GroupId", str)
RuleId = NewType("RuleId", str)
EventId = NewType("EventId", str)
VersionId = NewType("VersionId", str)
ShareLinkId = NewType("ShareLinkId", str)
SigningKeyId = NewType("SigningKeyId", str)
BundleId = NewType("BundleId", str)
JobId = NewType("JobId", str)

USER_PREFIX: Final = "user_"
FOLDER_PREFIX: Final = "folder_"
FILE_PREFIX: Final = "file_"
UPLOAD_PREFIX: Final = "upload_"
GROUP_PREFIX: Final = "group_"
RULE_PREFIX: Final = "rule_"
EVENT_PREFIX: Final = "event_"
VERSION_PREFIX: Final = "version_"
SHARE_LINK_PREFIX: Final = "share_"
SIGNING_KEY_PREFIX: Final = "key_"
BUNDLE_PREFIX: Final = "bundle_"
JOB_PREFIX: Final = "job_"

ROOT_FOLDER_ID: Final = FolderId("folder_" + "0" * 26)
"""The root of the one tree; the first migration creates its row."""

MAX_ID_LENGTH: Final = 40  # characters; the longest prefix and 26

OBJECT_PREFIX: Final = "o/"
"""Objects of this product have keys below it; those of bundles below ``BUNDLES_PREFIX``, copies that
anybody may read below ``PUBLISHED_PREFIX``. What else a bucket holds is not ours.
"""
BUNDLES_PREFIX: Final = "b/"
PUBLISHED_PREFIX: Final = "pub/"

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ID: Final = re.compile(rf"[a-z]+_[{_ALPHABET}]+")
_OBJECT_KEY: Final = re.compile(rf"(?:{OBJECT_PREFIX}|{PUBLISHED_PREFIX})[{_ALPHABET}]{{26}}")


def new_ulid(now: datetime) -> str:
    """26 characters, ordered by ``now`` (aware) to the millisecond."""
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(secrets.token_bytes(10))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_user_id(now: datetime) -> UserId:
    return UserId(USER_PREFIX + new_ulid(now))


def new_folder_id(now: datetime) -> FolderId:
    return FolderId(FOLDER_PREFIX + new_ulid(now))


def new_file_id(now: datetime) -> FileId:
    return FileId(FILE_PREFIX + new_ulid(now))


def new_upload_id(now: datetime) -> UploadId:
    return UploadId(UPLOAD_PREFIX + new_ulid(now))


def new_group_id(now: datetime) -> GroupId:
    return GroupId(GROUP_PREFIX + new_ulid(now))


def new_rule_id(now: datetime) -> RuleId:
    return RuleId(RULE_PREFIX + new_ulid(now))


def new_event_id(now: datetime) -> EventId:
    return EventId(EVENT_PREFIX + new_ulid(now))


def new_version_id(now: datetime) -> VersionId:
    return VersionId(VERSION_PREFIX + new_ulid(now))


def new_share_link_id(now: datetime) -> ShareLinkId:
    return ShareLinkId(SHARE_LINK_PREFIX + new_ulid(now))


def new_signing_key_id(now: datetime) -> SigningKeyId:
    return SigningKeyId(SIGNING_KEY_PREFIX + new_ulid(now))


def new_job_id(now: datetime) -> JobId:
    return JobId(JOB_PREFIX + new_ulid(now))


def new_bundle_id(now: datetime) -> BundleId:
    return BundleId(BUNDLE_PREFIX + new_ulid(now))


def bundle_prefix(bundle_id: BundleId) -> str:
    """What the keys of a bundle's objects begin with, and what a grant of it opens: ``b/<ULID>/``."""
    return f"{BUNDLES_PREFIX}{bundle_id.removeprefix(BUNDLE_PREFIX)}/"


def new_object_key(now: datetime) -> str:
    """A key at the store: ASCII, never reused, no user text, and nothing that needs escaping in a URL or a policy."""
    return OBJECT_PREFIX + new_ulid(now)


def new_published_key(now: datetime) -> str:
    """A key of a copy that anybody may read who knows it; nobody guesses it, and it is never reused."""
    return PUBLISHED_PREFIX + new_ulid(now)


def is_object_key(key: str) -> bool:
    """Whether ``new_object_key`` or ``new_published_key`` may have made it."""
    return _OBJECT_KEY.fullmatch(key) is not None


def well_formed(text: str, prefix: str) -> str:
    """``text`` if it looks like an id with this prefix, else an id that no row has.

    A look-up then runs the same statement either way, so malformed, absent and hidden ids cannot be told apart.
    """
    return (
        text if len(text) == len(prefix) + 26 and _ID.fullmatch(text) and text.startswith(prefix) else prefix + "z" * 26
    )
