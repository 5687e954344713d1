"""Connections of the types: a page that a service gave, as edges, nodes and page information.

Source: GraphQL Cursor Connections Specification.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from graphql_api.model import file as nouns
from graphql_api.model.listing import FileFilter
from graphql_api.model.page import Count, Page
from graphql_api.model.rule import AccessRule as AccessRuleNoun
from graphql_api.model.rule import Scope
from graphql_api.model.share import ShareLink as ShareLinkNoun
from graphql_api.model.upload import Upload as UploadNoun
from graphql_api.schema.context import Info

if TYPE_CHECKING:  # these types use the connections: strawberry resolves the names when the schema is built
    from graphql_api.schema.rules import AccessRule
    from graphql_api.schema.share_links import ShareLink
    from graphql_api.schema.types import File, Folder
    from graphql_api.schema.uploads import Upload
    from graphql_api.schema.versions import FileVersion

LazyFile = Annotated["File", strawberry.lazy("graphql_api.schema.types")]
LazyFileVersion = Annotated["FileVersion", strawberry.lazy("graphql_api.schema.versions")]
LazyFolder = Annotated["Folder", strawberry.lazy("graphql_api.schema.types")]
LazyAccessRule = Annotated["AccessRule", strawberry.lazy("graphql_api.schema.rules")]
LazyShareLink = Annotated["ShareLink", strawberry.lazy("graphql_api.schema.share_links")]
LazyUpload = Annotated["Upload", strawberry.lazy("graphql_api.schema.uploads")]


@strawberry.type(description="One page of a connection.")
class PageInfo:
    page: strawberry.Private[Page[Any]]
    is_backward: strawberry.Private[bool] = False

    @strawberry.field(description="Whether more items follow.")
    def has_next_page(self) -> bool:
        return self.page.has_next_page

    @strawberry.field(description="Whether items precede.")
    def has_previous_page(self) -> bool:
        return self.page.has_previous_page

    @strawberry.field(
        description="Where to go on backward: cursor of the first item of the page, or of where the search stopped."
    )
    def start_cursor(self) -> str | None:
        if self.page.resume is not None and self.is_backward:
            return self.page.resume
        return self.page.cursor_of(self.page.nodes[0]) if self.page.nodes else None

    @strawberry.field(
        description="Where to go on: cursor of the last item of the page, or of where the search for items stopped. "
        "Only then a page can have fewer items than asked for, even none, and be followed by others."
    )
    def end_cursor(self) -> str | None:
        if self.page.resume is not None and not self.is_backward:
            return self.page.resume
        return self.page.cursor_of(self.page.nodes[-1]) if self.page.nodes else None


@strawberry.type
class Connection:
    """What all connections have; ``edges`` and ``nodes`` are their own."""

    page: strawberry.Private[Page[Any]]
    is_backward: strawberry.Private[bool] = False

    @strawberry.field(description="About the page.")
    def page_info(self) -> PageInfo:
        return PageInfo(page=self.page, is_backward=self.is_backward)


@strawberry.type(description="A file in a list.")
class FileEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.File = strawberry.field(description="The file.", graphql_type=LazyFile)


@strawberry.type(description="Files, a page at a time.")
class FileConnection(Connection):
    page: strawberry.Private[Page[nouns.File]]
    wanted: strawberry.Private[FileFilter]
    counting: strawberry.Private[asyncio.Future[Count] | None] = None

    @strawberry.field(description="The page.")
    def edges(self) -> list[FileEdge]:
        return [FileEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyFile])
    def nodes(self) -> tuple[nouns.File, ...]:
        return self.page.nodes

    @strawberry.field(description="How many there are in all, counted up to 10,000 and only when asked for.")
    async def total_count(self, info: Info) -> int | None:
        return (await self._count(info)).number

    @strawberry.field(description="Whether `totalCount` is the whole number.")
    async def total_count_is_exact(self, info: Info) -> bool | None:
        return (await self._count(info)).is_exact

    async def _count(self, info: Info) -> Count:
        if self.counting is None:  # the two fields are resolved side by side
            work = info.context.services.files.count(info.context.principal, self.wanted)
            self.counting = asyncio.ensure_future(work)
        return await self.counting


@strawberry.type(description="A folder in a list.")
class FolderEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.Folder = strawberry.field(description="The folder.", graphql_type=LazyFolder)


@strawberry.type(description="Folders, a page at a time.")
class FolderConnection(Connection):
    page: strawberry.Private[Page[nouns.Folder]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[FolderEdge]:
        return [FolderEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyFolder])
    def nodes(self) -> tuple[nouns.Folder, ...]:
        return self.page.nodes


@strawberry.type(description="A version of a file in a list.")
class FileVersionEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.FileVersion = strawberry.field(description="The version.", graphql_type=LazyFileVersion)


@strawberry.type(description="Versions of a file, a page at a time.")
class FileVersionConnection(Connection):
    page: strawberry.Private[Page[nouns.FileVersion]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[FileVersionEdge]:
        return [FileVersionEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyFileVersion])
    def nodes(self) -> tuple[nouns.FileVersion, ...]:
        return self.page.nodes


@strawberry.type(description="An upload in a list.")
class UploadEdge:
    cursor: str = strawberry.field(description="Position.")
    node: UploadNoun = strawberry.field(description="The upload.", graphql_type=LazyUpload)


@strawberry.type(description="Uploads, a page at a time.")
class UploadConnection(Connection):
    page: strawberry.Private[Page[UploadNoun]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[UploadEdge]:
        return [UploadEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyUpload])
    def nodes(self) -> tuple[UploadNoun, ...]:
        return self.page.nodes


@strawberry.type(description="A rule in a list.")
class AccessRuleEdge:
    cursor: str = strawberry.field(description="Position.")
    node: AccessRuleNoun = strawberry.field(description="The rule.", graphql_type=LazyAccessRule)


@strawberry.type(description="Rules, a page at a time.")
class AccessRuleConnection(Connection):
    page: strawberry.Private[Page[AccessRuleNoun]]
    on: strawberry.Private[Scope | None] = None

    @strawberry.field(description="The page.")
    def edges(self) -> list[AccessRuleEdge]:
        return [AccessRuleEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyAccessRule])
    def nodes(self) -> tuple[AccessRuleNoun, ...]:
        return self.page.nodes

    @strawberry.field(
        description="Changes whenever a rule on this very resource does; `replaceAccessRules` takes it. Null without a "
        "resource, or if the viewer may not see all rules on it."
    )
    async def tag(self, info: Info) -> str | None:
        return None if self.on is None else await info.context.rule_tags.load(self.on)


@strawberry.type(description="A share link in a list.")
class ShareLinkEdge:
    cursor: str = strawberry.field(description="Position.")
    node: ShareLinkNoun = strawberry.field(description="The link.", graphql_type=LazyShareLink)


@strawberry.type(description="Share links, a page at a time.")
class ShareLinkConnection(Connection):
    page: strawberry.Private[Page[ShareLinkNoun]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[ShareLinkEdge]:
        return [ShareLinkEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[LazyShareLink])
    def nodes(self) -> tuple[ShareLinkNoun, ...]:
        return self.page.nodes
