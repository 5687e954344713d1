"""How much users and folders have stored and reserved: numbers that equal the sums of files and uploads at any time.

Whoever makes, ends or removes uploads and versions of files counts that in the same transaction, as a ``Change``; what
is above a folder is read in the statement that counts. Two rules keep the numbers exact and the transactions apart:

- Counted rows are locked **last**, all of a transaction in one call, in the order of their ids: a transaction that has
  counted waits for nothing afterwards.
- Who moves a folder out of or into a folder with a quota, gives a folder a quota or counts anew, begins with
  ``lock_all``: whoever has counted before is waited for, whoever counts later reads the tree as it is by then.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.among import among, texts
from graphql_api.db.rulebooks import chains_of
from graphql_api.db.tables import FileRow, FileVersionRow, FolderGateRow, FolderRow, StorageUsageRow, UploadRow
from graphql_api.model.ids import USER_PREFIX, FileId, FolderId, UploadId, UserId
from graphql_api.model.quota import Quota


@dataclass(frozen=True, slots=True)
class Change:
    """So many bytes more (or fewer) of ``owner_id`` in ``folder_id``; of None only the other is counted."""

    owner_id: UserId | None
    folder_id: FolderId | None
    stored: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What a user or a folder has after a change, and whether any folder has a gate."""

    holder: str
    quota: Quota
    has_gates: bool

    @property
    def is_user(self) -> bool:
        return self.holder.startswith(USER_PREFIX)


def upload_holder() -> Any:
    """Whose bytes an upload's will be: of the file that it replaces, or of the uploader."""
    replaced = select(FileRow.owner_id).where(FileRow.id == UploadRow.replaces).scalar_subquery()
    return func.coalesce(replaced, UploadRow.owner_id)


def _bytes(name: str) -> Any:
    return bindparam(name, type_=BigInteger())


_ANSWER: Final = (
    StorageUsageRow.holder,
    StorageUsageRow.stored,
    StorageUsageRow.reserved,
    StorageUsageRow.quota,
    select(FolderGateRow.folder_id).exists().label("has_gates"),
)
_MORE: Final = {
    "stored": StorageUsageRow.stored + _bytes("more_stored"),
    "reserved": StorageUsageRow.reserved + _bytes("more_reserved"),
}


def _count() -> Any:
    """One statement for the owner and all folders above, so that no folder is moved between reading and counting."""
    start = select(FolderRow.id, FolderRow.parent_id).where(
        FolderRow.id == bindparam("folder_id", type_=FolderRow.id.type)
    )
    chain = start.cte("chain", recursive=True)
    upper, held = aliased(FolderRow), aliased(StorageUsageRow)
    chain = chain.union_all(select(upper.id, upper.parent_id).where(upper.id == chain.c.parent_id))
    concerned = select(chain.c.id).union_all(select(bindparam("owner_id", type_=FolderRow.id.type)))
    in_order = select(held.holder).where(held.holder.in_(concerned)).order_by(held.holder).with_for_update()
    return update(StorageUsageRow).where(StorageUsageRow.holder.in_(in_order)).values(**_MORE).returning(*_ANSWER)


_COUNT: Final = _count()
_COUNT_OF: Final = (
    update(StorageUsageRow)
    .where(StorageUsageRow.holder == bindparam("the_holder", type_=StorageUsageRow.holder.type))
    .values(**_MORE)
    .returning(*_ANSWER)
)


async def count(connection: AsyncConnection, change: Change) -> Sequence[Counted]:
    """Count one change, now that all else is done; what its owner and the folders with a quota above have then."""
    asked = {"owner_id": change.owner_id, "folder_id": change.folder_id} | _more(change.stored, change.reserved)
    found = [_counted(row) for row in await connection.execute(_COUNT, asked)]
    if change.owner_id is not None and not any(each.is_user for each in found):
        found.append(await _count_first(connection, change.owner_id, change.stored, change.reserved))
    return found


