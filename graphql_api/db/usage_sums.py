"""What is really stored and reserved: the sums that ``usage`` keeps by additions, read from files and uploads."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.folders import subtree
from graphql_api.db.tables import FileRow, FileScopeRow, FileVersionRow, StorageUsageRow, UploadRow, UserRow
from graphql_api.db.usage import find_counted, lock_all, set_counted, upload_holder
from graphql_api.model.ids import FOLDER_PREFIX, ROOT_FOLDER_ID, USER_PREFIX, FolderId
from graphql_api.model.upload import UNFINISHED

Sums = tuple[int, int]  # bytes stored, bytes reserved
_NOTHING: Final = (0, 0)
_ALL_FOLDERS: Final = select(StorageUsageRow.holder).where(
    StorageUsageRow.holder.startswith(FOLDER_PREFIX, autoescape=True)
)


def _total(column: Any) -> Any:
    return func.coalesce(cast(func.sum(column), BigInteger), 0)


async def sums_below(connection: AsyncConnection, folder_id: FolderId) -> Sums:
    """Of the folder with all below. The caller keeps the tree as it is."""
    stored = select(_total(FileVersionRow.size))
    reserved = select(_total(UploadRow.size)).where(UploadRow.status.in_(UNFINISHED))
    if folder_id != ROOT_FOLDER_ID:
        stored = stored.join(FileScopeRow, FileScopeRow.file_id == FileVersionRow.file_id)
        stored = stored.where(FileScopeRow.scope == folder_id)
        reserved = reserved.where(UploadRow.folder_id.in_(select(subtree(folder_id).c.id)))
    return await connection.scalar(stored) or 0, await connection.scalar(reserved) or 0


_STORED_OF: Final = (
    select(FileRow.owner_id, _total(FileVersionRow.size))
    .join(FileScopeRow, FileScopeRow.file_id == FileRow.id)  # by the scope that is the owner: there is an index
    .join(FileVersionRow, FileVersionRow.file_id == FileRow.id)
    .where(among(FileScopeRow.scope, texts("ids")), FileScopeRow.scope == FileRow.owner_id)
    .group_by(FileRow.owner_id)
)


_HOLDER: Final = upload_holder()
_RESERVED_BY: Final = (  # for themselves, or for others whose files get new bytes
    select(_HOLDER, _total(UploadRow.size))
    .where(among(UploadRow.owner_id, texts("ids")), UploadRow.status.in_(UNFINISHED))
    .group_by(_HOLDER)
)
_RESERVED_FOR: Final = (  # by others, for new bytes of their files
    select(FileRow.owner_id, _total(UploadRow.size))
    .join(FileScopeRow, FileScopeRow.file_id == FileRow.id)
    .join(UploadRow, UploadRow.replaces == FileRow.id)
    .where(among(FileScopeRow.scope, texts("ids")), FileScopeRow.scope == FileRow.owner_id)
    .where(~among(UploadRow.owner_id, texts("ids")), UploadRow.status.in_(UNFINISHED))
    .group_by(FileRow.owner_id)
)


async def sums_of_users(connection: AsyncConnection, ids: Collection[str]) -> Mapping[str, Sums]:
    """Of each of these users, of whom some may have nothing."""
    stored = {row[0]: row[1] for row in await connection.execute(_STORED_OF, {"ids": list(ids)})}
    reserved: Counter[str] = Counter()
    for statement in (_RESERVED_BY, _RESERVED_FOR):
        for holder, size in await connection.execute(statement, {"ids": list(ids)}):
            reserved[holder] += size
    return {id_: (stored.get(id_, 0), reserved[id_]) for id_ in ids}


async def recount_users(connection: AsyncConnection, ids: Collection[str]) -> int:
    """Set the numbers of these users from the sums; of how many they differed. To be done first in a transaction."""
    await lock_all(connection)
    return await _correct(connection, await sums_of_users(connection, ids))


async def recount_folders(connection: AsyncConnection) -> int:
    """The same for all folders with a quota. The caller holds the policy's version, as the tree must stay."""
    await lock_all(connection)
    return await _correct(connection, await _sums_of_folders(connection, await connection.scalars(_ALL_FOLDERS)))


async def list_user_ids(connection: AsyncConnection, after: str, size: int) -> Sequence[str]:
    """The next ``size`` users, by id."""
    return list(await connection.scalars(select(UserRow.id).where(UserRow.id > after).order_by(UserRow.id).limit(size)))


async def list_holders(connection: AsyncConnection, after: str, size: int) -> Sequence[str]:
    """The next ``size`` of those who are counted, which are all users and the folders with a quota, by id."""
    folders = _ALL_FOLDERS.where(StorageUsageRow.holder > after).order_by(StorageUsageRow.holder).limit(size)
    users = await list_user_ids(connection, after, size)
    return sorted([*await connection.scalars(folders), *users])[:size]


async def find_miscounted(connection: AsyncConnection, holders: Collection[str]) -> Mapping[str, tuple[Sums, Sums]]:
    """Those of ``holders`` whose numbers are wrong: what is kept, and what is real. To be asked of a snapshot, in which
    both are of the same moment.
    """
    users = [holder for holder in holders if holder.startswith(USER_PREFIX)]
    folders = [holder for holder in holders if holder.startswith(FOLDER_PREFIX)]
    sums = {**await sums_of_users(connection, users), **await _sums_of_folders(connection, folders)}
    return await _differences(connection, sums)


async def _sums_of_folders(connection: AsyncConnection, ids: Iterable[str]) -> Mapping[str, Sums]:
    return {id_: await sums_below(connection, FolderId(id_)) for id_ in list(ids)}


async def _correct(connection: AsyncConnection, sums: Mapping[str, Sums]) -> int:
    wrong = await _differences(connection, sums)
    for holder, (_, (stored, reserved)) in wrong.items():
        await set_counted(connection, holder, stored=stored, reserved=reserved)
    return len(wrong)


async def _differences(connection: AsyncConnection, sums: Mapping[str, Sums]) -> Mapping[str, tuple[Sums, Sums]]:
    counted = await find_counted(connection, sums)
    kept = {holder: (counted[holder].used, counted[holder].reserved) for holder in counted}
    return {
        holder: (kept.get(holder, _NOTHING), real)
        for holder, real in sums.items()
        if kept.get(holder, _NOTHING) != real
    }
