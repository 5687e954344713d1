"""Reads. Root fields are nullable so that one failing does not blank the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

import strawberry

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model import file as nouns
from graphql_api.model.ids import (
    EVENT_PREFIX,
    FILE_PREFIX,
    FOLDER_PREFIX,
    GROUP_PREFIX,
    ROOT_FOLDER_ID,
    RULE_PREFIX,
    SHARE_LINK_PREFIX,
    SIGNING_KEY_PREFIX,
    UPLOAD_PREFIX,
    USER_PREFIX,
    VERSION_PREFIX,
    well_formed,
)
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.names import name_fault, normalized_name
from graphql_api.model.principal import Principal
from graphql_api.model.upload import UploadStatus
from graphql_api.schema.access_queries import AccessQueries
from graphql_api.schema.connections import FileConnection, UploadConnection
from graphql_api.schema.context import Context, Info
from graphql_api.schema.ids import file_id, folder_id
from graphql_api.schema.inputs import ABSENT, given, page_request
from graphql_api.schema.links import name_links
from graphql_api.schema.listing import FileFilterInput, FileOrderInput, search_words
from graphql_api.schema.node import After, Before, First, Last, Node
from graphql_api.schema.rate_limits import RateLimitQueries
from graphql_api.schema.share_links import ShareLinkQueries
from graphql_api.schema.signing_keys import SigningKeyQueries
from graphql_api.schema.top_files import TopFileQueries
from graphql_api.schema.types import File, Folder
from graphql_api.schema.uploads import UploadFingerprint
from graphql_api.schema.viewer import Viewer

MAX_NODES = 100


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class FileLocator:
    id: strawberry.ID | None = strawberry.field(description="Global id.", default=ABSENT)
    path: str | None = strawberry.field(description="Path as the viewer sees the tree.", default=ABSENT)


@strawberry.type(description="Reads. Root fields are nullable so that one failing does not blank the others.")
class Query(AccessQueries, RateLimitQueries, ShareLinkQueries, SigningKeyQueries, TopFileQueries):
    @strawberry.field(description="Who is asking; null without credentials.", graphql_type=Viewer | None)
    def viewer(self, info: Info) -> Principal | None:
        return info.context.principal if info.context.principal.user_id else None

    @strawberry.field(
        description="Any object by global id; null when it does not exist or the viewer may not know that it does.",
        graphql_type=Node | None,
    )
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Global id.")]
    ) -> object | None:
        return (await _find_nodes(info.context, [id]))[0]

    @strawberry.field(
        description="Up to 100 objects by global id, in the order asked; null in the place of an unknown one.",
        graphql_type=list[Node | None],
    )
    async def nodes(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Global ids.")]
    ) -> list[object | None]:
        if len(ids) > MAX_NODES:
            raise InvalidInput(InputFault(f"ids takes at most {MAX_NODES} entries", ("ids",)))
        return await _find_nodes(info.context, ids)

    @strawberry.field(description="One file, by id or by path.", graphql_type=File | None)
    async def file(
        self, info: Info, by: Annotated[FileLocator, strawberry.argument(description="Exactly one way to name it.")]
    ) -> nouns.File | None:
        id_, path = given(by.id), given(by.path)
        if id_ is not None:
            return await info.context.files.load(file_id(id_))
        return await _find_by_path(info.context, path or "")

    @strawberry.field(
        description="One folder; the root of the one tree when no id is given.", graphql_type=Folder | None
    )
    async def folder(
        self, info: Info, id: Annotated[strawberry.ID | None, strawberry.argument(description="Global id.")] = ABSENT
    ) -> nouns.Folder | None:
        id_ = given(id)
        return await info.context.folders.load(ROOT_FOLDER_ID if id_ is None else folder_id(id_))

    @strawberry.field(description="Files the viewer may see, in any folder. At most 100 a page.")
    async def files(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        filter: Annotated[FileFilterInput | None, strawberry.argument(description="Narrow the list.")] = ABSENT,
        order_by: Annotated[
            FileOrderInput | None, strawberry.argument(description="Order; the newest first if absent.")
        ] = ABSENT,
        search: Annotated[
            str | None,
            strawberry.argument(description="Words in the name, or their beginnings, all of them and in any order."),
        ] = ABSENT,
    ) -> FileConnection | None:
        request = page_request(first, after, last, before)
        wanted, order = given(filter), given(order_by)
        chosen = replace(wanted.noun() if wanted else FileFilter(), words=search_words(given(search)))
        page = await info.context.services.files.list(
            info.context.principal, chosen, order.noun() if order else FileOrder(), request
        )
        await name_links(page.nodes, info)
        return FileConnection(page=page, wanted=chosen, is_backward=request.is_backward)

    @strawberry.field(description="Uploads of the viewer, the newest first.")
    async def uploads(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        status: Annotated[
            list[UploadStatus] | None, strawberry.argument(description="Only these states; all if absent.")
        ] = ABSENT,
        fingerprint: Annotated[
            UploadFingerprint | None,
            strawberry.argument(description="Only those of this very content, such as to go on after a crash."),
        ] = ABSENT,
    ) -> UploadConnection | None:
        request = page_request(first, after, last, before)
        context, wanted = info.context, given(fingerprint)
        page = await context.services.uploads.list(
            context.principal, request, given(status) or (), None if wanted is None else wanted.noun()
        )
        return UploadConnection(page=page)


async def _find_nodes(context: Context, ids: list[strawberry.ID]) -> list[object | None]:
    """In the order asked: one look-up for each type among the ids, whether they exist or not."""
    services, principal = context.services, context.principal
    finders: dict[str, Callable[[Principal, Any], Awaitable[Mapping[Any, object]]]] = {
        FILE_PREFIX: services.files.find,
        FOLDER_PREFIX: services.folders.find,
        UPLOAD_PREFIX: services.uploads.find,
        RULE_PREFIX: services.policies.find,
        GROUP_PREFIX: services.groups.find,
        USER_PREFIX: services.people.find,
        EVENT_PREFIX: services.audit_log.find,
        VERSION_PREFIX: services.versions.find,
        SHARE_LINK_PREFIX: services.share_links.find,
        SIGNING_KEY_PREFIX: services.signing_keys.find,
    }
    found: dict[str, object] = {}
    for prefix, find in finders.items():
        wanted = [well_formed(id_, prefix) for id_ in ids if id_.startswith(prefix)]
        if wanted:
            found |= await find(principal, wanted)
    if principal.user_id is not None:
        found[principal.user_id] = principal  # a Viewer shows more of oneself than a User
    return [found.get(id_) for id_ in ids]


async def _find_by_path(context: Context, path: str) -> nouns.File | None:
    *folders, name = [normalized_name(part) for part in path.removeprefix("/").split("/")]
    if any(name_fault(part) for part in (*folders, name)):
        return None
    folder = await context.services.folders.find_by_path(context.principal, folders)
    if folder is None:
        return None
    return await context.services.files.find_in(context.principal, folder.id, name)
