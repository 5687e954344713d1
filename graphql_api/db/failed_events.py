"""Messages of the store that could not be read or dealt with, kept for somebody to look at."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FailedEventRow

MAX_BODY: Final = 4_096  # characters; a notification of one object has about a thousand


async def record_failed_event(
    connection: AsyncConnection, message_id: str, *, reason: str, receives: int, body: str, now: datetime
) -> None:
    """Keep the beginning of ``body``, once for each message. ``reason``: a code."""
    # PostgreSQL takes no NUL, and half of a surrogate pair is no text to any database.
    kept = body[:MAX_BODY].replace("\0", "\ufffd").encode(errors="replace").decode()
    statement = insert_unless_taken(connection, FailedEventRow).values(
        message_id=message_id, reason=reason, receives=receives, body=kept, failed_at=now
    )
    await connection.execute(statement)


async def count_failed_events(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).select_from(FailedEventRow)) or 0


async def delete_failed_events_before(connection: AsyncConnection, instant: datetime, limit: int) -> int:
    """Forget at most ``limit`` that failed before ``instant``; how many went."""
    old = (
        select(FailedEventRow.message_id)
        .where(FailedEventRow.failed_at < instant)
        .order_by(FailedEventRow.failed_at)
        .limit(limit)
    )
    return (await connection.execute(delete(FailedEventRow).where(FailedEventRow.message_id.in_(old)))).rowcount
