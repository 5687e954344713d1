"""What the first bytes of an object prove about its type.

Most formats prove nothing: CSV, SVG or plain text have no signature, so silence is honest. Containers hold many formats
(a DOCX is a ZIP, a raw photograph is a TIFF), so only a promise of another family altogether is a lie.
"""

import re
from typing import Final

import puremagic

from graphql_api.model.media_type import essence

SNIFFED_BYTES: Final = 4096
_SHORTEST_SIGNATURE: Final = 3  # bytes; two-byte signatures such as "BM" begin honest texts as well

# Type as recognised -> promises that it does not contradict. A type that is not listed here proves nothing.
_HONEST_PROMISES: Final = {
    "image/jpeg": r"image/(jpe?g|pjpeg|jps|mpo|x-.*)",
    "image/png": r"image/(x-)?a?png|image/vnd\.mozilla\.apng",
    "image/gif": r"image/gif",
    "image/webp": r"image/webp",
    "image/tiff": r"image/.*",
    "image/heif": r"image/.*|video/.*",
    "application/pdf": r"application/(x-)?(pdf|illustrator|postscript|vnd\.adobe\..*)",
    "application/zip": r"application/(?!(x-)?(pdf|gzip)$).*|(model|font|audio|image)/.*",
    "application/x-gzip": r"application/.*|image/svg\+xml|text/.*",
    "video/mp4": r"(video|audio)/.*|image/(heic|heif|avif)(-sequence)?|application/mp4",
    "video/webm": r"(video|audio)/.*",
    "application/vnd.microsoft.portable-executable": r"application/.*",
    "text/html": r"text/.*|application/(.*\+)?xml|message/.*|multipart/.*",
}
_UNSPECIFIC: Final = {"application/octet-stream", "binary/octet-stream"}


def recognised_type(first_bytes: bytes) -> str | None:
    """The type that a signature in ``first_bytes`` proves, or None."""
    if not first_bytes:
        return None
    try:
        matches = puremagic.magic_string(first_bytes)
    except puremagic.PureError:
        return None
    found = {match.mime_type for match in matches if len(match.byte_match or b"") >= _SHORTEST_SIGNATURE}
    return next((media_type for media_type in _HONEST_PROMISES if media_type in found), None)


def contradicts(promised: str, recognised: str | None) -> bool:
    """Whether bytes recognised as ``recognised`` make the promise a lie."""
    if recognised is None or essence(promised) in _UNSPECIFIC:
        return False
    return re.fullmatch(_HONEST_PROMISES[recognised], essence(promised)) is None