async def count_all(connection: AsyncConnection, changes: Iterable[Change]) -> Sequence[Counted]:
    """The same for many: each user and folder is counted once."""
    changes = [change for change in changes if change.stored or change.reserved]
    if len(changes) == 1:
        return await count(connection, changes[0])
    folders = sorted({change.folder_id for change in changes if change.folder_id is not None})
    owners = {change.owner_id for change in changes if change.owner_id is not None}
    held = await _lock(connection, folders, owners)
    more: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    chains = await chains_of(connection, folders) if held - owners else {}
    for change in changes:
        above = chains.get(change.folder_id, ()) if change.folder_id is not None else ()
        for holder in (change.owner_id, *(held & set(above))):
            if holder is not None:
                more[holder][0] += change.stored
                more[holder][1] += change.reserved
    found = []
    for holder, (stored, reserved) in sorted(more.items()):
        if holder in held:
            found.append(await _count_of(connection, holder, stored, reserved))
        else:
            found.append(await _count_first(connection, holder, stored, reserved))
    return found


async def _lock(connection: AsyncConnection, folders: Collection[str], owners: Collection[str]) -> set[str]:
    """Those of the owners and of the folders, and of what is above these, that are counted; locked in order."""
    start = select(FolderRow.id, FolderRow.parent_id).where(among(FolderRow.id, texts("folders")))
    above = start.cte("above", recursive=True)
    upper = aliased(FolderRow)
    above = above.union(select(upper.id, upper.parent_id).where(upper.id == above.c.parent_id))
    concerned = or_(StorageUsageRow.holder.in_(select(above.c.id)), among(StorageUsageRow.holder, texts("owners")))
    statement = select(StorageUsageRow.holder).where(concerned).order_by(StorageUsageRow.holder).with_for_update()
    return set(await connection.scalars(statement, {"folders": list(folders), "owners": list(owners)}))


async def _count_of(connection: AsyncConnection, holder: str, stored: int, reserved: int) -> Counted:
    row = (await connection.execute(_COUNT_OF, {"the_holder": holder} | _more(stored, reserved))).one()
    return _counted(row)


async def _count_first(connection: AsyncConnection, user_id: str, stored: int, reserved: int) -> Counted:
    """Who has no row has had nothing so far."""
    new = _upsert(connection).values(holder=user_id, stored=stored, reserved=reserved)
    statement: Any = new.on_conflict_do_update(
        index_elements=[StorageUsageRow.holder],
        set_={
            "stored": StorageUsageRow.stored + new.excluded.stored,
            "reserved": StorageUsageRow.reserved + new.excluded.reserved,
        },
    )
    return _counted((await connection.execute(statement.returning(*_ANSWER))).one())


async def move(
    connection: AsyncConnection, old_chain: Collection[str], new_chain: Collection[str], *, stored: int, reserved: int
) -> Sequence[Counted]:
    """So many bytes move from below the one chain of folders to below the other; what the folders that gain have then.

    The caller holds the policy's version for itself, so that the chains are what they are.
    """
    held = await _lock(connection, (), {*old_chain, *new_chain})
    lost, gained = held - set(new_chain), held - set(old_chain)
    for holder in sorted(lost):
        await _count_of(connection, holder, -stored, -reserved)
    return [await _count_of(connection, holder, stored, reserved) for holder in sorted(gained)]


async def find_counted(connection: AsyncConnection, holders: Collection[str]) -> dict[str, Quota]:
    """What those of ``holders`` have who are counted; ``limit`` is None for users without a quota of their own."""
    statement = select(*_ANSWER[:-1]).where(among(StorageUsageRow.holder, texts("holders")))
    rows = await connection.execute(statement, {"holders": list(holders)})
    return {row.holder: Quota(row.stored, row.reserved, row.quota) for row in rows}


