"""Media types: which are well-formed, and in which a browser runs nothing.

Source: RFC 9110, section 8.3.1 "Media Type" and section 5.6.2 "Tokens".
"""

import re
from typing import Final

MAX_MEDIA_TYPE_LENGTH: Final = 255  # characters

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA_TYPE: Final = re.compile(
    rf'({_TOKEN}/{_TOKEN})((?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*)'
)

INERT: Final = (
    r"(?!.*(?:xml|svg))(?:image|audio|video|font)\/[a-z0-9.+-]+"
    r"|text\/(?:plain|css|csv|tab-separated-values|markdown|vtt)"
    r"|(?:text|application)\/(?:x-)?(?:java|ecma)script"
    r"|application\/(?:pdf|(?:[a-z0-9.-]+\+)?json|vnd\.apple\.mpegurl|x-mpegurl|ogg)"
)
"""The types of files that may be opened as a page, in lower case and without parameters, as both Python and JavaScript
read it.

The others are listed nowhere, for browsers differ: HTML and ``…+xml`` are active in all, but Chromium runs XHTML that
is called ``text/xsl`` as well, Firefox ``text/rdf`` (its ``nsContentDLF.cpp``); ``*/*``, ``unknown/unknown`` and
``application/unknown`` are what they look like (WHATWG, "MIME Sniffing", section 7). So what is not here is taken for
active. Little is lost by it: browsers show hardly anything else, and save it anyway.
"""
_INERT: Final = re.compile(INERT)
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


def is_inert(media_type: str) -> bool:
    """Whether every browser that opens it as a page shows it without running a script in it."""
    return _INERT.fullmatch(essence(media_type)) is not None


def is_type_or_family(text: str) -> bool:
    """Whether ``text`` is a type such as ``image/png`` or a family such as ``image/*``."""
    return _FAMILY_OR_TYPE.fullmatch(text) is not None


def is_in(media_type: str, kind: str) -> bool:
    """Whether ``media_type`` is of ``kind``: a type such as ``image/png`` or a family such as ``image/*``."""
    found = essence(media_type)
    return found.startswith(kind[:-1]) if kind.endswith("/*") else found == kind
