"""Generated worlds, put into a database."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.notes import insert_words
from graphql_api.db.scopes import change_labels, insert_scopes
from graphql_api.db.tables import FileRow, FolderRow, UserRow
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, UserId
from graphql_api.model.names import name_key
from tests.access.worlds import BEGINNING, USERS, RuledWorld


async def stock(connection: AsyncConnection, world: RuledWorld) -> None:
    """Everything of ``world`` but its rules; what was there before goes."""
    await connection.execute(delete(FileRow))
    await connection.execute(delete(FolderRow).where(FolderRow.id != ROOT_FOLDER_ID))
    await connection.execute(delete(UserRow))
    await insert_users(connection, USERS)
    await insert_folders(connection, world.folders[1:])
    await insert_files(connection, world.files)
    for file in world.files:
        await change_labels(connection, file, add=world.labels[file.id])


async def insert_users(connection: AsyncConnection, ids: Sequence[UserId]) -> None:
    rows = [{"id": id_, "issuer": "i", "subject": id_, "display_name": id_, "created_at": BEGINNING} for id_ in ids]
    await connection.execute(insert(UserRow), rows)


async def insert_folders(connection: AsyncConnection, folders: Sequence[Folder]) -> None:
    rows = [asdict(folder) | {"name_key": name_key(folder.name)} for folder in folders]
    await connection.execute(insert(FolderRow), rows)


async def insert_files(connection: AsyncConnection, files: Sequence[File]) -> None:
    rows = [asdict(file) | {"name_key": name_key(file.name)} for file in files]
    for row in rows:
        del row["terms"]
    await connection.execute(insert(FileRow), rows)
    await insert_scopes(connection, [file.id for file in files])
    await insert_words(connection, {file.id: file.name for file in files})
