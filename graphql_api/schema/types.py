"""Object types. Services' nouns are served as they are: ``is_type_of`` says which type a noun is, plain fields read the
noun's attributes, and only what must be computed has a resolver. A page of a hundred files builds nothing.
"""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import bundle as bundles
from graphql_api.model import file as nouns
from graphql_api.model import group as people
from graphql_api.model import revocation
from graphql_api.model.decision import AccessDecision as Decision
from graphql_api.model.delivery import ContentDisposition, Link
from graphql_api.model.file import ChecksumAlgorithm, Evidence
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Scope
from graphql_api.model.traffic import TrafficBucket, TrafficInterval
from graphql_api.schema.bundles import Bundle
from graphql_api.schema.connections import (
    AccessRuleConnection,
    FileConnection,
    FileVersionConnection,
    FolderConnection,
    ShareLinkConnection,
)
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import Visibility
from graphql_api.schema.inputs import ABSENT, given, page_request
from graphql_api.schema.links import (
    DEFAULT_LINK_SECONDS,
    Disposition,
    ExpiresIn,
    Filename,
    IpAddress,
    SignedUrl,
    StartsAt,
    link_to,
    name_links,
)
from graphql_api.schema.listing import FileOrderInput
from graphql_api.schema.node import After, Before, First, Last, Node, Timestamped
from graphql_api.schema.quotas import FolderGate, folder_gate
from graphql_api.schema.revocations import LinkRevocation
from graphql_api.schema.scalars import ByteSize, Url
from graphql_api.schema.usage import Interval, Since, Until, UsageBucket

if TYPE_CHECKING:  # these types are about files and folders: strawberry resolves the names when the schema is built
    from graphql_api.schema.decisions import AccessDecision
    from graphql_api.schema.people import User

LazyDecision = Annotated["AccessDecision", strawberry.lazy("graphql_api.schema.decisions")]
LazyUser = Annotated["User", strawberry.lazy("graphql_api.schema.people")]

Action = Annotated[Permission, strawberry.argument(description="The action.")]


@strawberry.type(description="Something that users note about a file.")
class MetadataEntry:
    key: str = strawberry.field(description="Key, 1-64 characters.")
    value: str = strawberry.field(description="Value, at most 1024 characters.")


@strawberry.type(description="What is known about the bytes of a file.")
class FileIntegrity:
    algorithm: ChecksumAlgorithm = strawberry.field(description="How the checksum was computed.")
    value: str = strawberry.field(description="The checksum in hex.")
    evidence: Evidence = strawberry.field(description="Who said what it should be.")


