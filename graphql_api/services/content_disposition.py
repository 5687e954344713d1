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

MAX_ENCODED_NAME: Final = 1_800
"""Characters of a URL that both spellings of the name take together. A custom policy repeats it all in base64: this
keeps the longest link, with a corrected type, 16 marks, a host of 253 characters and a signature of RSA, below the
8,192 bytes that CloudFront accepts.
"""
_MOST_OF_A_CHARACTER: Final = 23  # four times "%25XX", and for what NFC makes of it "___"
_PLAIN_NAME: Final = re.compile(r"[ !#$&-\[\]-~]{0,255}")  # ASCII without control characters, `"`, `%` and backslash
_ATTR_CHAR: Final = "!#$&+-.^_`|~"  # RFC 8187, attr-char besides letters and digits


def content_disposition(disposition: ContentDisposition, name: str) -> str:
    """The header's value: ASCII, no CR, LF or quote that the name could have brought in."""
    if _PLAIN_NAME.fullmatch(name):  # nearly all are; a page has a hundred
        return f'{disposition.lower()}; filename="{name}"'
    name = _shortened(name)
    fallback = _fallback(name)
    value = f'{disposition.lower()}; filename="{fallback}"'
    return value if fallback == name else f"{value}; filename*=UTF-8''{_encoded(name)}"


def _fallback(name: str) -> str:
    return "".join(
        character if " " <= character <= "~" and character not in '"\\%' else "_"
        for character in unicodedata.normalize("NFC", name)
    )


def _encoded(name: str) -> str:
    return quote(name, safe=_ATTR_CHAR, errors="replace")  # half of a surrogate pair has no UTF-8


def _shortened(name: str) -> str:
    """Cut before the extension so that the encoded name fits."""
    if len(name) * _MOST_OF_A_CHARACTER <= MAX_ENCODED_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:
        stem, dot, extension = name, "", ""
    stem = stem[:MAX_NAME_LENGTH]  # a caller may have sent a megabyte
    lengths = accumulate(map(_length, stem))
    room = MAX_ENCODED_NAME - sum(map(_length, dot + extension))
    return stem[: sum(length <= room for length in lengths)] + dot + extension


def _length(character: str) -> int:
    return len(quote(_fallback(character), "")) + len(quote(_encoded(character), ""))
