"""Bundles: what one is made of, and what opens all of it."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import bundle as nouns
from graphql_api.model.delivery import BundleLink, ContentDisposition, Link
from graphql_api.model.page import Page
from graphql_api.model.upload import file_of
from graphql_api.schema.connections import Connection
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, page_request
from graphql_api.schema.links import DEFAULT_LINK_SECONDS, ExpiresIn, IpAddress, StartsAt, link_to
from graphql_api.schema.node import After, Before, First, Last
from graphql_api.schema.scalars import ByteSize, Url
from graphql_api.services.bundle_links import bundle_link


@strawberry.type(description="One signature that opens every entry of a bundle: `baseUrl`, its path, `?` and `query`.")
class SignedPrefix:
    base_url: Url = strawberry.field(description="Ends with a slash; the path of an entry follows.")
    query: str = strawberry.field(description="To be used as it is after the `?` of each address.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    refresh_after: datetime = strawberry.field(
        description="When to ask for the next one: between then and `expiresAt`, at a random moment."
    )

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, BundleLink)


@strawberry.type(description="One object of a bundle.")
class BundleEntry:
    path: str = strawberry.field(description="Path in the bundle, such as low/0.ts.")
    size: ByteSize = strawberry.field(description="Length of the content.")
    content_type: str = strawberry.field(description="Media type.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.BundleEntry)


@strawberry.type(description="An entry in a list.")
class BundleEntryEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.BundleEntry = strawberry.field(description="The entry.", graphql_type=BundleEntry)


@strawberry.type(description="Entries of a bundle, a page at a time.")
class BundleEntryConnection(Connection):
    page: strawberry.Private[Page[nouns.BundleEntry]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[BundleEntryEdge]:
        return [BundleEntryEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[BundleEntry])
    def nodes(self) -> tuple[nouns.BundleEntry, ...]:
        return self.page.nodes


@strawberry.type(
    description="A file that is made of many objects, such as an HLS stream or the tiles of a map. It is moved, "
    "ruled, linked, counted and deleted as one."
)
class Bundle:
    entry_count: int = strawberry.field(description="How many entries it has.")
    main_path: str = strawberry.field(description="The entry where a player begins, such as index.m3u8.")

    @strawberry.field(description="Its entries in order of path.")
    async def entries(
        self,
        parent: Parent[nouns.Bundle],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> BundleEntryConnection:
        request = page_request(first, after, last, before)
        services, principal = info.context.services, info.context.principal
        return BundleEntryConnection(page=await services.bundles.list_entries(principal, parent.id, request))

    @strawberry.field(
        description="What opens all of it; null if the viewer may not download it, or if there is a `linkFault`. "
        "Players that keep no query for the next address take cookies: `createSignedCookies`.",
        graphql_type=SignedPrefix | None,
    )
    async def signed_prefix(
        self,
        parent: Parent[nouns.Bundle],
        info: Info,
        expires_in: ExpiresIn = DEFAULT_LINK_SECONDS,
        starts_at: StartsAt = ABSENT,
        ip_address: IpAddress = ABSENT,
    ) -> BundleLink | None:
        file = await info.context.files.load(file_of(parent.id))
        if file is None:
            return None
        link = link_to(file, info.context, expires_in, starts_at, ContentDisposition.INLINE, ABSENT, ip_address)
        if link is None:
            return None
        return bundle_link(file, link if isinstance(link, Link) else await link)

    @strawberry.field(
        description="Why there are no links to it although the viewer may read it: the rule has an obligation that "
        "they cannot keep. Null if there are."
    )
    async def link_fault(self, parent: Parent[nouns.Bundle], info: Info) -> str | None:
        file = await info.context.files.load(file_of(parent.id))
        return None if file is None else info.context.services.bundle_links.fault(file)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.Bundle)
