"""What people note about files: labels, which rules can name, and metadata, which they cannot; checked and bounded."""

from collections.abc import Collection, Mapping

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.labels import (
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_METADATA,
    metadata_key_fault,
    metadata_value_fault,
    normalized_label,
)


def checked_labels(add: Collection[str], remove: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Both as labels are kept. Raises: InvalidInput."""
    faults: list[InputFault] = []
    kept: dict[str, frozenset[str]] = {}
    for field, labels in (("add", add), ("remove", remove)):
        found = [normalized_label(label) for label in labels]
        fault = f"a label is 1 to {MAX_LABEL_LENGTH} letters and digits, with spaces and . : / + - _ between them"
        faults += [InputFault(fault, (field, str(index))) for index, label in enumerate(found) if label is None]
        kept[field] = frozenset(label for label in found if label is not None)
    if kept["add"] & kept["remove"]:
        faults.append(InputFault("a label cannot be both added and removed", ("remove",)))
    if faults:
        raise InvalidInput(*faults)
    return kept["add"], kept["remove"]


def require_room_for_labels(number: int) -> None:
    """Raises: InvalidInput when a file cannot have that many."""
    if number > MAX_LABELS:
        raise InvalidInput(InputFault(f"a file has at most {MAX_LABELS} labels", ("add",)))


def check_metadata(set_: Mapping[str, str], remove: Collection[str]) -> None:
    """Raises: InvalidInput."""
    faults = [(metadata_key_fault(key) or metadata_value_fault(value), "set") for key, value in set_.items()]
    faults += [(metadata_key_fault(key), "remove") for key in remove]
    if not set_.keys().isdisjoint(remove):
        faults.append(("a key cannot be both set and removed", "remove"))
    found = [InputFault(fault, (field,)) for fault, field in faults if fault is not None]
    if found:
        raise InvalidInput(*found)


def require_room_for_metadata(number: int) -> None:
    """Raises: InvalidInput when a file cannot have that many pairs."""
    if number > MAX_METADATA:
        raise InvalidInput(InputFault(f"a file has at most {MAX_METADATA} pairs of metadata", ("set",)))
