"""Pages and counts of the files that somebody may read."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.tables import FileRow
from graphql_api.model.file import File
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import Count, Page, PageRequest

COLUMNS: tuple[Any, ...] = (
    FileRow.id,
    FileRow.folder_id,
    FileRow.owner_id,
    FileRow.name,
    FileRow.size,
    FileRow.content_type,
    FileRow.stored_content_type,
    FileRow.sha256,
    FileRow.object_key,
    FileRow.created_at,
    FileRow.updated_at,
)


async def list_files(
    connection: AsyncConnection, standing: Standing, wanted: FileFilter, order: FileOrder, request: PageRequest
) -> Page[File]:
    """Files that may be seen, authorised in the statement. Raises ``InvalidInput`` for a foreign cursor."""
    raise NotImplementedError


async def count_files(connection: AsyncConnection, standing: Standing, wanted: FileFilter) -> Count:
    """How many the list has in all, counted up to ``MAX_COUNTED``."""
    raise NotImplementedError
