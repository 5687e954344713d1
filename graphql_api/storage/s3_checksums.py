"""Nouns carry checksums in hex, S3's headers in base64."""

from base64 import b64decode, b64encode
from typing import Final

_CRC64NVME_LENGTH: Final = 12  # characters of base64; a checksum of checksums is longer and ends in a number of parts
_SHA256_LENGTH: Final = 44


def in_base64(hexadecimal: str) -> str:
    return b64encode(bytes.fromhex(hexadecimal)).decode()


def crc64nvme_in_hex(checksum: str | None) -> str | None:
    """From S3's base64; None for a checksum of checksums."""
    return _in_hex(checksum, _CRC64NVME_LENGTH)


def sha256_in_hex(checksum: str | None) -> str | None:
    """From S3's base64; None for a checksum of checksums, such as ``…=-3``."""
    return _in_hex(checksum, _SHA256_LENGTH)


def _in_hex(checksum: str | None, length: int) -> str | None:
    return b64decode(checksum).hex() if checksum is not None and len(checksum) == length else None
