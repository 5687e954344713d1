"""Uploads, from reservation to file, and where their bytes are to be sent."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import file as nouns
from graphql_api.model import upload
from graphql_api.model.stored_object import PutUploadTarget as PutUploadTargetNoun
from graphql_api.model.upload import UploadFailureCode, UploadStatus
from graphql_api.schema.context import Info
from graphql_api.schema.node import Node, Timestamped
from graphql_api.schema.scalars import ByteSize, Url
from graphql_api.schema.types import File, Folder


@strawberry.type(description="One header.")
class HttpHeader:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.interface(description="Where and how to send bytes.")
class UploadTarget:
    expires_at: datetime = strawberry.field(description="When the target stops accepting bytes.")


@strawberry.type(
    description="Send all bytes in one PUT. It is accepted once: 412 means that the bytes are there, so complete."
)
class PutUploadTarget(UploadTarget):
    url: Url = strawberry.field(description="PUT here.")

    @strawberry.field(
        description="Headers to send exactly as given; they are signed. So is the length, which clients set themselves."
    )
    def headers(self, parent: Parent[PutUploadTargetNoun]) -> list[HttpHeader]:
        return [HttpHeader(name=name, value=value) for name, value in parent.headers]

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, PutUploadTargetNoun)


@strawberry.type(description="Why an upload failed.")
class UploadFailure:
    code: UploadFailureCode = strawberry.field(description="Machine-readable reason.")
    message: str = strawberry.field(description="For people.")


@strawberry.type(description="An upload from reservation to file.")
class Upload(Node, Timestamped):
    status: UploadStatus = strawberry.field(description="Where it stands.")
    filename: str = strawberry.field(description="Name the file will have.")
    size: ByteSize = strawberry.field(description="Announced length.")
    content_type: str = strawberry.field(description="Announced media type.")
    failure: UploadFailure | None = strawberry.field(description="Why it failed; null otherwise.")
    expires_at: datetime = strawberry.field(description="When an unfinished upload is given up.")

    @strawberry.field(
        description="Where to send the bytes, signed anew each time; null once the upload is over.",
        graphql_type=UploadTarget | None,
    )
    async def target(self, parent: Parent[upload.Upload], info: Info) -> PutUploadTargetNoun | None:
        return await info.context.services.uploads.target(parent)

    @strawberry.field(description="The result; null until COMPLETED.", graphql_type=File | None)
    async def file(self, parent: Parent[upload.Upload], info: Info) -> nouns.File | None:
        if parent.status is not UploadStatus.COMPLETED:
            return None
        return await info.context.files.load(parent.file_id)

    @strawberry.field(description="Folder the file goes to; null once the folder is gone.", graphql_type=Folder | None)
    async def folder(self, parent: Parent[upload.Upload], info: Info) -> nouns.Folder | None:
        return None if parent.folder_id is None else await info.context.folders.load(parent.folder_id)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, upload.Upload)
