"""Getting a name in a folder, or a numbered one beside it."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, folders
from graphql_api.errors import Conflict, InputFault
from graphql_api.model.ids import FILE_PREFIX, FileId, FolderId
from graphql_api.model.names import name_fault, name_key, normalized_name, numbered_name
from graphql_api.model.upload import OnConflict

HIGHEST_NUMBER: Final = 1_000  # "name (1000)"; a folder with more of the same name is a mistake
_CANDIDATES_AT_ONCE: Final = 100


def checked_name(name: str, field: str, faults: list[InputFault]) -> str:
    """``name`` as it will be kept; a fault at ``field`` is added when it is not acceptable."""
    name = normalized_name(name)
    if (fault := name_fault(name)) is not None:
        faults.append(InputFault(fault, (field,)))
    return name


async def claim(
    connection: AsyncConnection,
    standing: Standing,
    folder_id: FolderId,
    name: str,
    entry_id: str,
    mode: OnConflict,
    *,
    field: str = "filename",
) -> str:
    """The name that now belongs to ``entry_id``: ``name``, or a numbered one where that was asked. Raises: Conflict."""
    if await folders.claim_name(connection, folder_id, name, entry_id):
        return name
    if mode is OnConflict.RENAME:
        for candidate in await free_names(connection, folder_id, name):
            if await folders.claim_name(connection, folder_id, candidate, entry_id):
                return candidate
    raise await taken(connection, standing, folder_id, name, field)


async def free_names(connection: AsyncConnection, folder_id: FolderId, name: str) -> Iterable[str]:
    """Numbered names that are free at the moment, the lowest numbers first; none when all are taken."""
    for numbers in _portions():
        candidates = {numbered_name(name, number): number for number in numbers}
        keys = {name_key(candidate): candidate for candidate in candidates}
        free = keys.keys() - await folders.taken_keys(connection, folder_id, keys)
        if free:
            return sorted((keys[key] for key in free), key=candidates.__getitem__)
    return ()


def _portions() -> Iterable[range]:
    """2 to ``HIGHEST_NUMBER``, in the portions in which they are looked up."""
    for start in range(2, HIGHEST_NUMBER + 1, _CANDIDATES_AT_ONCE):
        yield range(start, min(start + _CANDIDATES_AT_ONCE, HIGHEST_NUMBER + 1))


async def taken(
    connection: AsyncConnection, standing: Standing, folder_id: FolderId, name: str, field: str
) -> Conflict:
    """The conflict to raise; it names what is in the way only to who may see it."""
    entry_id = await folders.find_entry(connection, folder_id, name)
    visible: object = None
    if entry_id is not None and entry_id.startswith(FILE_PREFIX):
        visible = (await files.find_files(connection, standing, [FileId(entry_id)])).get(FileId(entry_id))
    elif entry_id is not None:
        visible = (await folders.find_folders(connection, standing, [FolderId(entry_id)])).get(FolderId(entry_id))
    return Conflict(
        "this name is taken in the folder (upper and lower case count as the same)",
        conflicting_id=None if visible is None else entry_id,
        path=(field,),
    )
