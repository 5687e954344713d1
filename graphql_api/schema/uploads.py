"""Uploads, from reservation to file."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import file as nouns
from graphql_api.model import upload
from graphql_api.model.parts import StoredPart
from graphql_api.model.upload import Fingerprint, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, given
from graphql_api.schema.node import Node, Timestamped
from graphql_api.schema.scalars import ByteSize
from graphql_api.schema.targets import UploadedPart, UploadTarget
from graphql_api.schema.types import File, Folder
from graphql_api.services.upload_targets import Target


@strawberry.type(description="Why an upload failed.")
class UploadFailure:
    code: UploadFailureCode = strawberry.field(description="Machine-readable reason.")
    message: str = strawberry.field(description="For people.")


@strawberry.input(description="By what a client knows again what it was uploading.")
class UploadFingerprint:
    filename: str = strawberry.field(description="The name that was promised.")
    size: ByteSize = strawberry.field(description="The length.")
    sha256: str | None = strawberry.field(description="SHA-256 in hex, if one was promised.", default=ABSENT)
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME as 16 hex digits, if one was promised.", default=ABSENT
    )

    def noun(self) -> Fingerprint:
        return Fingerprint(self.filename, self.size, given(self.sha256), given(self.crc64nvme))


@strawberry.type(description="An upload from reservation to file.")
class Upload(Node, Timestamped):
    status: UploadStatus = strawberry.field(description="Where it stands.")
    method: UploadMethod = strawberry.field(description="How the bytes are to be sent.")
    filename: str = strawberry.field(
        description="Name the file will have; one that gets a new version keeps its own. Of an entry of a bundle, its "
        "path."
    )
    bundle_file_id: strawberry.ID | None = strawberry.field(
        description="The file of which it brings an entry, once all entries are in; null if it stands alone."
    )
    size: ByteSize = strawberry.field(description="Announced length.")
    content_type: str = strawberry.field(description="Announced media type.")
    part_size: ByteSize | None = strawberry.field(
        description="Bytes in every part but the last; null unless they are sent in parts."
    )
    sha256: str | None = strawberry.field(description="Announced SHA-256 in hex.")
    crc64nvme: str | None = strawberry.field(description="Announced CRC-64/NVME of the whole as 16 hex digits.")
    failure: UploadFailure | None = strawberry.field(description="Why it failed; null otherwise.")
    expires_at: datetime = strawberry.field(
        description="When an unfinished upload is given up; it moves away while parts are being sent."
    )

    @strawberry.field(
        description="Where to send the bytes, signed anew each time; null once the upload is over.",
        graphql_type=UploadTarget | None,
    )
    async def target(self, parent: Parent[upload.Upload], info: Info) -> Target | None:
        return await info.context.services.upload_targets.target(parent)

    @strawberry.field(
        description="Parts that the store holds, in order; empty unless bytes are sent in parts, and once it is over.",
        graphql_type=list[UploadedPart],
    )
    async def parts(self, parent: Parent[upload.Upload], info: Info) -> list[StoredPart]:
        return list(await info.context.services.upload_targets.list_parts(parent))

    @strawberry.field(description="The result; null until COMPLETED.", graphql_type=File | None)
    async def file(self, parent: Parent[upload.Upload], info: Info) -> nouns.File | None:
        if parent.status is not UploadStatus.COMPLETED:
            return None
        return await info.context.files.load(parent.result_id)

    @strawberry.field(description="Folder the file goes to; null once the folder is gone.", graphql_type=Folder | None)
    async def folder(self, parent: Parent[upload.Upload], info: Info) -> nouns.Folder | None:
        return None if parent.folder_id is None else await info.context.folders.load(parent.folder_id)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, upload.Upload)
