"""Labels, which rules can name, and metadata, which they cannot."""

import re
import unicodedata
from typing import Final

from graphql_api.model.names import name_key

MAX_LABELS: Final = 20  # of one file
MAX_LABEL_LENGTH: Final = 64  # characters
MAX_METADATA: Final = 50  # pairs of one file
MAX_METADATA_KEY_LENGTH: Final = 64  # characters
MAX_METADATA_VALUE_LENGTH: Final = 1024  # characters

_LABEL: Final = re.compile(r"[^\W_](?:[\w .:/+-]*[\w+])?")  # letters and digits of any script, and a few signs inside
_METADATA_KEY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:/-]*[A-Za-z0-9])?")


def normalized_label(label: str) -> str | None:
    """The form in which a label is kept (labels that differ in case only are one), or None when it is no label."""
    key = name_key(label)
    return key if len(key) <= MAX_LABEL_LENGTH and _LABEL.fullmatch(key) else None


def metadata_key_fault(key: str) -> str | None:
    if len(key) > MAX_METADATA_KEY_LENGTH or not _METADATA_KEY.fullmatch(key):
        return f"a metadata key is 1 to {MAX_METADATA_KEY_LENGTH} letters, digits and _ . : / - between them"
    return None


def metadata_value_fault(value: str) -> str | None:
    if len(value) > MAX_METADATA_VALUE_LENGTH:
        return f"a metadata value has at most {MAX_METADATA_VALUE_LENGTH} characters"
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t" for character in value):
        return "a metadata value may not contain control characters"
    return None
