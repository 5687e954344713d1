"""What is noted beside the rows of files: the words of their names, for search, and what users say about them."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import FileMetadataRow, FileWordRow
from graphql_api.model.ids import FileId
from graphql_api.model.names import name_words


async def insert_words(connection: AsyncConnection, names: Mapping[FileId, str]) -> None:
    """For files that have no words yet."""
    rows = [{"word": word, "file_id": id_} for id_, name in names.items() for word in name_words(name)]
    if rows:
        await connection.execute(insert(FileWordRow), rows)


async def replace_words(connection: AsyncConnection, file_id: FileId, name: str) -> None:
    """The file is called ``name`` from now on."""
    await connection.execute(delete(FileWordRow).where(FileWordRow.file_id == file_id))
    await insert_words(connection, {file_id: name})


_METADATA: Final = (
    select(FileMetadataRow.file_id, FileMetadataRow.key, FileMetadataRow.value)
    .where(among(FileMetadataRow.file_id, texts("ids")))
    .order_by(FileMetadataRow.key)
)


async def metadata_of(connection: AsyncConnection, ids: Collection[FileId]) -> dict[FileId, dict[str, str]]:
    """What is noted about each of ``ids``, by key in order; authorised by nobody."""
    found: dict[FileId, dict[str, str]] = {id_: {} for id_ in ids}
    for file_id, key, value in await connection.execute(_METADATA, {"ids": list(ids)}):
        found[FileId(file_id)][key] = value
    return found


async def change_metadata(
    connection: AsyncConnection, file_id: FileId, *, set: Mapping[str, str], remove: Collection[str] = ()
) -> None:
    """Keys of ``set`` get new values; those of ``remove`` go, or were not there. The caller holds the file's lock."""
    gone = delete(FileMetadataRow).where(FileMetadataRow.file_id == file_id, among(FileMetadataRow.key, texts("keys")))
    await connection.execute(gone, {"keys": list(remove)})
    rows = [{"file_id": file_id, "key": key, "value": value} for key, value in set.items()]
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(FileMetadataRow).values(rows)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[FileMetadataRow.file_id, FileMetadataRow.key], set_={"value": statement.excluded.value}
        )
    )
