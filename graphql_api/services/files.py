"""Files that exist: find, list, rename, move, delete."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from graphql_api.db import files, folders
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, InputFault, InvalidInput, NotFound
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.media_type import is_type_or_family, normalized_media_type
from graphql_api.model.names import name_key
from graphql_api.model.page import Count, Page, PageRequest
from graphql_api.model.principal import Principal
from graphql_api.model.upload import OnConflict
from graphql_api.services.clock import Clock
from graphql_api.services.naming import checked_name, claim
from graphql_api.services.sniffing import contradicts
from graphql_api.services.upkeep import Upkeep

MAX_CONTENT_TYPES = 20  # in one filter


class Files:
    """Every method sees only what the principal may see: hidden and absent files look alike."""

    def __init__(self, database: Database, upkeep: Upkeep, clock: Clock) -> None:
        self._database = database
        self._upkeep = upkeep
        self._clock = clock

    async def find(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, File]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await files.find_files(connection, principal, ids)

    async def find_in(self, principal: Principal, folder_id: FolderId, name: str) -> File | None:
        """The file of that name in the folder. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await files.find_file_in(connection, principal, folder_id, name_key(name))

    async def list(
        self, principal: Principal, wanted: FileFilter, order: FileOrder, request: PageRequest
    ) -> Page[File]:
        """One page, in one statement. Raises: InvalidInput: a foreign cursor, too many content types. Unavailable."""
        _check_filter(wanted)
        async with self._database.autocommit() as connection:
            return await files.list_files(connection, principal, wanted, order, request)

    async def count(self, principal: Principal, wanted: FileFilter) -> Count:
        """How many files the list has in all, counted up to a limit. Raises: InvalidInput, Unavailable."""
        _check_filter(wanted)
        async with self._database.autocommit() as connection:
            return await files.count_files(connection, principal, wanted)

    async def update(
        self,
        principal: Principal,
        file_id: FileId,
        *,
        name: str | None = None,
        content_type: str | None = None,
        if_unmodified_since: datetime | None = None,
    ) -> File:
        """Rename a file or change the type it is delivered as; None leaves a value as it is.

        Raises: InvalidInput: a bad name or type, or a type that the file's first bytes contradict. NotFound.
        Conflict: the name is taken, or the file changed after ``if_unmodified_since``. Unavailable.
        """
        faults: list[InputFault] = []
        if name is not None:
            name = checked_name(name, "name", faults)
        if content_type is not None:
            content_type = normalized_media_type(content_type)
            if content_type is None:
                faults.append(InputFault("contentType must be a media type such as image/jpeg", ("contentType",)))
        if faults:
            raise InvalidInput(*faults)
        async with self._database.transaction() as connection:
            if name is not None:
                await files.lock_folder_of(connection, file_id)
            locked = (await files.lock_files(connection, principal, [file_id])).get(file_id)
            if locked is None:
                raise _no_file()
            file, recognised = locked
            if if_unmodified_since is not None and file.updated_at > if_unmodified_since:
                raise Conflict("the file has changed since", conflicting_id=file.id, path=("ifUnmodifiedSince",))
            if content_type is not None and contradicts(content_type, recognised):
                raise InvalidInput(InputFault(f"the content is {recognised}", ("contentType",)))
            changes = {}
            if name is not None and name != file.name:
                await folders.release_names(connection, [file.id])
                changes["name"] = await claim(
                    connection, principal, file.folder_id, name, file.id, OnConflict.FAIL, field="name"
                )
            if content_type is not None and content_type != file.content_type:
                changes["content_type"] = content_type
            if not changes:
                return file
            return await files.update_file(connection, file.id, now=self._clock(), **changes)

    async def move(self, principal: Principal, file_id: FileId, folder_id: FolderId) -> File:
        """Put a file into another folder under its name.

        Raises: NotFound: the file or the folder. Conflict: the name is taken there. Unavailable.
        """
        async with self._database.transaction() as connection:
            folder = await folders.lock_folder(connection, principal, folder_id)
            locked = (await files.lock_files(connection, principal, [file_id])).get(file_id)
            if locked is None:
                raise _no_file()
            if folder is None:
                raise NotFound("no such folder", path=("folderId",))
            file = locked[0]
            if file.folder_id == folder.id:
                return file
            await folders.release_names(connection, [file.id])
            await claim(connection, principal, folder.id, file.name, file.id, OnConflict.FAIL, field="folderId")
            return await files.update_file(connection, file.id, now=self._clock(), folder_id=folder.id)

    async def delete(self, principal: Principal, file_ids: Sequence[FileId]) -> Sequence[FileId | NotFound]:
        """Delete files for good; one result for each id, in order. The bytes are removed after the commit.

        Raises: Unavailable.
        """
        async with self._database.transaction() as connection:
            locked = await files.lock_files(connection, principal, file_ids)
            keys = [file.object_key for file, _ in locked.values()]
            await folders.release_names(connection, locked.keys())
            await files.delete_files(connection, locked.keys())
            await self._upkeep.schedule_removal(connection, keys)
        await self._upkeep.remove(keys)
        return [file_id if file_id in locked else _no_file() for file_id in file_ids]


def _no_file() -> NotFound:
    return NotFound("no such file", path=("fileId",))


def _check_filter(wanted: FileFilter) -> None:
    if len(wanted.content_types) > MAX_CONTENT_TYPES:
        raise InvalidInput(InputFault(f"at most {MAX_CONTENT_TYPES} content types", ("filter", "contentTypes")))
    for kind in wanted.content_types:
        if not is_type_or_family(kind):
            raise InvalidInput(
                InputFault("must be types such as image/png or families such as image/*", ("filter", "contentTypes"))
            )
    if wanted.is_recursive and wanted.folder_id is None:
        raise InvalidInput(InputFault("needs a folderId", ("filter", "isRecursive")))
