"""Writes about quotas and gates, with their inputs and payloads."""

from typing import Annotated

import strawberry

from graphql_api.model import file as files
from graphql_api.model import group as people
from graphql_api.model.quota import Gate
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import folder_id, user_id
from graphql_api.schema.inputs import ABSENT, INPUT, given
from graphql_api.schema.payloads import Payload
from graphql_api.schema.people import User
from graphql_api.schema.scalars import ByteSize
from graphql_api.schema.types import Folder


@strawberry.input(description="Whose quota, and how much it is.")
class SetUserQuotaInput:
    user_id: strawberry.ID = strawberry.field(description="The user.")
    quota: ByteSize | None = strawberry.field(
        description="How much they may store, whatever the service's default; null or absent: the default.",
        default=ABSENT,
    )


@strawberry.type(description="The user with that quota.")
class SetUserQuotaPayload(Payload):
    user: people.User | None = strawberry.field(description="The user.", default=None, graphql_type=User | None)


@strawberry.input(
    description="Which folder, and what it takes. It takes the place of what was said before: what is null or absent "
    "does not limit."
)
class SetFolderGateInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    quota: ByteSize | None = strawberry.field(description="How much may be stored below.", default=ABSENT)
    max_file_size: ByteSize | None = strawberry.field(description="Largest file.", default=ABSENT)
    allowed_content_types: list[str] | None = strawberry.field(
        description="1-100 types such as image/png and families such as image/*.", default=ABSENT
    )

    def gate(self) -> Gate:
        types = given(self.allowed_content_types)
        return Gate(given(self.quota), given(self.max_file_size), None if types is None else tuple(types))


@strawberry.type(description="The folder with that gate.")
class SetFolderGatePayload(Payload):
    folder: files.Folder | None = strawberry.field(description="The folder.", default=None, graphql_type=Folder | None)


@strawberry.type
class QuotaMutations:
    @strawberry.mutation(description="Say how much a user may store; what is above it stays. Needs ADMINISTER.")
    async def set_user_quota(
        self, info: Info, input: Annotated[SetUserQuotaInput, INPUT]
    ) -> SetUserQuotaPayload | None:
        context = info.context.for_mutation()
        work = context.services.quotas.set_user_quota(context.principal, user_id(input.user_id), given(input.quota))
        user, errors = await attempt(work)
        return SetUserQuotaPayload(user=user, user_errors=errors)

    @strawberry.mutation(
        description="Say what a folder takes, with all below it: how much, how large and of which types. What is there "
        "already stays. Needs ADMINISTER."
    )
    async def set_folder_gate(
        self, info: Info, input: Annotated[SetFolderGateInput, INPUT]
    ) -> SetFolderGatePayload | None:
        context = info.context.for_mutation()
        work = context.services.quotas.set_folder_gate(context.principal, folder_id(input.folder_id), input.gate())
        folder, errors = await attempt(work)
        return SetFolderGatePayload(folder=folder, user_errors=errors)
