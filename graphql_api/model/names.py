"""What a file or folder may be called, and when two names are the same name."""

import re
import unicodedata
from typing import Final

MAX_NAME_LENGTH: Final = 255  # characters, after NFC
MAX_WORD_LENGTH: Final = 64  # characters of a word that search compares
MAX_WORDS: Final = 32  # of one name

_WORD: Final = re.compile(r"[^\W_]+")

# Characters that change the order in which the rest is shown, so that "fdp.exe" can look like "exe.pdf".
# Source: Unicode Standard Annex #9, section 2, "Directional Formatting Characters".
_BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORBIDDEN_CATEGORIES: Final = {
    "Cc": "control characters",
    "Cs": "lone surrogates",
    "Zl": "line separators",
    "Zp": "paragraph separators",
}


def normalized_name(name: str) -> str:
    """The form in which a name is kept: NFC, so that the same text typed on two systems is the same name."""
    return unicodedata.normalize("NFC", name)


def name_fault(name: str) -> str | None:
    """Why ``name`` (already NFC) is no acceptable name, or None when it is one."""
    if all(character.isspace() or unicodedata.category(character) == "Cf" for character in name):
        return "a name may not be empty"  # nor look so
    if len(name) > MAX_NAME_LENGTH:
        return f"a name has at most {MAX_NAME_LENGTH} characters"
    if name in {".", ".."}:
        return "a name may not be '.' or '..'"
    if "/" in name:
        return "a name may not contain '/'"
    for character in name:
        if character in _BIDI_CONTROLS:
            return "a name may not contain text direction marks"
        if (category := unicodedata.category(character)) in _FORBIDDEN_CATEGORIES:
            return f"a name may not contain {_FORBIDDEN_CATEGORIES[category]}"
    return None


def name_key(name: str) -> str:
    """Two names in one folder are the same name exactly when their keys are equal.

    Canonical caseless matching. Source: The Unicode Standard, section 3.13, definition D145.
    """
    decomposed = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", decomposed.casefold()).casefold())


def name_words(name: str) -> tuple[str, ...]:
    """The words that search finds a name by: its runs of letters and digits, as ``name_key`` has them, each once."""
    words = dict.fromkeys(word[:MAX_WORD_LENGTH] for word in _WORD.findall(name_key(name)))
    return tuple(words)[:MAX_WORDS]


def numbered_name(name: str, number: int) -> str:
    """``report.pdf`` → ``report (2).pdf``, cut so that the whole stays within the limit."""
    suffix = f" ({number})"
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:  # a dot file, or no extension worth keeping
        stem, dot, extension = name, "", ""
    room = MAX_NAME_LENGTH - len(suffix) - len(dot) - len(extension)
    return normalized_name(stem[:room] + suffix + dot + extension)
