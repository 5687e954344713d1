"""Writes about uploads."""

from typing import Annotated

import strawberry

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.upload import file_of
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt, too_many, user_errors
from graphql_api.schema.ids import upload_id
from graphql_api.schema.inputs import INPUT, given
from graphql_api.schema.payloads import MAX_BULK
from graphql_api.schema.upload_payloads import (
    AbortUploadInput,
    AbortUploadPayload,
    CompleteUploadInput,
    CompleteUploadPayload,
    CreateUploadInput,
    CreateUploadPayload,
    CreateUploadsInput,
    CreateUploadsPayload,
    SignUploadPartsInput,
    SignUploadPartsPayload,
    SignUploadRequestInput,
    SignUploadRequestPayload,
)


@strawberry.type
class UploadMutations:
    @strawberry.mutation(description="Promise a file and learn where to send its bytes.")
    async def create_upload(self, info: Info, input: Annotated[CreateUploadInput, INPUT]) -> CreateUploadPayload | None:
        context = info.context.for_mutation()
        upload, errors = await attempt(context.services.uploads.create(context.principal, input.wish()))
        return CreateUploadPayload(upload=upload, user_errors=errors)

    @strawberry.mutation(
        description="The same for up to 100 files, of which each stands alone, or for the entries of one bundle, which "
        "is there when all are and fails with each of them. The results are in the order asked."
    )
    async def create_uploads(
        self, info: Info, input: Annotated[CreateUploadsInput, INPUT]
    ) -> CreateUploadsPayload | None:
        wished, bundle = given(input.uploads), given(input.bundle)
        if (wished is None) == (bundle is None):
            fault = InvalidInput(InputFault("give uploads or bundle", ("uploads",)))
            return CreateUploadsPayload(user_errors=user_errors(fault))
        context = info.context.for_mutation()
        if bundle is not None:
            made, errors = await attempt(context.services.bundles.create(context.principal, bundle.wish()), "bundle")
            if made is None:
                return CreateUploadsPayload(user_errors=errors)
            return CreateUploadsPayload(
                results=[CreateUploadPayload(upload=upload) for upload in made[1]],
                bundle_file_id=strawberry.ID(file_of(made[0])),
            )
        uploads = wished or []
        if (many := too_many("uploads", uploads, MAX_BULK)) is not None:
            return CreateUploadsPayload(user_errors=user_errors(many))
        results = []
        for index, wanted in enumerate(uploads):
            work = context.services.uploads.create(context.principal, wanted.wish())
            upload, errors = await attempt(work, "uploads", str(index))
            results.append(CreateUploadPayload(upload=upload, user_errors=errors))
        return CreateUploadsPayload(results=results)

    @strawberry.mutation(
        description="Sign URLs for up to 100 parts; may be asked again for parts whose URL has expired."
    )
    async def sign_upload_parts(
        self, info: Info, input: Annotated[SignUploadPartsInput, INPUT]
    ) -> SignUploadPartsPayload | None:
        context = info.context.for_mutation()
        work = context.services.upload_targets.sign_parts(
            context.principal, upload_id(input.upload_id), [part.wish() for part in input.parts]
        )
        done, errors = await attempt(work)
        upload, parts = done if done is not None else (None, None)
        return SignUploadPartsPayload(upload=upload, parts=None if parts is None else list(parts), user_errors=errors)

    @strawberry.mutation(
        description="Sign one request to the store, for clients that drive its multipart protocol themselves (Uppy 6)."
    )
    async def sign_upload_request(
        self, info: Info, input: Annotated[SignUploadRequestInput, INPUT]
    ) -> SignUploadRequestPayload | None:
        context = info.context.for_mutation()
        work = context.services.upload_targets.sign_request(
            context.principal, upload_id(input.upload_id), input.kind, given(input.store_upload_id), input.part()
        )
        request, errors = await attempt(work)
        return SignUploadRequestPayload(request=request, user_errors=errors)

    @strawberry.mutation(description="Say that all bytes are sent; idempotent.")
    async def complete_upload(
        self, info: Info, input: Annotated[CompleteUploadInput, INPUT]
    ) -> CompleteUploadPayload | None:
        context = info.context.for_mutation()
        work = context.services.completion.complete(
            context.principal,
            upload_id(input.upload_id),
            on_conflict=given(input.on_conflict),
            crc64nvme=given(input.crc64nvme),
        )
        done, errors = await attempt(work)
        upload, file = done if done is not None else (None, None)
        return CompleteUploadPayload(upload=upload, file=file, user_errors=errors)

    @strawberry.mutation(description="Give up an upload and its bytes; idempotent.")
    async def abort_upload(self, info: Info, input: Annotated[AbortUploadInput, INPUT]) -> AbortUploadPayload | None:
        context = info.context.for_mutation()
        upload, errors = await attempt(context.services.uploads.abort(context.principal, upload_id(input.upload_id)))
        return AbortUploadPayload(upload=upload, user_errors=errors)
