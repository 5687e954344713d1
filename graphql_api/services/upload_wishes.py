"""What callers want to upload, checked: name, size, type, checksums, and how the bytes are to be sent."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.media_type import normalized_media_type
from graphql_api.model.parts import MAX_PUT_SIZE, PartPlan, part_size_for
from graphql_api.model.upload import Fingerprint, OnConflict, Upload, UploadMethod
from graphql_api.services.naming import checked_name

_HEX: Final = re.compile(r"[0-9a-f]*", re.ASCII)
_SHA256_DIGITS: Final = 64
_CRC64_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class UploadWish:
    """What a caller wants to upload, not yet checked."""

    filename: str
    size: int  # bytes
    content_type: str
    folder_id: FolderId | None = None  # the caller's home if None
    sha256: str | None = None  # hex
    crc64nvme: str | None = None  # hex
    method: UploadMethod | None = None  # the service chooses if None
    replaces: FileId | None = None  # the file that gets these bytes; None: a new one
    on_conflict: OnConflict = OnConflict.FAIL
    idempotency_key: str | None = None  # asked again with it, the same upload is meant


_WORTH_A_WRITE: Final = 24  # an end is moved once a 24th of the lifetime is to be gained, not with every part


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """``target_lifetime`` ≤ ``upload_lifetime`` ≤ ``longest_lifetime``: a target never outlives its upload, which
    moves its end with activity until it is ``longest_lifetime`` old.
    """

    max_size: int  # bytes
    parts_above: int  # bytes; what is larger is sent in parts if the client does not care
    part_size: int  # bytes, preferred
    target_lifetime: timedelta
    upload_lifetime: timedelta
    longest_lifetime: timedelta

    def extended(self, upload: Upload, now: datetime) -> datetime | None:
        """When an upload ends that is active now; None if too little is gained to write it down."""
        expires_at = min(now + self.upload_lifetime, upload.created_at + self.longest_lifetime)
        return expires_at if expires_at - upload.expires_at >= self.upload_lifetime / _WORTH_A_WRITE else None


@dataclass(frozen=True, slots=True)
class CheckedWish:
    """A wish that can be granted if its place can: names and checksums in the one form in which they are kept."""

    wish: UploadWish
    method: UploadMethod
    part_size: int | None  # bytes; None unless MULTIPART


def checked_wish(wish: UploadWish, limits: UploadLimits) -> CheckedWish:
    """Raises: InvalidInput: with every fault of the wish."""
    faults: list[InputFault] = []
    filename = checked_name(wish.filename, "filename", faults)
    if not 0 <= wish.size <= limits.max_size:
        faults.append(InputFault(f"size must be from 0 to {limits.max_size} bytes", ("size",)))
    content_type = normalized_media_type(wish.content_type)
    if content_type is None:
        faults.append(InputFault("contentType must be a media type such as image/jpeg", ("contentType",)))
    sha256 = checked_checksum(wish.sha256, _SHA256_DIGITS, faults, "sha256")
    crc64nvme = checked_checksum(wish.crc64nvme, _CRC64_DIGITS, faults, "crc64nvme")
    method = _method(wish, limits, faults)
    if faults or content_type is None:
        raise InvalidInput(*faults)
    checked = replace(wish, filename=filename, content_type=content_type, sha256=sha256, crc64nvme=crc64nvme)
    part_size = part_size_for(wish.size, preferred=limits.part_size) if method is UploadMethod.MULTIPART else None
    return CheckedWish(checked, method, part_size)


def checked_fingerprint(fingerprint: Fingerprint) -> Fingerprint:
    """In the form in which uploads are kept. Raises: InvalidInput."""
    faults: list[InputFault] = []
    found = Fingerprint(
        filename=checked_name(fingerprint.filename, "filename", faults),
        size=fingerprint.size,
        sha256=checked_checksum(fingerprint.sha256, _SHA256_DIGITS, faults, "sha256"),
        crc64nvme=checked_checksum(fingerprint.crc64nvme, _CRC64_DIGITS, faults, "crc64nvme"),
    )
    if faults:
        raise InvalidInput(*(InputFault(fault.message, ("fingerprint", *fault.path)) for fault in faults))
    return found


def checked_crc64(crc64nvme: str | None, *path: str) -> str | None:
    """In the form in which it is kept. Raises: InvalidInput at ``path``."""
    faults: list[InputFault] = []
    found = checked_checksum(crc64nvme, _CRC64_DIGITS, faults, *path)
    if faults:
        raise InvalidInput(*faults)
    return found


def checked_part(plan: PartPlan, number: int, *path: str) -> None:
    """Raises: InvalidInput at ``path``: there is no such part."""
    if not 1 <= number <= plan.count:
        raise InvalidInput(InputFault(f"partNumber must be from 1 to {plan.count}", path))


def checked_checksum(checksum: str | None, digits: int, faults: list[InputFault], *path: str) -> str | None:
    """In lower case; a fault at ``path`` when it is not ``digits`` hexadecimal digits."""
    if checksum is None:
        return None
    lower = checksum.lower()
    if len(lower) != digits or _HEX.fullmatch(lower) is None:
        faults.append(InputFault(f"{path[-1]} must be {digits} hexadecimal digits", path))
    return lower


def _method(wish: UploadWish, limits: UploadLimits, faults: list[InputFault]) -> UploadMethod:
    match wish.method:
        case None:
            return UploadMethod.MULTIPART if wish.size > min(limits.parts_above, MAX_PUT_SIZE) else UploadMethod.PUT
        case UploadMethod.MULTIPART:
            if wish.size == 0:
                faults.append(InputFault("an empty file has no parts", ("method",)))
        case UploadMethod.PUT | UploadMethod.POST:
            if wish.size > MAX_PUT_SIZE:
                faults.append(InputFault(f"one request takes at most {MAX_PUT_SIZE} bytes", ("method",)))
            if wish.method is UploadMethod.POST and wish.sha256 is None:
                # A form can be sent again until it expires; only the checksum keeps it to the same bytes.
                faults.append(InputFault("POST takes a sha256", ("method",)))
    return wish.method