async def lock_all(connection: AsyncConnection) -> None:
    """Nobody counts until this transaction ends, and whoever has begun to is waited for. To be done before any other
    statement about what is counted. SQLite lets one transaction write at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE storage_usage IN EXCLUSIVE MODE"))


async def set_quota(connection: AsyncConnection, holder: str, quota: int | None) -> None:
    """Of a user; None: the setting holds. Of a folder: the caller counts it."""
    new = _upsert(connection).values(holder=holder, stored=0, reserved=0, quota=quota)
    await connection.execute(
        new.on_conflict_do_update(index_elements=[StorageUsageRow.holder], set_={"quota": new.excluded.quota})
    )


async def set_counted(connection: AsyncConnection, holder: str, *, stored: int, reserved: int) -> None:
    """What has been counted anew, after ``lock_all``."""
    new = _upsert(connection).values(holder=holder, stored=stored, reserved=reserved)
    numbers = {"stored": new.excluded.stored, "reserved": new.excluded.reserved}
    await connection.execute(new.on_conflict_do_update(index_elements=[StorageUsageRow.holder], set_=numbers))


async def forget_holders(connection: AsyncConnection, holders: Collection[str]) -> None:
    """Folders that go, or whose quota goes, are counted no more."""
    await connection.execute(delete(StorageUsageRow).where(StorageUsageRow.holder.in_(holders)))


async def release_uploads(connection: AsyncConnection, ids: Collection[UploadId]) -> None:
    """These uploads have ended without a file."""
    await count_all(connection, await of_ended(connection, ids))


async def of_ended(connection: AsyncConnection, ids: Collection[UploadId]) -> Sequence[Change]:
    """What is to be counted because these uploads have ended without a file. They are locked, and so are the files that
    they were to replace, if they are to go: these are asked whose bytes they are.
    """
    statement = select(upload_holder(), UploadRow.folder_id, UploadRow.size).where(among(UploadRow.id, texts("ids")))
    rows = (await connection.execute(statement, {"ids": list(ids)})).all()
    return grouped((owner, folder, 0, -size) for owner, folder, size in rows)


async def of_going(connection: AsyncConnection, ids: Collection[FileId]) -> Sequence[Change]:
    """What is to be counted because these files go, with all their versions. They are locked, and still there."""
    statement = (
        select(FileRow.owner_id, FileRow.folder_id, func.sum(FileVersionRow.size))
        .join(FileVersionRow, FileVersionRow.file_id == FileRow.id)
        .where(among(FileRow.id, texts("ids")))
        .group_by(FileRow.owner_id, FileRow.folder_id)
    )
    rows = (await connection.execute(statement, {"ids": list(ids)})).all()
    return grouped((owner, folder, -int(size), 0) for owner, folder, size in rows)


async def settle(
    connection: AsyncConnection, upload_id: str, file_id: FileId, size: int, *, going: Iterable[Change] = ()
) -> None:
    """An upload of ``size`` bytes has become a version of this file; ``going``: what that has driven out."""
    of_upload = select(literal(0), upload_holder(), UploadRow.folder_id).where(UploadRow.id == upload_id)
    of_file = select(literal(1), FileRow.owner_id, FileRow.folder_id).where(FileRow.id == file_id)
    rows = (await connection.execute(of_upload.union_all(of_file))).all()
    sizes = {0: (0, -size), 1: (size, 0)}
    await count_all(connection, [*grouped((owner, folder, *sizes[kind]) for kind, owner, folder in rows), *going])


def grouped(rows: Iterable[tuple[str, str | None, int, int]]) -> list[Change]:
    """One change for each owner and folder; ``rows``: these two, and bytes stored and reserved."""
    sums: defaultdict[tuple[str, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for owner, folder, stored, reserved in rows:
        sums[owner, folder][0] += stored
        sums[owner, folder][1] += reserved
    return [
        Change(UserId(owner), None if folder is None else FolderId(folder), stored, reserved)
        for (owner, folder), (stored, reserved) in sums.items()
    ]


def _upsert(connection: AsyncConnection) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(StorageUsageRow)


def _more(stored: int, reserved: int) -> dict[str, int]:
    return {"more_stored": stored, "more_reserved": reserved}


def _counted(row: Any) -> Counted:
    return Counted(row.holder, Quota(row.stored, row.reserved, row.quota), row.has_gates)
