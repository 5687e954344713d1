"""Where and how to send bytes. A client sends exactly what is said here."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import parts
from graphql_api.model import stored_object as objects
from graphql_api.schema.scalars import ByteSize, Url


@strawberry.type(description="One header.")
class HttpHeader:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.type(description="One form field.")
class FormField:
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
    def headers(self, parent: Parent[objects.PutUploadTarget]) -> list[HttpHeader]:
        return _headers(parent.headers)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, objects.PutUploadTarget)


@strawberry.type(
    description="Send all bytes in one multipart/form-data POST. It is accepted more than once, but only with the "
    "bytes of the promised SHA-256."
)
class PostUploadTarget(UploadTarget):
    url: Url = strawberry.field(description="POST here.")

    @strawberry.field(description="Form fields to send exactly as given and in this order, before the field `file`.")
    def fields(self, parent: Parent[objects.PostUploadTarget]) -> list[FormField]:
        return [FormField(name=name, value=value) for name, value in parent.fields]

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, objects.PostUploadTarget)


@strawberry.type(description="A signed URL for one part. It is accepted again until it expires; the last bytes count.")
class UploadPartTarget:
    url: Url = strawberry.field(description="PUT here.")
    expires_at: datetime = strawberry.field(description="When the URL stops working.")

    @strawberry.field(description="Number of the part, from 1.")
    def part_number(self, parent: Parent[parts.PartTarget]) -> int:
        return parent.number

    @strawberry.field(
        description="Headers to send exactly as given; they are signed. So is the length, which clients set themselves."
    )
    def headers(self, parent: Parent[parts.PartTarget]) -> list[HttpHeader]:
        return _headers(parent.headers)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, parts.PartTarget)


@strawberry.type(description="Send parts in any order and number of connections; sign them with `signUploadParts`.")
class MultipartUploadTarget(UploadTarget):
    @strawberry.field(description="Upload id at the store.")
    def upload_id(self, parent: Parent[parts.PartsTarget]) -> str:
        return parent.upload.id

    @strawberry.field(description="Object key at the store.")
    def key(self, parent: Parent[parts.PartsTarget]) -> str:
        return parent.upload.key

    @strawberry.field(description="Bytes in every part but the last, which has what is left.")
    def part_size(self, parent: Parent[parts.PartsTarget]) -> ByteSize:
        return ByteSize(parent.plan.part_size)

    @strawberry.field(description="How many parts there will be.")
    def part_count(self, parent: Parent[parts.PartsTarget]) -> int:
        return parent.plan.count

    @strawberry.field(
        description="Signed URLs of the first parts, up to ten, which bind no checksum: a small upload needs no "
        "further request.",
        graphql_type=list[UploadPartTarget],
    )
    def first_parts(self, parent: Parent[parts.PartsTarget]) -> list[parts.PartTarget]:
        return list(parent.first)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, parts.PartsTarget)


@strawberry.type(description="A part that the store holds.")
class UploadedPart:
    size: ByteSize = strawberry.field(description="Length.")
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME as 16 hex digits; null where the store does not tell."
    )

    @strawberry.field(description="Number of the part, from 1.")
    def part_number(self, parent: Parent[parts.StoredPart]) -> int:
        return parent.number

    @strawberry.field(description="Entity tag, quotes included.")
    def etag(self, parent: Parent[parts.StoredPart]) -> str:
        return f'"{parent.etag}"'

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, parts.StoredPart)


@strawberry.type(description="A signed request to the store.")
class SignedStoreRequest:
    method: str = strawberry.field(description="HTTP method.")
    url: Url = strawberry.field(description="Send it here.")
    key: str = strawberry.field(description="Object key.")
    expires_at: datetime = strawberry.field(description="When the URL stops working.")

    @strawberry.field(description="Headers to send exactly as given; they are signed.")
    def headers(self, parent: Parent[objects.SignedStoreRequest]) -> list[HttpHeader]:
        return _headers(parent.headers)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, objects.SignedStoreRequest)


def _headers(headers: tuple[tuple[str, str], ...]) -> list[HttpHeader]:
    return [HttpHeader(name=name, value=value) for name, value in headers]
