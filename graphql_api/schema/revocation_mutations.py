"""Revoking links: the mutation, its input and its payload."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

from graphql_api.model import file as files
from graphql_api.model import group as people
from graphql_api.model import revocation as nouns
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import file_id, folder_id, user_id
from graphql_api.schema.inputs import ABSENT, INPUT, given
from graphql_api.schema.payloads import Payload
from graphql_api.schema.people import User
from graphql_api.schema.revocations import LinkRevocation
from graphql_api.schema.types import File, Folder


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class RevokeLinksInput:
    file_id: strawberry.ID | None = strawberry.field(
        description="All links to a file. Needs SHARE.",
        default=ABSENT,
    )
    folder_id: strawberry.ID | None = strawberry.field(
        description="All links to what is below a folder, or was when they were signed. Needs SHARE on the folder.",
        default=ABSENT,
    )
    user_id: strawberry.ID | None = strawberry.field(
        description="All personal links of a user, wherever they lead: those made on rules with the obligation "
        "`personalLinks`. Needs ADMINISTER, or to be that user.",
        default=ABSENT,
    )


@strawberry.type(description="What became of the links.")
class RevokeLinksPayload(Payload):
    file: files.File | None = strawberry.field(
        description="The file, if it was one.", default=None, graphql_type=File | None
    )
    folder: files.Folder | None = strawberry.field(
        description="The folder, if it was one.", default=None, graphql_type=Folder | None
    )
    user: people.User | None = strawberry.field(
        description="The user, if it was one.", default=None, graphql_type=User | None
    )
    revocation: nouns.LinkRevocation | None = strawberry.field(
        description="The revocation. Null on error, and where the CDN runs no function that could refuse a link: then "
        "all of them go on working, until `oldLinksExpireBy` at the latest.",
        default=None,
        graphql_type=LinkRevocation | None,
    )
    old_links_expire_by: datetime | None = strawberry.field(
        description="When the last link that was signed before ends by itself, whatever becomes of the revocation; "
        "null on error.",
        default=None,
    )


@strawberry.type
class RevocationMutations:
    @strawberry.mutation(
        description="Make links stop working that were signed until now. No other link ends, and whoever may read gets "
        "new ones at once."
    )
    async def revoke_links(self, info: Info, input: Annotated[RevokeLinksInput, INPUT]) -> RevokeLinksPayload | None:
        context = info.context.for_mutation()
        revocations = context.services.revocations
        if (file := given(input.file_id)) is not None:
            of_file = partial(revocations.revoke_file, context.principal, file_id(file))
            found, errors = await attempt(revocations.and_links_end(of_file))
            if found is not None:
                (seen, revocation), end = found
                return RevokeLinksPayload(file=seen, revocation=revocation, old_links_expire_by=end)
        elif (folder := given(input.folder_id)) is not None:
            of_folder = partial(revocations.revoke_folder, context.principal, folder_id(folder))
            below, errors = await attempt(revocations.and_links_end(of_folder))
            if below is not None:
                (top, revocation), end = below
                if revocation is not None:
                    await context.meter.charge_afterwards(revocation.relays)  # a row each
                return RevokeLinksPayload(folder=top, revocation=revocation, old_links_expire_by=end)
        else:
            of_user = partial(revocations.revoke_user, context.principal, user_id(given(input.user_id) or ""))
            whose, errors = await attempt(revocations.and_links_end(of_user))
            if whose is not None:
                (user, revocation), end = whose
                return RevokeLinksPayload(user=user, revocation=revocation, old_links_expire_by=end)
        return RevokeLinksPayload(user_errors=errors)
