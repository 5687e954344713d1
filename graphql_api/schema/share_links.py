"""Share links: what one is, where they are listed, and the two writes."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import Parent

from graphql_api.model import file as files
from graphql_api.model import group as people
from graphql_api.model import share as nouns
from graphql_api.model.rule import Scope, is_file
from graphql_api.model.share import ShareLinkState, ShareWish
from graphql_api.schema.connections import ShareLinkConnection
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import file_id, folder_id, share_link_id
from graphql_api.schema.inputs import ABSENT, INPUT, given, page_request
from graphql_api.schema.node import After, Before, First, Last, Node
from graphql_api.schema.payloads import Payload
from graphql_api.schema.people import User
from graphql_api.schema.scalars import Url
from graphql_api.schema.types import File, Folder

SharedThing = Annotated[File | Folder, strawberry.union("SharedThing", description="What a share link opens.")]


def _secret(field: Any) -> Any:
    """The field, which no ``repr`` shows: those end in logs and reports of errors. Strawberry has no option for it."""
    field.repr = False
    return field


@strawberry.type(
    description="An address that opens a file, or a folder with all below, to whoever has it: as far as its maker may "
    "read and share that at the moment of the visit."
)
class ShareLink(Node):
    label: str | None = strawberry.field(description="Its maker's note; visitors do not see it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime = strawberry.field(description="When it ends.")
    max_downloads: int | None = strawberry.field(description="How many downloads it allows; null for no limit.")
    downloads: int = strawberry.field(description="How often a visitor was sent on to the bytes of a file.")
    last_used_at: datetime | None = strawberry.field(description="When that was last; null for never.")
    has_password: bool = strawberry.field(description="Whether visitors are asked for a password.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null if it was not.")

    @strawberry.field(
        description="Whether visitors may come. It does not tell whether its maker may still share: if not, an OPEN "
        "link opens nothing."
    )
    def state(self, parent: Parent[nouns.ShareLink], info: Info) -> ShareLinkState:
        return info.context.services.share_links.state(parent)

    @strawberry.field(
        description="What it opens; null if the viewer may not see that.", graphql_type=SharedThing | None
    )
    async def resource(self, parent: Parent[nouns.ShareLink], info: Info) -> files.File | files.Folder | None:
        if is_file(parent.resource):
            return await info.context.files.load(file_id(parent.resource))
        return await info.context.folders.load(folder_id(parent.resource))

    @strawberry.field(description="Who made it; null if the viewer may not see them.", graphql_type=User | None)
    async def created_by(self, parent: Parent[nouns.ShareLink], info: Info) -> people.User | None:
        return await info.context.users.load(parent.created_by)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.ShareLink)


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class SharedThingInput:
    file_id: strawberry.ID | None = strawberry.field(description="A file.", default=ABSENT)
    folder_id: strawberry.ID | None = strawberry.field(description="A folder with all below.", default=ABSENT)

    def scope(self) -> Scope:
        if (file := given(self.file_id)) is not None:
            return Scope(file_id(file))
        return Scope(folder_id(given(self.folder_id) or ""))


@strawberry.input(description="A new share link.")
class CreateShareLinkInput:
    resource: SharedThingInput = strawberry.field(description="What it opens.")
    label: str | None = strawberry.field(description="A note for oneself, at most 100 characters.", default=ABSENT)
    expires_at: datetime | None = strawberry.field(
        description="When it ends; as late as the service allows if absent.", default=ABSENT
    )
    max_downloads: int | None = strawberry.field(
        description="How many downloads it allows, 1 to 1,000,000; no limit if absent.", default=ABSENT
    )
    password: str | None = _secret(
        strawberry.field(
            description="What visitors are asked for, 8 to 200 characters; nothing if absent.", default=ABSENT
        )
    )

    def wish(self) -> ShareWish:
        return ShareWish(
            self.resource.scope(),
            label=given(self.label),
            expires_at=given(self.expires_at),
            max_downloads=given(self.max_downloads),
            password=given(self.password),
        )


@strawberry.type(description="The new share link. Only this answer ever tells its address.")
class CreateShareLinkPayload(Payload):
    share_link: nouns.ShareLink | None = strawberry.field(
        description="The link; null on error.", default=None, graphql_type=ShareLink | None
    )
    url: Url | None = _secret(
        strawberry.field(
            description="The address to hand on; null on error, or if the service does not know its own: then it is "
            "`/s/` and the token at this service.",
            default=None,
        )
    )
    token: str | None = _secret(
        strawberry.field(description="What the address ends with; null on error.", default=None)
    )


@strawberry.input(description="Which share link to revoke.")
class RevokeShareLinkInput:
    share_link_id: strawberry.ID = strawberry.field(description="The link.")


@strawberry.type(description="The revoked share link.")
class RevokeShareLinkPayload(Payload):
    share_link: nouns.ShareLink | None = strawberry.field(
        description="The link; null on error.", default=None, graphql_type=ShareLink | None
    )
    old_links_expire_by: datetime | None = strawberry.field(
        description="Visitors who were sent on before may fetch the bytes until then; null when none can any more.",
        default=None,
    )


@strawberry.type
class ShareLinkQueries:
    @strawberry.field(
        description="Share links that the viewer made, the newest first; to administrators and auditors all of them."
    )
    async def share_links(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> ShareLinkConnection | None:
        context = info.context
        request = page_request(first, after, last, before)
        return ShareLinkConnection(page=await context.services.share_links.list(context.principal, request))


@strawberry.type
class ShareLinkMutations:
    @strawberry.mutation(
        description="Make an address that opens a file or folder to whoever has it. Needs SHARE. Asking again makes "
        "another one."
    )
    async def create_share_link(
        self, info: Info, input: Annotated[CreateShareLinkInput, INPUT]
    ) -> CreateShareLinkPayload | None:
        context = info.context.for_mutation()
        made, errors = await attempt(context.services.share_links.create(context.principal, input.wish()))
        if made is None:
            return CreateShareLinkPayload(user_errors=errors)
        url = context.services.share_links.address(made.token)
        return CreateShareLinkPayload(
            share_link=made.link, url=None if url is None else Url(url), token=made.token, user_errors=errors
        )

    @strawberry.mutation(
        description="Let nobody come by a share link any more; idempotent. Needs SHARE, or to have made it."
    )
    async def revoke_share_link(
        self, info: Info, input: Annotated[RevokeShareLinkInput, INPUT]
    ) -> RevokeShareLinkPayload | None:
        context = info.context.for_mutation()
        work = context.services.share_links.revoke(context.principal, share_link_id(input.share_link_id))
        revoked, errors = await attempt(work)
        if revoked is None:
            return RevokeShareLinkPayload(user_errors=errors)
        return RevokeShareLinkPayload(share_link=revoked.link, old_links_expire_by=revoked.old_links_expire_by)
