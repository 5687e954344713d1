"""What callers want to upload as one bundle, checked: its name, its paths, and each entry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.bundle import MAX_ENTRIES, clashes, path_fault
from graphql_api.model.ids import FolderId
from graphql_api.model.upload import OnConflict
from graphql_api.services.naming import checked_name
from graphql_api.services.upload_wishes import CheckedWish, UploadLimits, UploadWish, checked_wish

_ANY_NAME: Final = "entry"  # an entry has a path in the place of a name


@dataclass(frozen=True, slots=True)
class EntryWish:
    """One object of a bundle, not yet checked."""

    path: str
    size: int  # bytes
    content_type: str
    sha256: str | None = None  # hex
    crc64nvme: str | None = None  # hex


@dataclass(frozen=True, slots=True)
class BundleWish:
    """What a caller wants to upload as one file, not yet checked."""

    name: str
    main_path: str
    entries: Sequence[EntryWish]
    folder_id: FolderId | None = None  # the caller's home if None
    on_conflict: OnConflict = OnConflict.FAIL
    idempotency_key: str | None = None  # asked again with it, the same bundle is meant


@dataclass(frozen=True, slots=True)
class CheckedBundle:
    """A wish that can be granted if its place can. ``entries``: with the path as filename; ``size``: of all."""

    name: str
    entries: Sequence[CheckedWish]
    size: int  # bytes
    content_type: str  # of the main entry


def checked_bundle(wish: BundleWish, limits: UploadLimits) -> CheckedBundle:
    """Raises: InvalidInput: with every fault of the wish."""
    faults: list[InputFault] = []
    name = checked_name(wish.name, "name", faults)
    if not 1 <= len(wish.entries) <= MAX_ENTRIES:
        raise InvalidInput(*faults, InputFault(f"entries takes 1 to {MAX_ENTRIES} entries", ("entries",)))
    in_the_way = clashes(entry.path for entry in wish.entries)
    checked: list[CheckedWish] = []
    for index, entry in enumerate(wish.entries):
        here = ("entries", str(index))
        fault = path_fault(entry.path)
        if fault is None and entry.path in in_the_way:
            fault = "another entry has this path, or it is a folder of another entry's path"
        if fault is not None:
            faults.append(InputFault(fault, (*here, "path")))
        asked = UploadWish(_ANY_NAME, entry.size, entry.content_type, sha256=entry.sha256, crc64nvme=entry.crc64nvme)
        try:
            found = checked_wish(asked, limits)
        except InvalidInput as error:
            faults += [InputFault(fault.message, (*here, *fault.path)) for fault in error.faults]
        else:
            checked.append(replace(found, wish=replace(found.wish, filename=entry.path)))
    size = sum(entry.size for entry in wish.entries)
    if size > limits.max_size:
        faults.append(InputFault(f"a bundle has at most {limits.max_size} bytes", ("entries",)))
    main = next((each.wish for each in checked if each.wish.filename == wish.main_path), None)
    if main is None and not faults:
        faults.append(InputFault("mainPath must be the path of an entry", ("mainPath",)))
    if faults or main is None:
        raise InvalidInput(*faults)
    return CheckedBundle(name, checked, size, main.content_type)
