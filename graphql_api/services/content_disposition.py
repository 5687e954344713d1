"""How a browser is told to present a file and what to call it when it is saved.

Source: RFC 6266, section 4 (grammar) and appendix D (a plain ``filename`` first, for old
software, then ``filename*``); RFC 8187 for the encoding.
"""

import re
import unicodedata
from itertools import accumulate
from typing import Final
from urllib.parse import quote

from graphql_api.model.delivery import ContentDisposition
from graphql_api.model.names import MAX_NAME_LENGTH

# The value is percent-encoded again inside the URL, and a custom policy repeats it in base64: this keeps the longest
# link below the 8,192 bytes that CloudFront accepts.
MAX_ENCODED_NAME: Final = 1_200  # characters of ``filename*`` after percent-encoding
_PLAIN_NAME: Final = re.compile(r"[ !#$&-\[\]-~]{0,255}")  # ASCII without control characters, `"`, `%` and backslash
_ATTR_CHAR: Final = "!#$&+-.^_`|~"  # RFC 8187, attr-char besides letters and digits


def content_disposition(disposition: ContentDisposition, name: str) -> str:
    """The header's value: ASCII, no CR, LF or quote that the name could have brought in."""
    if _PLAIN_NAME.fullmatch(name):  # nearly all are; a page has a hundred
        return f'{disposition.lower()}; filename="{name}"'
    name = _shortened(name)
    fallback = "".join(
        character if " " <= character <= "~" and character not in '"\\%' else "_"
        for character in unicodedata.normalize("NFC", name)
    )
    value = f'{disposition.lower()}; filename="{fallback}"'
    return value if fallback == name else f"{value}; filename*=UTF-8''{_encoded(name)}"


def _encoded(name: str) -> str:
    return quote(name, safe=_ATTR_CHAR, errors="replace")  # half of a surrogate pair has no UTF-8


def _shortened(name: str) -> str:
    """Cut before the extension so that the encoded name fits."""
    if len(name) * 12 <= MAX_ENCODED_NAME:  # no character takes more than four times "%XX"
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:
        stem, dot, extension = name, "", ""
    stem = stem[:MAX_NAME_LENGTH]  # a caller may have sent a megabyte
    lengths = accumulate(len(_encoded(character)) for character in stem)
    room = MAX_ENCODED_NAME - len(_encoded(dot + extension))
    return stem[: sum(length <= room for length in lengths)] + dot + extension
