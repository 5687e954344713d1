"""Objects that a form could store again: compared once more when no form for them can be used any longer."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import ObjectCheckRow


async def schedule_check(connection: AsyncConnection, key: str, *, form_ends_at: datetime) -> None:
    """Have the object compared again once no form can store it any more."""
    statement = insert_unless_taken(connection, ObjectCheckRow).values(object_key=key, form_ends_at=form_ends_at)
    await connection.execute(statement)


async def list_checks(connection: AsyncConnection, *, ended_by: datetime, limit: int) -> Sequence[str]:
    """Keys of at most ``limit`` objects whose forms have ended by then, the longest ago first."""
    statement = select(ObjectCheckRow.object_key).where(ObjectCheckRow.form_ends_at <= ended_by)
    return list(await connection.scalars(statement.order_by(ObjectCheckRow.form_ends_at).limit(limit)))


async def postpone_checks(connection: AsyncConnection, keys: Collection[str], *, form_ends_at: datetime) -> None:
    """Nothing could be learnt of these: as if their forms ended then, which puts them behind the others."""
    statement = update(ObjectCheckRow).where(among(ObjectCheckRow.object_key, texts("keys")))
    await connection.execute(statement.values(form_ends_at=form_ends_at), {"keys": list(keys)})


async def forget_checks(connection: AsyncConnection, keys: Collection[str]) -> None:
    """They were compared."""
    statement = delete(ObjectCheckRow).where(among(ObjectCheckRow.object_key, texts("keys")))
    await connection.execute(statement, {"keys": list(keys)})
