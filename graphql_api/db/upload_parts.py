"""What clients said of the parts that they were given targets for."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import UploadPartRow, UploadRow
from graphql_api.model.ids import UploadId
from graphql_api.model.parts import PromisedPart
from graphql_api.model.upload import UploadStatus


async def replace_promises(connection: AsyncConnection, upload_id: UploadId, parts: Sequence[PromisedPart]) -> bool:
    """What is said of these parts now counts; where nothing is said, nothing is known any longer. False, and nothing
    is noted: the upload is over. It does not end before the transaction does.
    """
    pending = select(UploadRow.id).where(UploadRow.id == upload_id, UploadRow.status == UploadStatus.PENDING)
    if await connection.scalar(pending.with_for_update(read=True)) is None:
        return False
    numbers = [part.number for part in parts]
    those = (UploadPartRow.upload_id == upload_id, UploadPartRow.part_number.in_(numbers))
    await connection.execute(delete(UploadPartRow).where(*those))
    rows = [
        {"upload_id": upload_id, "part_number": part.number, "crc64nvme": part.crc64nvme}
        for part in parts
        if part.crc64nvme is not None
    ]
    if rows:  # of two requests at once for one part, either may win: the store compares with the one that is used
        await connection.execute(insert_unless_taken(connection, UploadPartRow), rows)
    return True


async def list_promises(connection: AsyncConnection, upload_id: UploadId) -> Mapping[int, str]:
    """The checksums (hex) by part number."""
    statement = select(UploadPartRow.part_number, UploadPartRow.crc64nvme).where(UploadPartRow.upload_id == upload_id)
    return {row.part_number: row.crc64nvme for row in await connection.execute(statement)}


async def forget_promises(connection: AsyncConnection, upload_ids: Collection[UploadId]) -> None:
    """These uploads are over, or all their bytes are in."""
    await connection.execute(delete(UploadPartRow).where(UploadPartRow.upload_id.in_(upload_ids)))
