"""Media types: which are well-formed, and which a browser would run.

Source: RFC 9110, section 8.3.1 "Media Type" and section 5.6.2 "Tokens".
"""

import re
from typing import Final

MAX_MEDIA_TYPE_LENGTH: Final = 255  # characters

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA_TYPE: Final = re.compile(
    rf'({_TOKEN}/{_TOKEN})((?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*)'
)
_ACTIVE: Final = frozenset({"text/html", "text/xml", "application/xml"})
_FAMILY_OR_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+)")


def normalized_media_type(text: str) -> str | None:
    """``text`` with its type in lower case and no space before parameters, or None when it is no media type."""
    match = _MEDIA_TYPE.fullmatch(text)
    if match is None or len(text) > MAX_MEDIA_TYPE_LENGTH:
        return None
    return match[1].lower() + match[2].lstrip()


def essence(media_type: str) -> str:
    """The type without its parameters: ``text/plain; charset=utf-8`` → ``text/plain``."""
    return media_type.partition(";")[0].strip()


def is_active(media_type: str) -> bool:
    """Whether a browser that shows it as a page runs the scripts in it: HTML, and XML of every kind, such as SVG.

    Source: WHATWG, "MIME Sniffing", section 4.6 (HTML and XML MIME types).
    """
    kind = essence(media_type)
    return kind in _ACTIVE or kind.endswith("+xml")


def is_type_or_family(text: str) -> bool:
    """Whether ``text`` is a type such as ``image/png`` or a family such as ``image/*``."""
    return _FAMILY_OR_TYPE.fullmatch(text) is not None


def is_in(media_type: str, kind: str) -> bool:
    """Whether ``media_type`` is of ``kind``: a type such as ``image/png`` or a family such as ``image/*``."""
    found = essence(media_type)
    return found.startswith(kind[:-1]) if kind.endswith("/*") else found == kind
