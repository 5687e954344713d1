"""Inputs and payloads of the mutations about uploads."""

import strawberry

from graphql_api.model import file as nouns
from graphql_api.model.parts import PartTarget
from graphql_api.model.stored_object import SignedStoreRequest as SignedStoreRequestNoun
from graphql_api.model.stored_object import StoreRequestKind
from graphql_api.model.upload import OnConflict, UploadMethod
from graphql_api.model.upload import Upload as UploadNoun
from graphql_api.schema.bundle_inputs import CreateBundleInput
from graphql_api.schema.ids import file_id, folder_id
from graphql_api.schema.inputs import ABSENT, given
from graphql_api.schema.payloads import Payload
from graphql_api.schema.scalars import ByteSize
from graphql_api.schema.targets import SignedStoreRequest, UploadPartTarget
from graphql_api.schema.types import File
from graphql_api.schema.uploads import Upload
from graphql_api.services.upload_targets import PartWish
from graphql_api.services.upload_wishes import UploadWish


@strawberry.input(description="What is to be uploaded.")
class CreateUploadInput:
    filename: str = strawberry.field(description="Name, 1-255 characters, no slash.")
    size: ByteSize = strawberry.field(description="Exact length.")
    content_type: str = strawberry.field(description="Media type.")
    folder_id: strawberry.ID | None = strawberry.field(
        description="Folder; the viewer's own if absent, the root for a viewer without one.", default=ABSENT
    )
    sha256: str | None = strawberry.field(
        description="SHA-256 in hex. The store verifies it, unless the bytes are sent in parts: then it serves to find "
        "the upload again.",
        default=ABSENT,
    )
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME of the whole as 16 hex digits, verified when parts are joined; `completeUpload` takes "
        "it as well.",
        default=ABSENT,
    )
    method: UploadMethod | None = strawberry.field(
        description="How the bytes will be sent; by size if absent.", default=ABSENT
    )
    replace_file_id: strawberry.ID | None = strawberry.field(
        description="The file that gets these bytes as a new version. It keeps its id, name, folder and rules; "
        "`folderId` and `onConflict` do not matter then.",
        default=ABSENT,
    )
    on_conflict: OnConflict = strawberry.field(
        description="What to do when the name is taken, now or at completion.", default=OnConflict.FAIL
    )
    idempotency_key: str | None = strawberry.field(
        description="Same key and input within 24 hours: the same upload, as it is then.", default=ABSENT
    )

    def wish(self) -> UploadWish:
        target, replaced = given(self.folder_id), given(self.replace_file_id)
        return UploadWish(
            filename=self.filename,
            size=self.size,
            content_type=self.content_type,
            folder_id=None if target is None else folder_id(target),
            sha256=given(self.sha256),
            crc64nvme=given(self.crc64nvme),
            method=given(self.method),
            replaces=None if replaced is None else file_id(replaced),
            on_conflict=self.on_conflict,
            idempotency_key=given(self.idempotency_key),
        )


@strawberry.type(description="The upload, or why not.")
class CreateUploadPayload(Payload):
    upload: UploadNoun | None = strawberry.field(
        description="The upload; null on error.", default=None, graphql_type=Upload | None
    )


@strawberry.input(description="Several uploads: exactly one of the fields.")
class CreateUploadsInput:
    uploads: list[CreateUploadInput] | None = strawberry.field(description="1-100 of them.", default=ABSENT)
    bundle: CreateBundleInput | None = strawberry.field(
        description="The entries of one file, in the place of `uploads`.", default=ABSENT
    )


@strawberry.type(description="One result for each upload asked for.")
class CreateUploadsPayload(Payload):
    results: list[CreateUploadPayload] = strawberry.field(description="In the order asked.", default_factory=list)
    bundle_file_id: strawberry.ID | None = strawberry.field(
        description="The file that the bundle is once all of its entries are in; null if none was asked for.",
        default=None,
    )


@strawberry.input(description="A part that will be sent.")
class UploadPartInput:
    part_number: int = strawberry.field(description="Number, from 1.")
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME of this part as 16 hex digits; the store then takes no other bytes.", default=ABSENT
    )

    def wish(self) -> PartWish:
        return PartWish(self.part_number, given(self.crc64nvme))


@strawberry.input(description="Parts to sign.")
class SignUploadPartsInput:
    upload_id: strawberry.ID = strawberry.field(description="The upload.")
    parts: list[UploadPartInput] = strawberry.field(description="1-100 different parts.")


@strawberry.type(description="Signed parts.")
class SignUploadPartsPayload(Payload):
    upload: UploadNoun | None = strawberry.field(
        description="The upload, whose end has moved away; null on error.", default=None, graphql_type=Upload | None
    )
    parts: list[PartTarget] | None = strawberry.field(
        description="In the order asked; null on error.", default=None, graphql_type=list[UploadPartTarget] | None
    )


@strawberry.input(description="Which request to sign.")
class SignUploadRequestInput:
    upload_id: strawberry.ID = strawberry.field(description="The upload.")
    kind: StoreRequestKind = strawberry.field(description="Which.")
    store_upload_id: str | None = strawberry.field(
        description="Upload id that the store gave; for all but CREATE_MULTIPART.", default=ABSENT
    )
    part_number: int | None = strawberry.field(description="For UPLOAD_PART.", default=ABSENT)
    crc64nvme: str | None = strawberry.field(
        description="For UPLOAD_PART: CRC-64/NVME of the part as 16 hex digits.", default=ABSENT
    )

    def part(self) -> PartWish | None:
        number = given(self.part_number)
        return None if number is None else PartWish(number, given(self.crc64nvme))


@strawberry.type(description="The signed request.")
class SignUploadRequestPayload(Payload):
    request: SignedStoreRequestNoun | None = strawberry.field(
        description="The request; null on error.", default=None, graphql_type=SignedStoreRequest | None
    )


@strawberry.input(description="Which upload is complete.")
class CompleteUploadInput:
    upload_id: strawberry.ID = strawberry.field(description="The upload.")
    on_conflict: OnConflict | None = strawberry.field(
        description="What to do if the name was taken meanwhile; as asked at its creation if absent.", default=ABSENT
    )
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME of the whole as 16 hex digits, if it was not known at the creation.", default=ABSENT
    )


@strawberry.type(description="The completed upload.")
class CompleteUploadPayload(Payload):
    upload: UploadNoun | None = strawberry.field(description="The upload.", default=None, graphql_type=Upload | None)
    file: nouns.File | None = strawberry.field(
        description="The file; null while PROCESSING, or if it was deleted since.",
        default=None,
        graphql_type=File | None,
    )


@strawberry.input(description="Which upload to give up.")
class AbortUploadInput:
    upload_id: strawberry.ID = strawberry.field(description="The upload.")


@strawberry.type(description="The aborted upload.")
class AbortUploadPayload(Payload):
    upload: UploadNoun | None = strawberry.field(description="The upload.", default=None, graphql_type=Upload | None)
