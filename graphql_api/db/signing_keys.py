"""The keyring. Keys move PENDING → ACTIVE → RETIRING → RETIRED, each step by one conditional UPDATE."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import SigningKeyRow
from graphql_api.model.ids import SigningKeyId
from graphql_api.model.signing_key import HashAlgorithm, KeyEntry, KeyPlace, KeyReference, KeyStatus

_COLUMNS: Final[tuple[Any, ...]] = tuple(SigningKeyRow.__table__.columns)
_IN_ORDER: Final = select(*_COLUMNS).order_by(SigningKeyRow.created_at, SigningKeyRow.id)


async def insert_key(connection: AsyncConnection, entry: KeyEntry) -> bool:
    """False when its key pair id is known, or when it would be a second ACTIVE key."""
    statement = insert_unless_taken(connection, SigningKeyRow).values(
        id=entry.id,
        key_pair_id=entry.key_pair_id,
        place=entry.reference.place.value,
        place_name=entry.reference.name,
        hash_algorithm=entry.hash_algorithm.value,
        public_pem=entry.public_pem,
        status=entry.status.value,
        longest_lifetime=entry.longest_lifetime,
        created_at=entry.created_at,
        activated_at=entry.activated_at,
        retires_at=entry.retires_at,
        retired_at=entry.retired_at,
    )
    return await connection.scalar(statement.returning(SigningKeyRow.id)) is not None


async def list_keys(connection: AsyncConnection) -> Sequence[KeyEntry]:
    """All of them, the oldest first; a keyring has few."""
    return [_entry_of(row) for row in await connection.execute(_IN_ORDER)]


async def find_keys(connection: AsyncConnection, ids: Collection[SigningKeyId]) -> dict[SigningKeyId, KeyEntry]:
    """Those of ``ids`` that there are."""
    rows = await connection.execute(select(*_COLUMNS).where(SigningKeyRow.id.in_(ids)))
    return {entry.id: entry for entry in map(_entry_of, rows)}


async def find_key(connection: AsyncConnection, key_pair_id: str) -> KeyEntry | None:
    """The one that the CDN calls so."""
    rows = await connection.execute(select(*_COLUMNS).where(SigningKeyRow.key_pair_id == key_pair_id))
    return next(map(_entry_of, rows), None)


async def lock_active(connection: AsyncConnection) -> KeyEntry | None:
    """The key that signs; nobody else moves it before the transaction ends. None also if it was moved meanwhile."""
    statement = select(*_COLUMNS).where(SigningKeyRow.status == KeyStatus.ACTIVE.value).with_for_update()
    return next(map(_entry_of, await connection.execute(statement)), None)


async def activate(connection: AsyncConnection, id_: SigningKeyId, *, now: datetime) -> KeyEntry | None:
    """From PENDING; none may be ACTIVE. None when it is in another state."""
    return await _move(connection, id_, KeyStatus.PENDING, status=KeyStatus.ACTIVE, activated_at=now)


async def begin_to_retire(connection: AsyncConnection, id_: SigningKeyId, *, retires_at: datetime) -> KeyEntry | None:
    """From ACTIVE. None when it is in another state."""
    return await _move(connection, id_, KeyStatus.ACTIVE, status=KeyStatus.RETIRING, retires_at=retires_at)


async def retire(
    connection: AsyncConnection,
    id_: SigningKeyId,
    *,
    come_from: KeyStatus,
    now: datetime,
    retires_at: datetime | None,
) -> KeyEntry | None:
    """None when it is not in the state ``come_from``."""
    return await _move(connection, id_, come_from, status=KeyStatus.RETIRED, retired_at=now, retires_at=retires_at)


async def retire_due(connection: AsyncConnection, *, now: datetime) -> Sequence[KeyEntry]:
    """Those whose last link has ended."""
    is_due = (SigningKeyRow.status == KeyStatus.RETIRING.value) & (SigningKeyRow.retires_at <= now)
    statement = update(SigningKeyRow).where(is_due).values(status=KeyStatus.RETIRED.value, retired_at=now)
    return [_entry_of(row) for row in await connection.execute(statement.returning(*_COLUMNS))]


async def lengthen(connection: AsyncConnection, id_: SigningKeyId, lifetime: int) -> bool:
    """Before a process signs with the ACTIVE key for ``lifetime`` (seconds). False when it is ACTIVE no longer."""
    is_active = (SigningKeyRow.id == id_) & (SigningKeyRow.status == KeyStatus.ACTIVE.value)
    longer = is_active & (SigningKeyRow.longest_lifetime < lifetime)
    await connection.execute(update(SigningKeyRow).where(longer).values(longest_lifetime=lifetime))
    return await connection.scalar(select(SigningKeyRow.id).where(is_active)) is not None


async def longest_lifetime(connection: AsyncConnection) -> timedelta:
    """Of any link that a key has signed which is not RETIRED; zero where none has."""
    statement = select(func.max(SigningKeyRow.longest_lifetime))
    unretired = statement.where(SigningKeyRow.status != KeyStatus.RETIRED.value)
    return timedelta(seconds=await connection.scalar(unretired) or 0)


async def _move(
    connection: AsyncConnection, id_: SigningKeyId, come_from: KeyStatus, *, status: KeyStatus, **times: datetime | None
) -> KeyEntry | None:
    is_there = (SigningKeyRow.id == id_) & (SigningKeyRow.status == come_from.value)
    statement = update(SigningKeyRow).where(is_there).values(status=status.value, **times)
    return next(map(_entry_of, await connection.execute(statement.returning(*_COLUMNS))), None)


def _entry_of(row: Any) -> KeyEntry:
    return KeyEntry(
        id=SigningKeyId(row.id),
        key_pair_id=row.key_pair_id,
        reference=KeyReference(KeyPlace(row.place), row.place_name),
        hash_algorithm=HashAlgorithm(row.hash_algorithm),
        public_pem=row.public_pem,
        status=KeyStatus(row.status),
        longest_lifetime=row.longest_lifetime,
        created_at=row.created_at,
        activated_at=row.activated_at,
        retires_at=row.retires_at,
        retired_at=row.retired_at,
    )
