"""Publishing files: the mutations, their inputs and payloads."""

from typing import Annotated

import strawberry

from graphql_api.model import file as files
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import file_id
from graphql_api.schema.inputs import INPUT
from graphql_api.schema.payloads import Payload
from graphql_api.schema.types import File


@strawberry.input(description="Which file.")
class PublishInput:
    file_id: strawberry.ID = strawberry.field(description="The file. Needs SHARE.")


@strawberry.type(description="The file that is being published.")
class PublishPayload(Payload):
    file: files.File | None = strawberry.field(
        description="The file. Its `publicUrl` is null until the copy is there, mostly for a second or two; null on "
        "error.",
        default=None,
        graphql_type=File | None,
    )


@strawberry.input(description="Which file.")
class UnpublishInput:
    file_id: strawberry.ID = strawberry.field(description="The file. Needs SHARE.")


@strawberry.type(description="The file that is published no longer.")
class UnpublishPayload(Payload):
    file: files.File | None = strawberry.field(
        description="The file; null on error.", default=None, graphql_type=File | None
    )


@strawberry.type
class PublicationMutations:
    @strawberry.mutation(
        description="Give a file that anyone may download, without conditions, a lasting address at which the CDN asks "
        "for no signature. When that is true no longer, or the file has gone, so does the address; when it has other "
        "bytes, it has another. Nothing happens if it has one."
    )
    async def publish(self, info: Info, input: Annotated[PublishInput, INPUT]) -> PublishPayload | None:
        context = info.context.for_mutation()
        work = context.services.publications.publish(context.principal, file_id(input.file_id))
        file, errors = await attempt(work)
        return PublishPayload(file=file, user_errors=errors)

    @strawberry.mutation(
        description="Take the lasting address from a file, whoever may read it. Browsers may keep what they have."
    )
    async def unpublish(self, info: Info, input: Annotated[UnpublishInput, INPUT]) -> UnpublishPayload | None:
        context = info.context.for_mutation()
        work = context.services.publications.unpublish(context.principal, file_id(input.file_id))
        file, errors = await attempt(work)
        return UnpublishPayload(file=file, user_errors=errors)