@strawberry.type(
    description="Something stored, with a stable identity. Its bytes are immutable; others come as a new version."
)
class File(Node, Timestamped):
    name: str = strawberry.field(description="Name shown to people, 1-255 characters.")
    size: ByteSize = strawberry.field(description="Length of the content.")
    content_type: str = strawberry.field(description="Media type, such as image/jpeg.")
    sha256: str | None = strawberry.field(
        description="SHA-256 of the content in hex; null unless the uploader announced one and the store verified it."
    )
    altered_at: datetime | None = strawberry.field(
        description="When the store was found to hold other bytes than were uploaded, to which nobody gets a link; new "
        "bytes or another version put it right. Null if it holds these, as far as anybody has looked."
    )

    infected_at: datetime | None = strawberry.field(
        description="When a scanner called these bytes infected, to which nobody gets a link; new bytes or another "
        "version put it right. Null if none has."
    )

    @strawberry.field(
        description="What was verified about the bytes, and how; null if nothing was.",
        graphql_type=FileIntegrity | None,
    )
    async def integrity(self, parent: Parent[nouns.File], info: Info) -> nouns.Integrity | None:
        return await info.context.integrity.load(parent.id)

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
        description="A signed CDN address; null if the viewer may not download it (`access` tells why), or if "
        "`alteredAt` or `infectedAt` is set. Of a bundle it opens the main entry, and what it has after the `?` opens "
        "all others; null as well if `bundle` has a `linkFault`. Never cache it past `expiresAt`.",
        graphql_type=SignedUrl | None,
    )
    def signed_url(
        self,
        parent: Parent[nouns.File],
        info: Info,
        expires_in: ExpiresIn = DEFAULT_LINK_SECONDS,
        starts_at: StartsAt = ABSENT,
        disposition: Disposition = ContentDisposition.INLINE,
        filename: Filename = ABSENT,
        ip_address: IpAddress = ABSENT,
    ) -> Link | Awaitable[Link] | None:
        return link_to(parent, info.context, expires_in, starts_at, disposition, filename, ip_address)

    @strawberry.field(
        description="What it is made of if it is a bundle; null if it is one object.", graphql_type=Bundle | None
    )
    async def bundle(self, parent: Parent[nouns.File], info: Info) -> bundles.Bundle | None:
        return await info.context.bundles.load(parent.id) if bundles.is_bundle_key(parent.object_key) else None

    @strawberry.field(
        description="Lasting address without a signature; null unless the file is published and its copy is there.",
        graphql_type=Url | None,
    )
    async def public_url(self, parent: Parent[nouns.File], info: Info) -> str | None:
        return await info.context.public_addresses.load(parent.id)

    @strawberry.field(
        description="The last time that its links were revoked, while links from before could be alive; null if they "
        "were not, or if the viewer may not SHARE it.",
        graphql_type=LinkRevocation | None,
    )
    async def link_revocation(self, parent: Parent[nouns.File], info: Info) -> revocation.LinkRevocation | None:
        return await info.context.file_revocations.load(parent.id)

    @strawberry.field(description="The bytes that it has and had, the newest first.")
    async def versions(
        self,
        parent: Parent[nouns.File],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> FileVersionConnection:
        request = page_request(first, after, last, before)
        return FileVersionConnection(page=await info.context.versions_of.load((parent.id, request)))

    @strawberry.field(
        description="What the CDN delivered of it, in order of time and without what is empty; null if the viewer may "
        "not SHARE it. Of all versions together, as far as logs are counted.",
        graphql_type=list[UsageBucket] | None,
    )
    async def usage(
        self,
        parent: Parent[nouns.File],
        info: Info,
        since: Since = ABSENT,
        until: Until = ABSENT,
        interval: Interval = TrafficInterval.DAY,
    ) -> Sequence[TrafficBucket] | None:
        span = info.context.services.traffic.span(given(since), given(until), interval)
        return await info.context.usage_of.load((parent.id, span))

    @strawberry.field(description="Labels, by which rules can name it, in alphabetical order.")
    async def labels(self, parent: Parent[nouns.File], info: Info) -> list[str]:
        return list(await info.context.labels.load(parent.id))

    @strawberry.field(description="What users note about it, by key.")
    async def metadata(self, parent: Parent[nouns.File], info: Info) -> list[MetadataEntry]:
        noted = await info.context.metadata.load(parent.id)
        return [MetadataEntry(key=key, value=value) for key, value in sorted(noted.items())]

    @strawberry.field(description="Whether rules let everybody read it, from anywhere and at this moment.")
    async def visibility(self, parent: Parent[nouns.File], info: Info) -> Visibility:
        return Visibility.PUBLIC if await info.context.publicity.load(parent.id) else Visibility.PRIVATE

    @strawberry.field(
        description="Who owns it and may do everything with it; null if the viewer may not see them.",
        graphql_type=LazyUser | None,
    )
    async def owner(self, parent: Parent[nouns.File], info: Info) -> people.User | None:
        return await info.context.users.load(parent.owner_id)

    @strawberry.field(
        description="Whether the viewer may do something with it, and why; null if it is gone meanwhile.",
        graphql_type=LazyDecision | None,
    )
    async def access(self, parent: Parent[nouns.File], info: Info, action: Action = Permission.READ) -> Decision | None:
        return await info.context.decisions.load((parent.id, action))

    @strawberry.field(description="Rules on it and above it that the viewer may see, the newest first.")
    async def access_rules(
        self,
        parent: Parent[nouns.File],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> AccessRuleConnection:
        return await rules_on(info.context, Scope(parent.id), page_request(first, after, last, before))

    @strawberry.field(
        description="Share links that open it, on it or above, and that the viewer may see, the newest first."
    )
    async def share_links(
        self,
        parent: Parent[nouns.File],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> ShareLinkConnection:
        request = page_request(first, after, last, before)
        return ShareLinkConnection(page=await info.context.share_links_on.load((Scope(parent.id), request)))

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
        await name_links(page.nodes, info)
        return FileConnection(page=page, wanted=wanted, is_backward=request.is_backward)

    @strawberry.field(
        description="The last time that its links were revoked, while links from before could be alive; null if they "
        "were not, or if the viewer may not SHARE it.",
        graphql_type=LinkRevocation | None,
    )
    async def link_revocation(self, parent: Parent[nouns.Folder], info: Info) -> revocation.LinkRevocation | None:
        return await info.context.folder_revocations.load(parent.id)

    @strawberry.field(description="What it takes; null if nothing is said here, or if the viewer may not WRITE in it.")
    async def gate(self, parent: Parent[nouns.Folder], info: Info) -> FolderGate | None:
        found = await info.context.gates.load(parent.id)
        return None if found is None else folder_gate(found)

    @strawberry.field(
        description="Whether the viewer may do something with it, and why; null if it is gone meanwhile.",
        graphql_type=LazyDecision | None,
    )
    async def access(
        self, parent: Parent[nouns.Folder], info: Info, action: Action = Permission.READ
    ) -> Decision | None:
        return await info.context.decisions.load((parent.id, action))

    @strawberry.field(description="Rules on it and above it that the viewer may see, the newest first.")
    async def access_rules(
        self,
        parent: Parent[nouns.Folder],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> AccessRuleConnection:
        return await rules_on(info.context, Scope(parent.id), page_request(first, after, last, before))

    @strawberry.field(
        description="Share links that open it, on it or above, and that the viewer may see, the newest first."
    )
    async def share_links(
        self,
        parent: Parent[nouns.Folder],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> ShareLinkConnection:
        request = page_request(first, after, last, before)
        return ShareLinkConnection(page=await info.context.share_links_on.load((Scope(parent.id), request)))

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.Folder)


async def rules_on(context: Context, resource: Scope | None, request: PageRequest) -> AccessRuleConnection:
    """Rules on a resource and above it, or wherever they stand, that the viewer may see."""
    if resource is None:
        page = await context.services.policies.list(context.principal, request)
    else:
        page = await context.rules_on.load((resource, request))
    return AccessRuleConnection(page=page, on=resource)
