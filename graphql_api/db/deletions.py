"""Objects whose bytes must go: written with the change that makes them superfluous, carried out after the commit."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import ObjectDeletionRow
from graphql_api.model.parts import Remains


async def schedule_deletions(
    connection: AsyncConnection, remains: Collection[Remains], *, due_at: datetime, final_at: datetime
) -> None:
    """Remove each object, and parts that were not joined, at ``due_at`` and again at ``final_at``."""
    if remains:
        rows = [
            {"object_key": each.key, "store_upload_id": each.store_upload_id, "due_at": due_at, "final_at": final_at}
            for each in remains
        ]
        await connection.execute(insert_unless_taken(connection, ObjectDeletionRow), rows)


async def claim_due(connection: AsyncConnection, *, now: datetime, until: datetime, limit: int) -> Sequence[Remains]:
    """At most ``limit`` whose time has come, the longest due first; nobody else is given them before ``until``."""
    due = (
        select(ObjectDeletionRow.object_key)
        .where(ObjectDeletionRow.due_at <= now)
        .order_by(ObjectDeletionRow.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # A CTE that locks is computed once. A subquery in its place may be run again for each row, and lock others.
    chosen = due.cte("due")
    statement = (
        update(ObjectDeletionRow)
        .where(ObjectDeletionRow.object_key.in_(select(chosen.c.object_key)))
        .values(due_at=until)
        .returning(ObjectDeletionRow.object_key, ObjectDeletionRow.store_upload_id)
    )
    return [Remains(*row) for row in await connection.execute(statement)]


async def postpone(connection: AsyncConnection, keys: Collection[str], *, due_at: datetime) -> None:
    """These could not be removed, or were not tried: that is due at ``due_at``."""
    await connection.execute(
        update(ObjectDeletionRow).where(ObjectDeletionRow.object_key.in_(keys)).values(due_at=due_at)
    )


async def record_refused(
    connection: AsyncConnection, keys: Collection[str], *, now: datetime, due_at: datetime
) -> None:
    """The store refuses to remove these: try again at ``due_at``, and let the others through until then."""
    first = func.coalesce(ObjectDeletionRow.refused_at, now)
    statement = update(ObjectDeletionRow).where(ObjectDeletionRow.object_key.in_(keys))
    await connection.execute(statement.values(due_at=due_at, refused_at=first))


async def find_refused(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, datetime]:
    """Since when the store has refused to remove those of ``keys`` that it does refuse."""
    statement = select(ObjectDeletionRow.object_key, ObjectDeletionRow.refused_at).where(
        among(ObjectDeletionRow.object_key, texts("keys")), ObjectDeletionRow.refused_at.is_not(None)
    )
    return {row.object_key: row.refused_at for row in await connection.execute(statement, {"keys": list(keys)})}


async def record_removed(connection: AsyncConnection, keys: Collection[str], *, now: datetime) -> None:
    """The store has removed these: done for good after ``final_at``, else once more then."""
    those = ObjectDeletionRow.object_key.in_(keys)
    await connection.execute(delete(ObjectDeletionRow).where(those, ObjectDeletionRow.final_at <= now))
    again = {"due_at": ObjectDeletionRow.final_at, "refused_at": None}
    await connection.execute(update(ObjectDeletionRow).where(those).values(again))
