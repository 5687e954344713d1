"""Whether so many bytes, of such a type, may be where they are to go: quotas of users and folders, gates of folders.

To be asked last in the transaction that brings them there, which a refusal undoes.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import folders, gates, uploads, usage, usage_sums, versions
from graphql_api.db.usage import Counted
from graphql_api.errors import InputFault, InvalidInput, QuotaExceeded
from graphql_api.model.bundle import Bundle
from graphql_api.model.file import File
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.quota import Gate, Quota, smallest_size
from graphql_api.model.upload import Upload, UploadFailure, UploadFailureCode


class Admission:
    """What is refused here is refused for everybody, administrators too: a quota is about bytes, not about rights."""

    def __init__(self, *, user_quota: int | None = None) -> None:
        """``user_quota``: bytes, for users without a quota of their own; None: as much as they like."""
        self.user_quota = user_quota

    def limited(self, found: Quota) -> Quota:
        """What a user has, with the limit that holds."""
        return replace(found, limit=self.user_quota if found.limit is None else found.limit)

    async def reserve(
        self, connection: AsyncConnection, standing: Standing, upload: Upload, *, owner_id: UserId
    ) -> None:
        """Make room for an upload that has just been written down; its bytes will be the owner's.

        Raises: InvalidInput: a gate does not take its size or type. QuotaExceeded.
        """
        change = usage.Change(owner_id, upload.folder_id, reserved=upload.size)
        found = await usage.count(connection, change)
        if upload.folder_id is not None and any(each.has_gates for each in found):
            above = await gates.list_above(connection, upload.folder_id)
            faults = _faults(above.values(), upload.size, upload.content_type, ("size",), ("contentType",))
            if faults:
                raise InvalidInput(*faults)
        await self._require_room(connection, standing, found, change, "size")

    async def reserve_bundle(
        self, connection: AsyncConnection, standing: Standing, bundle: Bundle, promised: Sequence[Upload]
    ) -> None:
        """The same for the entries of a bundle: gates take it by its whole size and by the type of each entry.

        Raises: InvalidInput, QuotaExceeded.
        """
        change = usage.Change(bundle.owner_id, bundle.folder_id, reserved=bundle.size)
        found = await usage.count(connection, change)
        if bundle.folder_id is not None and any(each.has_gates for each in found):
            above = list((await gates.list_above(connection, bundle.folder_id)).values())
            faults = _faults(above, bundle.size, bundle.content_type, ("entries",), ("entries",))
            for index, upload in enumerate(promised):
                faults += _type_faults(above, upload.content_type, ("entries", str(index), "contentType"))
            if faults:
                raise InvalidInput(*faults)
        await self._require_room(connection, standing, found, change, "entries")

    async def failure(
        self, connection: AsyncConnection, folder_id: FolderId, size: int, content_type: str
    ) -> UploadFailure | None:
        """Why bytes that are there cannot become a file in the folder; None: they can. Their room is reserved."""
        above = await gates.list_above(connection, folder_id)
        faults = _faults(above.values(), size, content_type)
        message = "; ".join(fault.message for fault in faults)
        return UploadFailure(UploadFailureCode.NOT_ALLOWED, message) if faults else None

    async def require_type(self, connection: AsyncConnection, file: File, content_type: str) -> None:
        """Raises: InvalidInput at ``contentType``: a gate above the file does not take it."""
        above = await gates.list_above(connection, file.folder_id)
        faults = [fault for gate in above.values() for fault in _type_faults([gate], content_type, ("contentType",))]
        if faults:
            raise InvalidInput(faults[0])

    async def move_file(
        self,
        connection: AsyncConnection,
        standing: Standing,
        file: File,
        old_chain: Collection[str],
        new_chain: Sequence[str],
    ) -> None:
        """The file, with the uploads of new bytes for it, goes from below the one chain of folders to below the other.

        Raises: InvalidInput, QuotaExceeded, at ``folderId``. The caller holds the policy's version for itself.
        """
        folder_id = FolderId(new_chain[0])
        coming = await self._gates_gained(connection, folder_id, old_chain)
        if faults := _faults(coming, file.size, file.content_type, ("folderId",), ("folderId",)):
            raise InvalidInput(*faults)
        stored = await versions.bytes_of(connection, file.id)
        reserved = await uploads.refile_uploads_for(connection, file.id, folder_id)
        found = await usage.move(connection, old_chain, new_chain, stored=stored, reserved=reserved)
        change = usage.Change(None, folder_id, stored, reserved)
        await self._require_room(connection, standing, found, change, "folderId")

    async def move_folder(
        self,
        connection: AsyncConnection,
        standing: Standing,
        old_chain: Sequence[str],
        new_chain: Sequence[str],
    ) -> None:
        """A folder with all below moves; the chains begin with itself.

        Raises: InvalidInput, QuotaExceeded, at ``parentId``. The caller holds the policy's version for itself.
        """
        folder_id = FolderId(new_chain[0])
        if coming := await self._gates_gained(connection, folder_id, old_chain):
            for content_type, size in (await gates.list_kinds_below(connection, folder_id)).items():
                if faults := _faults(coming, size, content_type, ("parentId",), ("parentId",)):
                    raise InvalidInput(*faults)
        if not await usage.find_counted(connection, set(old_chain) ^ set(new_chain)):
            return
        await usage.lock_all(connection)
        stored, reserved = await usage_sums.sums_below(connection, folder_id)
        found = await usage.move(connection, old_chain, new_chain, stored=stored, reserved=reserved)
        change = usage.Change(None, folder_id, stored, reserved)
        await self._require_room(connection, standing, found, change, "parentId")

    async def _gates_gained(
        self, connection: AsyncConnection, folder_id: FolderId, old_chain: Collection[str]
    ) -> list[Gate]:
        above = await gates.list_above(connection, folder_id)
        return [gate for id_, gate in above.items() if id_ not in old_chain]

    async def _require_room(
        self,
        connection: AsyncConnection,
        standing: Standing,
        found: Sequence[Counted],
        change: usage.Change,
        path: str,
    ) -> None:
        """Raises: QuotaExceeded, with numbers if they are the asker's own, or of a folder that they may see."""
        more = change.stored + change.reserved
        for each in sorted(found, key=lambda each: not each.is_user):
            quota = self.limited(each.quota) if each.is_user else each.quota
            if not quota.is_exceeded:
                continue
            message = f"there is no room for {more} more bytes"
            told = replace(quota, used=quota.used - change.stored, reserved=quota.reserved - change.reserved)
            if not await _may_know(connection, standing, each):
                raise QuotaExceeded(message, path=(path,))
            raise QuotaExceeded(
                f"{message}: {told.used + told.reserved} of {told.limit} are taken", quota=told, path=(path,)
            )


async def _may_know(connection: AsyncConnection, standing: Standing, counted: Counted) -> bool:
    if counted.is_user:
        return standing.is_admin or counted.holder == standing.user_id
    folder_id = FolderId(counted.holder)
    return folder_id in await folders.find_folders(connection, standing, [folder_id])


def _faults(
    above: Iterable[Gate],
    size: int,
    content_type: str,
    size_path: tuple[str, ...] = (),
    type_path: tuple[str, ...] = (),
) -> list[InputFault]:
    """What the gates have against it; one fault for each of the two at most, so that none tells how many they are."""
    above = list(above)
    faults = []
    if not all(gate.takes_size(size) for gate in above):
        faults.append(InputFault(f"files here have at most {smallest_size(above)} bytes", size_path))
    return faults + _type_faults(above, content_type, type_path)


def _type_faults(above: Iterable[Gate], content_type: str, path: tuple[str, ...]) -> list[InputFault]:
    for gate in above:
        if not gate.takes_type(content_type):
            allowed = ", ".join(gate.allowed_content_types or ())
            return [InputFault(f"files here are of these types only: {allowed}", path)]
    return []
