"""Gates: what folders take. A quota stands beside the numbers that it bounds (``usage``), the rest in a table."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.among import among, texts
from graphql_api.db.tables import FileRow, FileScopeRow, FolderGateRow, FolderRow
from graphql_api.db.usage import find_counted, forget_holders, set_quota
from graphql_api.model.ids import FolderId
from graphql_api.model.quota import OPEN, FolderGate, Gate

_COLUMNS: Final = (FolderGateRow.folder_id, FolderGateRow.max_file_size, FolderGateRow.allowed_content_types)


def _gate_of(row: Any, quota: int | None = None) -> Gate:
    types = row.allowed_content_types
    return Gate(quota, row.max_file_size, None if types is None else tuple(orjson.loads(types)))


def _above() -> Any:
    start = select(FolderRow.id, FolderRow.parent_id).where(
        FolderRow.id == bindparam("folder_id", type_=FolderRow.id.type)
    )
    chain = start.cte("chain", recursive=True)
    upper = aliased(FolderRow)
    chain = chain.union_all(select(upper.id, upper.parent_id).where(upper.id == chain.c.parent_id))
    return select(*_COLUMNS).join(chain, chain.c.id == FolderGateRow.folder_id)


_ABOVE: Final = _above()


async def list_above(connection: AsyncConnection, folder_id: FolderId) -> Mapping[str, Gate]:
    """The gates of the folder and of those above it, by folder, without their quotas. Never show which are whose."""
    return {row.folder_id: _gate_of(row) for row in await connection.execute(_ABOVE, {"folder_id": folder_id})}


async def find_gates(connection: AsyncConnection, ids: Collection[FolderId]) -> Mapping[FolderId, FolderGate]:
    """Of those of ``ids`` that have one. Authorised by nobody."""
    statement = select(*_COLUMNS).where(among(FolderGateRow.folder_id, texts("ids")))
    gates = {row.folder_id: row for row in await connection.execute(statement, {"ids": list(ids)})}
    counted = await find_counted(connection, ids)
    found = {}
    for id_ in ids:
        quota = counted.get(id_)
        if id_ in gates:
            found[id_] = FolderGate(_gate_of(gates[id_], quota.limit if quota else None), quota)
        elif quota is not None:
            found[id_] = FolderGate(Gate(quota.limit), quota)
    return found


async def set_gate(connection: AsyncConnection, folder_id: FolderId, gate: Gate) -> None:
    """The caller holds the policy's version for itself, and counts the folder if it has a quota for the first time."""
    await connection.execute(delete(FolderGateRow).where(FolderGateRow.folder_id == folder_id))
    types = gate.allowed_content_types
    if Gate(None, gate.max_file_size, types) != OPEN:
        await connection.execute(
            insert(FolderGateRow).values(
                folder_id=folder_id,
                max_file_size=gate.max_file_size,
                allowed_content_types=None if types is None else orjson.dumps(types).decode(),
            )
        )
    if gate.quota is None:
        await forget_holders(connection, [folder_id])
    else:
        await set_quota(connection, folder_id, gate.quota)


async def list_kinds_below(connection: AsyncConnection, folder_id: FolderId) -> Mapping[str, int]:
    """For each content type of the files below: the size (bytes) of the largest."""
    statement = (
        select(FileRow.content_type, func.max(FileRow.size))
        .join(FileScopeRow, FileScopeRow.file_id == FileRow.id)
        .where(FileScopeRow.scope == folder_id)
        .group_by(FileRow.content_type)
    )
    return {row[0]: row[1] for row in await connection.execute(statement)}
