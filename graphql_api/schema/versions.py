"""Versions of files."""

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import file as nouns
from graphql_api.model import group as people
from graphql_api.model.delivery import ContentDisposition, Link
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT
from graphql_api.schema.links import (
    DEFAULT_LINK_SECONDS,
    Disposition,
    ExpiresIn,
    Filename,
    IpAddress,
    SignedUrl,
    StartsAt,
    link_to,
)
from graphql_api.schema.node import Node
from graphql_api.schema.scalars import ByteSize
from graphql_api.schema.types import File, FileIntegrity

if TYPE_CHECKING:  # strawberry resolves the name when the schema is built
    from graphql_api.schema.people import User

LazyUser = Annotated["User", strawberry.lazy("graphql_api.schema.people")]


@strawberry.type(description="Bytes that a file has or had. They never change.")
class FileVersion(Node):
    number: int = strawberry.field(description="Counts from 1 in each file; no number is used twice.")
    size: ByteSize = strawberry.field(description="Length of the content.")
    content_type: str = strawberry.field(description="Media type, such as image/jpeg.")
    sha256: str | None = strawberry.field(description="SHA-256 in hex; null unless it was announced and verified.")
    integrity: nouns.Integrity | None = strawberry.field(
        description="What was verified about the bytes, and how; null if nothing was.",
        graphql_type=FileIntegrity | None,
    )
    created_at: datetime = strawberry.field(description="When the file got them first.")
    is_current: bool = strawberry.field(description="Whether the file has them now; exactly one version is.")
    altered_at: datetime | None = strawberry.field(
        description="When the store was found to hold others in their place, to which nobody gets a link. Null if it "
        "holds these, as far as anybody has looked."
    )

    @strawberry.field(
        description="Who uploaded them; null if the viewer may not see them.", graphql_type=LazyUser | None
    )
    async def created_by(self, parent: Parent[nouns.FileVersion], info: Info) -> people.User | None:
        return await info.context.users.load(parent.created_by)

    @strawberry.field(description="The file; null if it is gone meanwhile.", graphql_type=File | None)
    async def file(self, parent: Parent[nouns.FileVersion], info: Info) -> nouns.File | None:
        return await info.context.files.load(parent.file_id)

    @strawberry.field(
        description="A signed CDN address of these very bytes, on the terms on which the viewer may download the file; "
        "null if they may not, or if `alteredAt` is set.",
        graphql_type=SignedUrl | None,
    )
    async def signed_url(
        self,
        parent: Parent[nouns.FileVersion],
        info: Info,
        expires_in: ExpiresIn = DEFAULT_LINK_SECONDS,
        starts_at: StartsAt = ABSENT,
        disposition: Disposition = ContentDisposition.INLINE,
        filename: Filename = ABSENT,
        ip_address: IpAddress = ABSENT,
    ) -> Link | None:
        file = await info.context.files.load(parent.file_id)
        if file is None:
            return None
        link = link_to(parent.of(file), info.context, expires_in, starts_at, disposition, filename, ip_address)
        return await link if isinstance(link, Awaitable) else link

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.FileVersion)
