"""Object types. Services' nouns are served as they are: ``is_type_of`` says which type a noun is, plain fields read the
noun's attributes, and only what must be computed has a resolver. A page of a hundred files builds nothing.
"""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import delivery, upload
from graphql_api.model import file as nouns
from graphql_api.model.delivery import ContentDisposition, LinkWish
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PutUploadTarget as PutUploadTargetNoun
from graphql_api.model.upload import UploadFailureCode, UploadStatus
from graphql_api.schema.connections import FileConnection, FolderConnection
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, given, page_request
from graphql_api.schema.listing import FileOrderInput
from graphql_api.schema.scalars import ByteSize, Url

DEFAULT_LINK_SECONDS = 3600

First = Annotated[int | None, strawberry.argument(description="Forward page size, 1-100; 20 if neither is given.")]
After = Annotated[str | None, strawberry.argument(description="Start after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="Backward page size, 1-100.")]
Before = Annotated[str | None, strawberry.argument(description="End before this cursor.")]


@strawberry.interface(description="Any object with a global id; ids are opaque, unique across types and never reused.")
class Node:
    id: strawberry.ID = strawberry.field(description="Global id.")


@strawberry.interface(description="Something that was made at a time and can change.")
class Timestamped:
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")


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


@strawberry.type(description="One header.")
class HttpHeader:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.interface(description="Where and how to send bytes.")
class UploadTarget:
    expires_at: datetime = strawberry.field(description="When the target stops accepting bytes.")


@strawberry.type(
    description="Send all bytes in one PUT. It is accepted once: 412 means that the bytes are there, so complete."
)
class PutUploadTarget(UploadTarget):
    url: Url = strawberry.field(description="PUT here.")

    @strawberry.field(
        description="Headers to send exactly as given; they are signed. So is the length, which clients set themselves."
    )
    def headers(self, parent: Parent[PutUploadTargetNoun]) -> list[HttpHeader]:
        return [HttpHeader(name=name, value=value) for name, value in parent.headers]

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, PutUploadTargetNoun)


@strawberry.type(description="Why an upload failed.")
class UploadFailure:
    code: UploadFailureCode = strawberry.field(description="Machine-readable reason.")
    message: str = strawberry.field(description="For people.")


@strawberry.type(description="An upload from reservation to file.")
class Upload(Node, Timestamped):
    status: UploadStatus = strawberry.field(description="Where it stands.")
    filename: str = strawberry.field(description="Name the file will have.")
    size: ByteSize = strawberry.field(description="Announced length.")
    content_type: str = strawberry.field(description="Announced media type.")
    failure: UploadFailure | None = strawberry.field(description="Why it failed; null otherwise.")
    expires_at: datetime = strawberry.field(description="When an unfinished upload is given up.")

    @strawberry.field(
        description="Where to send the bytes, signed anew each time; null once the upload is over.",
        graphql_type=UploadTarget | None,
    )
    async def target(self, parent: Parent[upload.Upload], info: Info) -> PutUploadTargetNoun | None:
        return await info.context.services.uploads.target(parent)

    @strawberry.field(description="The result; null until COMPLETED.", graphql_type=File | None)
    async def file(self, parent: Parent[upload.Upload], info: Info) -> nouns.File | None:
        if parent.status is not UploadStatus.COMPLETED:
            return None
        return await info.context.files.load(parent.file_id)

    @strawberry.field(description="Folder the file goes to; null once the folder is gone.", graphql_type=Folder | None)
    async def folder(self, parent: Parent[upload.Upload], info: Info) -> nouns.Folder | None:
        return None if parent.folder_id is None else await info.context.folders.load(parent.folder_id)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, upload.Upload)


@strawberry.type(description="The authenticated principal.")
class Viewer(Node):
    display_name: str = strawberry.field(description="Name shown to people.")
    is_admin: bool = strawberry.field(description="Whether the viewer may do everything.")

    @strawberry.field(description="Global id.", name="id")
    def id_(self, parent: Parent[Principal]) -> strawberry.ID:
        return strawberry.ID(str(parent.user_id))

    @strawberry.field(description="The viewer's own folder; null if there is none.", graphql_type=Folder | None)
    async def home_folder(self, parent: Parent[Principal], info: Info) -> nouns.Folder | None:
        home = await info.context.services.accounts.find_home(parent)
        return None if home is None else await info.context.folders.load(home)

    @strawberry.field(description="The topmost folders that the viewer may see, by name.")
    async def top_folders(
        self,
        parent: Parent[Principal],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> FolderConnection:
        request = page_request(first, after, last, before)
        return FolderConnection(page=await info.context.services.folders.list_top(parent, request))

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, Principal)
