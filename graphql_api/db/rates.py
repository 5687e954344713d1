"""What was spent of rate limits. Only PostgreSQL is asked: on SQLite every process counts in its memory."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Interval, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.tables import SpentRateRow
from graphql_api.db.types import UtcDateTime

_INSTANT: Final = UtcDateTime()
_NEW: Final = postgresql.insert(SpentRateRow).values(
    key=bindparam("key"), restored_at=bindparam("first", type_=_INSTANT)
)
_MORE: Final = func.greatest(SpentRateRow.restored_at, bindparam("now", type_=_INSTANT)) + bindparam(
    "taken", type_=Interval()
)
_CHARGE: Final = _NEW.on_conflict_do_update(
    index_elements=[SpentRateRow.key],
    set_={"restored_at": _MORE},
    where=bindparam("latest", type_=_INSTANT) >= _MORE,
).returning(SpentRateRow.restored_at)


async def charge(
    connection: AsyncConnection, key: str, taken: timedelta, *, now: datetime, latest: datetime
) -> datetime | None:
    """Move the instant of ``key`` on by ``taken``, from ``now`` on if it has passed, and return it; None and nothing
    moved if that would be after ``latest``. The row is locked meanwhile: of many at once as many succeed as fit.
    """
    values = {"key": key, "taken": taken, "now": now, "latest": latest, "first": now + taken}
    restored_at: datetime | None = await connection.scalar(_CHARGE, values)
    return restored_at


async def find(connection: AsyncConnection, key: str) -> datetime | None:
    """The instant of ``key``; None if nothing was spent."""
    return await connection.scalar(select(SpentRateRow.restored_at).where(SpentRateRow.key == key))


async def sweep(connection: AsyncConnection, now: datetime) -> int:
    """Remove the rows that say no more than none would; how many these were."""
    return (await connection.execute(delete(SpentRateRow).where(SpentRateRow.restored_at <= now))).rowcount
