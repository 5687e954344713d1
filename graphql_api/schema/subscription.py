"""What happens, as it happens. Each event is resolved anew, with the viewer's rights at that moment."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, TypeVar

import strawberry

from graphql_api.model.file import File as FileNoun
from graphql_api.model.file import Folder as FolderNoun
from graphql_api.model.rule import is_file, is_folder
from graphql_api.model.signal import FolderChange, FolderEvent, UploadProgress
from graphql_api.model.upload import Upload as UploadNoun
from graphql_api.model.upload import UploadStatus
from graphql_api.schema.context import Context, Info
from graphql_api.schema.ids import folder_id as id_of_folder
from graphql_api.schema.ids import upload_id as id_of_upload
from graphql_api.schema.types import File, Folder
from graphql_api.schema.uploads import Upload

E = TypeVar("E")
P = TypeVar("P")


@strawberry.type(description="A change of an upload.")
class UploadStatusChangedPayload:
    upload: UploadNoun = strawberry.field(description="The upload now.", graphql_type=Upload)
    previous_status: UploadStatus | None = strawberry.field(
        description="What this subscription told before; null at first."
    )


@strawberry.type(description="A change in a folder.")
class FolderContentsChangedPayload:
    action: FolderChange = strawberry.field(description="What happened.")
    file: FileNoun | None = strawberry.field(
        description="The file now; null when it is gone, or went where the viewer may not see it.",
        graphql_type=File | None,
    )
    file_id: strawberry.ID | None = strawberry.field(description="Its id; null unless it happened to a file.")
    subfolder: FolderNoun | None = strawberry.field(
        description="The folder now; null when it is gone, or went where the viewer may not see it.",
        graphql_type=Folder | None,
    )
    subfolder_id: strawberry.ID | None = strawberry.field(description="Its id; null unless it happened to a folder.")


@strawberry.type(
    description="Live changes, over WebSocket (graphql-transport-ws) or server-sent events. A subscription about"
    " something hidden or absent fails with NOT_FOUND; it completes when the viewer may not see it any more."
)
class Subscription:
    @strawberry.subscription(
        description="The upload at once, and again whenever its status is another. Completes when the upload is over."
    )
    async def upload_status_changed(
        self, info: Info, upload_id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> AsyncIterator[UploadStatusChangedPayload]:
        context = info.context
        progress = await context.services.live.upload_progress(context.principal, id_of_upload(upload_id))
        return _told(context, progress, _upload_payload)

    @strawberry.subscription(
        description="Files and folders created, changed or removed directly in a folder. The first event is REFRESH:"
        " whoever reads the folder after it misses nothing. Completes when the folder is deleted."
    )
    async def folder_contents_changed(
        self, info: Info, folder_id: Annotated[strawberry.ID, strawberry.argument(description="The folder.")]
    ) -> AsyncIterator[FolderContentsChangedPayload]:
        context = info.context
        events = await context.services.live.folder_events(context.principal, id_of_folder(folder_id))
        return _told(context, events, _folder_payload)


async def _told(context: Context, events: AsyncGenerator[E], payload: Callable[[E], P]) -> AsyncGenerator[P]:
    """Each event costs what the operation does; the first was charged with it.

    Raises: RateLimited: no points are left for the next, so it is the end.
    """
    is_first = True
    async with aclosing(events):
        async for event in events:
            if not is_first:
                await context.meter.charge_event()
            is_first = False
            context.forget()  # what was loaded for the event before may be true no longer
            context.limit_event()
            yield payload(event)


def _upload_payload(progress: UploadProgress) -> UploadStatusChangedPayload:
    return UploadStatusChangedPayload(upload=progress.upload, previous_status=progress.previous_status)


def _folder_payload(event: FolderEvent) -> FolderContentsChangedPayload:
    id_, entry = event.entry_id, event.entry
    return FolderContentsChangedPayload(
        action=event.change,
        file=entry if isinstance(entry, FileNoun) else None,
        file_id=strawberry.ID(id_) if id_ is not None and is_file(id_) else None,
        subfolder=entry if isinstance(entry, FolderNoun) else None,
        subfolder_id=strawberry.ID(id_) if id_ is not None and is_folder(id_) else None,
    )
