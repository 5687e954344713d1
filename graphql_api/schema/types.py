"""Object types. Services' nouns are served as they are: ``is_type_of`` says which type a noun is, plain fields read the
noun's attributes, and only what must be computed has a resolver. A page of a hundred files builds nothing.
"""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import delivery
from graphql_api.model import file as nouns
from graphql_api.model.delivery import ContentDisposition, LinkWish
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.schema.connections import FileConnection, FolderConnection
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, given, page_request
from graphql_api.schema.listing import FileOrderInput
from graphql_api.schema.node import After, Before, First, Last, Node, Timestamped
from graphql_api.schema.scalars import ByteSize, Url

DEFAULT_LINK_SECONDS = 3600


@strawberry.type(description="A signed CDN address.")
class SignedUrl:
    url: Url = strawberry.field(description="The address.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    key_pair_id: str = strawberry.field(description="Public id of the key that signed it.")
    has_custom_policy: bool = strawberry.field(description="Whether a custom (not canned) policy was needed.")


@strawberry.type(description="A stored object with a stable identity; its bytes are immutable.")
class File(Node, Timestamped):
    name: str = strawberry.field(description="Name shown to people, 1-255 characters.")
    size: ByteSize = strawberry.field(description="Length of the content.")
    content_type: str = strawberry.field(description="Media type, such as image/jpeg.")
    sha256: str | None = strawberry.field(
        description="SHA-256 of the content in hex; null if the uploader announced none."
    )

    @strawberry.field(
        description="Folder that holds it; null if the viewer may not see it.", graphql_type="Folder | None"
    )
    async def folder(self, parent: Parent[nouns.File], info: Info) -> nouns.Folder | None:
        return await info.context.folders.load(parent.folder_id)

    @strawberry.field(description="Path as the viewer sees the tree, such as /photos/cat.jpg.")
    async def path(self, parent: Parent[nouns.File], info: Info) -> str:
        place = await info.context.places.load(parent.folder_id)
        return f"{place.path.rstrip('/') if place else ''}/{parent.name}"

    @strawberry.field(
        description="A signed CDN address; null if the viewer may not download it. Never cache it past `expiresAt`.",
        graphql_type=SignedUrl | None,
    )
    def signed_url(
        self,
        parent: Parent[nouns.File],
        info: Info,
        expires_in: Annotated[
            int, strawberry.argument(description="Wanted lifetime in seconds; clamped to what policy allows.")
        ] = DEFAULT_LINK_SECONDS,
        starts_at: Annotated[datetime | None, strawberry.argument(description="Not valid before.")] = ABSENT,
        disposition: Annotated[
            ContentDisposition, strawberry.argument(description="How a browser presents it.")
        ] = ContentDisposition.INLINE,
        filename: Annotated[
            str | None, strawberry.argument(description="Name to save as; the file's name if absent.")
        ] = ABSENT,
        ip_address: Annotated[
            str | None, strawberry.argument(description="Only from this IPv4 address or CIDR range.")
        ] = ABSENT,
    ) -> delivery.SignedUrl | None:
        context = info.context
        grant = context.services.delivery.grant(context.principal, parent)
        if grant is None:
            return None
        wish = LinkWish(
            timedelta(seconds=expires_in), given(starts_at), disposition, given(filename), given(ip_address)
        )
        return context.services.delivery.sign(grant, wish)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.File)


@strawberry.type(description="A folder of the one tree.")
class Folder(Node, Timestamped):
    name: str = strawberry.field(description="Name; empty for the root.")

    @strawberry.field(description="Path as the viewer sees the tree, such as /photos.")
    async def path(self, parent: Parent[nouns.Folder], info: Info) -> str:
        place = await info.context.places.load(parent.id)
        return place.path if place else "/"

    @strawberry.field(
        name="parent",
        description="Folder above; null for the topmost that the viewer may see.",
        graphql_type="Folder | None",
    )
    async def above(self, parent: Parent[nouns.Folder], info: Info) -> nouns.Folder | None:
        place = await info.context.places.load(parent.id)
        return place.parent if place else None

    @strawberry.field(description="Folders directly below, by name.")
    async def subfolders(
        self,
        parent: Parent[nouns.Folder],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> FolderConnection:
        request = page_request(first, after, last, before)
        context = info.context
        return FolderConnection(
            page=await context.services.folders.list_subfolders(context.principal, parent.id, request)
        )

    @strawberry.field(description="Files directly in it.")
    async def files(
        self,
        parent: Parent[nouns.Folder],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        order_by: Annotated[FileOrderInput | None, strawberry.argument(description="Order.")] = ABSENT,
    ) -> FileConnection:
        request = page_request(first, after, last, before)
        wanted = FileFilter(folder_id=parent.id)
        order = given(order_by)
        page = await info.context.services.files.list(
            info.context.principal, wanted, order.noun() if order else FileOrder(), request
        )
        return FileConnection(page=page, wanted=wanted)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.Folder)
