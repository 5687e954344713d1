"""The one tree: its shape, and how each principal sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access import may
from graphql_api.db import files, folders, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, Forbidden, InputFault, InvalidInput, NotFound
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, new_folder_id
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import OnConflict
from graphql_api.services.clock import Clock
from graphql_api.services.naming import checked_name, claim
from graphql_api.services.upkeep import Upkeep

MAX_DEPTH: Final = 64  # folders below the root
MAX_DELETED: Final = 10_000  # files, and folders, that one deletion takes along


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder stands as its viewer sees it: ``parent`` is None and ``path`` begins at the topmost folder
    that the viewer may see, so that a path never tells the name of a hidden folder.
    """

    path: str
    parent: Folder | None


class Folders:
    """Every method sees only what the principal may see: hidden and absent folders look alike."""

    def __init__(self, database: Database, upkeep: Upkeep, clock: Clock) -> None:
        self._database = database
        self._upkeep = upkeep
        self._clock = clock

    async def find(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, Folder]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await folders.find_folders(connection, principal, ids)

    async def list_subfolders(self, principal: Principal, parent_id: FolderId, request: PageRequest) -> Page[Folder]:
        """Folders directly below, by name. Raises: InvalidInput for a foreign cursor, Unavailable."""
        async with self._database.autocommit() as connection:
            return await folders.list_subfolders(connection, principal, parent_id, request)

    async def list_top(self, principal: Principal, request: PageRequest) -> Page[Folder]:
        """The topmost folders that the principal may see, by name. Raises: InvalidInput, Unavailable."""
        async with self._database.autocommit() as connection:
            return await folders.list_top_folders(connection, principal, request)

    async def find_by_path(self, principal: Principal, names: Sequence[str]) -> Folder | None:
        """The folder at a path as the principal sees it; the root, if visible, for no names. Raises: Unavailable."""
        if len(names) > MAX_DEPTH:
            return None
        async with self._database.autocommit() as connection:
            root = await folders.find_folders(connection, principal, [ROOT_FOLDER_ID])
            if root:
                return await _descend(connection, principal, root[ROOT_FOLDER_ID], names)
            for top in await folders.find_top_folders(connection, principal, name_key(names[0])) if names else ():
                found = await _descend(connection, principal, top, names[1:])
                if found is not None:
                    return found
        return None

    async def places(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, Place]:
        """Where each folder stands, for one page of files or folders in one statement. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            ancestry = await folders.list_ancestry(connection, ids)
        found = {}
        for folder_id, chain in ancestry.items():
            visible: list[Folder] = []
            for folder in chain:
                if not may(principal, Permission.READ, owner_id=folder.owner_id):
                    break
                visible.append(folder)
            names = [folder.name for folder in reversed(visible) if folder.id != ROOT_FOLDER_ID]
            found[folder_id] = Place("/" + "/".join(names), visible[1] if len(visible) > 1 else None)
        return found

    async def create(self, principal: Principal, parent_id: FolderId, name: str) -> Folder:
        """A folder of the principal in ``parent_id``.

        Raises: InvalidInput: a bad name, or too deep. NotFound: no such parent. Conflict: the name is taken.
        Unavailable.
        """
        name = _checked(name)
        now = self._clock()
        folder = Folder(new_folder_id(now), parent_id, principal.user_id, name, now, now)
        async with self._database.transaction() as connection:
            if await folders.lock_folder(connection, principal, parent_id) is None:
                raise NotFound("no such folder", path=("parentId",))
            depth = len((await folders.list_ancestry(connection, [parent_id]))[parent_id])
            if depth > MAX_DEPTH:
                raise InvalidInput(InputFault(f"folders can be at most {MAX_DEPTH} deep", ("parentId",)))
            await claim(connection, principal, parent_id, name, folder.id, OnConflict.FAIL, field="name")
            await folders.insert_folder(connection, folder)
        return folder

    async def rename(self, principal: Principal, folder_id: FolderId, name: str) -> Folder:
        """Raises: InvalidInput: a bad name, or the root. NotFound. Conflict: the name is taken. Unavailable."""
        name = _checked(name)
        async with self._database.transaction() as connection:
            await folders.lock_tree(connection)
            folder, parent_id = await self._changeable(connection, principal, folder_id)
            await folders.release_names(connection, [folder.id])
            await claim(connection, principal, parent_id, name, folder.id, OnConflict.FAIL, field="name")
            return await folders.update_folder(connection, folder.id, now=self._clock(), name=name)

    async def move(self, principal: Principal, folder_id: FolderId, parent_id: FolderId) -> Folder:
        """Put a folder with all below into another.

        Raises: InvalidInput: the root, into itself, or too deep. NotFound: the folder or the parent.
        Conflict: the name is taken there. Unavailable.
        """
        async with self._database.transaction() as connection:
            await folders.lock_tree(connection)
            folder, old_parent_id = await self._changeable(connection, principal, folder_id)
            if await folders.lock_folder(connection, principal, parent_id) is None:
                raise NotFound("no such folder", path=("parentId",))
            if parent_id == old_parent_id:
                return folder
            chain = (await folders.list_ancestry(connection, [parent_id]))[parent_id]
            if any(above.id == folder.id for above in chain):
                raise InvalidInput(InputFault("a folder cannot be moved into itself", ("parentId",)))
            height = max((await folders.list_subtree(connection, folder.id)).values())
            if len(chain) + height > MAX_DEPTH:
                raise InvalidInput(InputFault(f"folders can be at most {MAX_DEPTH} deep", ("parentId",)))
            await folders.release_names(connection, [folder.id])
            await claim(connection, principal, parent_id, folder.name, folder.id, OnConflict.FAIL, field="parentId")
            return await folders.update_folder(connection, folder.id, now=self._clock(), parent_id=parent_id)

    async def delete(self, principal: Principal, folder_id: FolderId, *, is_recursive: bool = False) -> FolderId:
        """Delete a folder; with ``is_recursive`` all below as well. Pending uploads into it are aborted.

        Raises: InvalidInput: the root. NotFound. Conflict: not empty, too much below, or changed meanwhile.
        Forbidden: something below may not be deleted by ``principal``. Unavailable.
        """
        try:
            keys = await self._delete(principal, folder_id, is_recursive=is_recursive)
        except IntegrityError as error:  # something was put into the folder between the look and the deletion
            raise Conflict("the folder has changed meanwhile; try again", path=("folderId",)) from error
        await self._upkeep.remove(keys)
        return folder_id

    async def _delete(self, principal: Principal, folder_id: FolderId, *, is_recursive: bool) -> Sequence[str]:
        async with self._database.transaction() as connection:
            await folders.lock_tree(connection)
            folder, _ = await self._changeable(connection, principal, folder_id)
            ids = [folder.id]
            if is_recursive:
                ids = list(await folders.list_subtree(connection, folder.id, limit=MAX_DELETED + 1))
            await folders.lock_folders(connection, ids)
            if not is_recursive and await folders.has_entries(connection, folder.id):
                raise Conflict("the folder is not empty", conflicting_id=folder.id, path=("isRecursive",))
            below = await files.lock_files_in(connection, principal, ids, limit=MAX_DELETED + 1)
            if len(ids) > MAX_DELETED or len(below) > MAX_DELETED:
                raise Conflict(f"more than {MAX_DELETED} files or folders: delete in portions", path=("folderId",))
            if not all(is_own for *_, is_own in below) or await folders.has_foreign(connection, principal, ids):
                raise Forbidden(
                    "something below may not be deleted", required_permission=Permission.DELETE, path=("folderId",)
                )
            keys = [key for _, key, _ in below]
            keys += await uploads.abort_uploads_into(connection, ids, now=self._clock())
            file_ids = [file_id for file_id, *_ in below]
            await folders.release_names(connection, file_ids)
            await files.delete_files(connection, file_ids)
            await folders.delete_folders(connection, ids)
            await self._upkeep.schedule_removal(connection, keys)
        return keys

    async def _changeable(
        self, connection: AsyncConnection, principal: Principal, folder_id: FolderId
    ) -> tuple[Folder, FolderId]:
        """The folder and its parent. Raises: NotFound, InvalidInput for the root."""
        folder = (await folders.find_folders(connection, principal, [folder_id])).get(folder_id)
        if folder is None:
            raise NotFound("no such folder", path=("folderId",))
        if folder.parent_id is None:
            raise InvalidInput(InputFault("the root can be neither renamed, moved nor deleted", ("folderId",)))
        return folder, folder.parent_id


async def _descend(
    connection: AsyncConnection, principal: Principal, folder: Folder, names: Sequence[str]
) -> Folder | None:
    here: Folder | None = folder
    for name in names:
        if here is None:
            return None
        here = await folders.find_child_folder(connection, principal, here.id, name_key(name))
    return here


def _checked(name: str) -> str:
    faults: list[InputFault] = []
    name = checked_name(name, "name", faults)
    if faults:
        raise InvalidInput(*faults)
    return name
