"""Users: whoever presented a verified token."""

from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FolderRow, UserRow
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.principal import Identity

_FIND = select(UserRow.id, UserRow.display_name, UserRow.email).where(
    UserRow.issuer == bindparam("issuer"), UserRow.subject == bindparam("subject")
)
_HOME = select(FolderRow.id).where(FolderRow.home_of == bindparam("user_id"))


async def find_user(connection: AsyncConnection, identity: Identity) -> UserId | None:
    """The user of this issuer and subject; name and e-mail follow what the token says now."""
    row = (await connection.execute(_FIND, {"issuer": identity.issuer, "subject": identity.subject})).one_or_none()
    if row is None:
        return None
    if (row.display_name, row.email) != (identity.display_name, identity.email):
        await connection.execute(
            update(UserRow).where(UserRow.id == row.id).values(display_name=identity.display_name, email=identity.email)
        )
    return UserId(row.id)


async def insert_user(connection: AsyncConnection, user_id: UserId, identity: Identity, *, now: datetime) -> bool:
    """Whether the user is new; False when another request was first."""
    statement = insert_unless_taken(connection, UserRow).values(
        id=user_id,
        issuer=identity.issuer,
        subject=identity.subject,
        display_name=identity.display_name,
        email=identity.email,
        created_at=now,
    )
    return await connection.scalar(statement.returning(UserRow.id)) is not None


async def find_home(connection: AsyncConnection, user_id: UserId) -> FolderId | None:
    """The folder made for this user at the first sign-in, unless it was deleted since."""
    found = await connection.scalar(_HOME, {"user_id": user_id})
    return None if found is None else FolderId(found)
