"""Tasks that one of all processes does now and then."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import PeriodicTaskRow


async def claim(connection: AsyncConnection, name: str, *, now: datetime, until: datetime) -> bool:
    """Whether the task is due, and the caller's to do: nobody else is told so before ``until``. A new task is due."""
    is_due = (PeriodicTaskRow.name == name) & (PeriodicTaskRow.due_at <= now)
    moved = update(PeriodicTaskRow).where(is_due).values(due_at=until).returning(PeriodicTaskRow.name)
    if await connection.scalar(moved) is not None:
        return True
    new = insert_unless_taken(connection, PeriodicTaskRow).values(name=name, due_at=until)
    return await connection.scalar(new.returning(PeriodicTaskRow.name)) is not None


async def give_back(connection: AsyncConnection, name: str, *, now: datetime, until: datetime) -> None:
    """It could not be done: due at once, unless somebody else has claimed it since ``until`` was said."""
    is_ours = (PeriodicTaskRow.name == name) & (PeriodicTaskRow.due_at == until)
    await connection.execute(update(PeriodicTaskRow).where(is_ours).values(due_at=now))
