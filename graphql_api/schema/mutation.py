"""Writes: each resolver unpacks its input, calls one use case and wraps what it gives."""

from functools import partial
from typing import Annotated

import strawberry

from graphql_api.schema.bundle_mutations import BundleMutations
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError, attempt, too_many, user_errors
from graphql_api.schema.ids import file_id, folder_id
from graphql_api.schema.inputs import INPUT, given
from graphql_api.schema.payloads import (
    MAX_BULK,
    ChangeFileLabelsInput,
    ChangeFileLabelsPayload,
    ChangeFileMetadataInput,
    ChangeFileMetadataPayload,
    CreateFolderInput,
    CreateFolderPayload,
    DeleteFileResult,
    DeleteFilesInput,
    DeleteFilesPayload,
    DeleteFolderInput,
    DeleteFolderPayload,
    MoveFileResult,
    MoveFilesInput,
    MoveFilesPayload,
    MoveFolderInput,
    MoveFolderPayload,
    RenameFolderInput,
    RenameFolderPayload,
    UpdateFileInput,
    UpdateFilePayload,
)
from graphql_api.schema.people_mutations import PeopleMutations
from graphql_api.schema.publication_mutations import PublicationMutations
from graphql_api.schema.quota_mutations import QuotaMutations
from graphql_api.schema.revocation_mutations import RevocationMutations
from graphql_api.schema.rule_mutations import RuleMutations
from graphql_api.schema.share_links import ShareLinkMutations
from graphql_api.schema.signing_keys import SigningKeyMutations
from graphql_api.schema.upload_mutations import UploadMutations
from graphql_api.schema.version_mutations import VersionMutations


def _at(index: int, errors: list[UserError]) -> list[UserError]:
    """Say which entry of a bulk mutation's ``fileIds`` was at fault, where a service can only say ``fileId``."""
    for error in errors:
        if error.path == ["input", "fileId"]:
            error.path = ["input", "fileIds", str(index)]
    return errors


@strawberry.type(
    description="Writes. Each takes one `input` and returns its own payload; expected failures are in `userErrors`."
)
class Mutation(
    BundleMutations,
    PeopleMutations,
    PublicationMutations,
    QuotaMutations,
    RevocationMutations,
    RuleMutations,
    ShareLinkMutations,
    SigningKeyMutations,
    UploadMutations,
    VersionMutations,
):
    @strawberry.mutation(
        description="Rename a file or change the type its bytes are delivered as; other versions keep theirs."
    )
    async def update_file(self, info: Info, input: Annotated[UpdateFileInput, INPUT]) -> UpdateFilePayload | None:
        context = info.context.for_mutation()
        file, errors = await attempt(
            context.services.files.update(
                context.principal,
                file_id(input.file_id),
                name=given(input.name),
                content_type=given(input.content_type),
                if_unmodified_since=given(input.if_unmodified_since),
            )
        )
        return UpdateFilePayload(file=file, user_errors=errors)

    @strawberry.mutation(description="Move up to 100 files to a folder; each stands alone.")
    async def move_files(self, info: Info, input: Annotated[MoveFilesInput, INPUT]) -> MoveFilesPayload | None:
        if (fault := too_many("fileIds", input.file_ids, MAX_BULK)) is not None:
            return MoveFilesPayload(user_errors=user_errors(fault))
        context = info.context.for_mutation()
        results = []
        for index, id_ in enumerate(input.file_ids):
            work = context.services.files.move(context.principal, file_id(id_), folder_id(input.folder_id))
            file, errors = await attempt(work)
            results.append(MoveFileResult(file=file, user_errors=_at(index, errors)))
        return MoveFilesPayload(results=results)

    @strawberry.mutation(description="Delete up to 100 files for good; links to them end with the next cache miss.")
    async def delete_files(self, info: Info, input: Annotated[DeleteFilesInput, INPUT]) -> DeleteFilesPayload | None:
        if (fault := too_many("fileIds", input.file_ids, MAX_BULK)) is not None:
            return DeleteFilesPayload(user_errors=user_errors(fault))
        context = info.context.for_mutation()
        delete = partial(context.services.files.delete, context.principal, [file_id(id_) for id_ in input.file_ids])
        done, errors = await attempt(context.services.revocations.and_links_end(delete))
        outcomes, links_end = done or ((), None)
        results = [
            DeleteFileResult(deleted_file_id=strawberry.ID(outcome))
            if isinstance(outcome, str)
            else DeleteFileResult(user_errors=_at(index, user_errors(outcome)))
            for index, outcome in enumerate(outcomes)
        ]
        return DeleteFilesPayload(
            results=results,
            old_links_expire_by=links_end if any(result.deleted_file_id for result in results) else None,
            user_errors=errors,
        )

    @strawberry.mutation(description="Make a folder.")
    async def create_folder(self, info: Info, input: Annotated[CreateFolderInput, INPUT]) -> CreateFolderPayload | None:
        context = info.context.for_mutation()
        work = context.services.folders.create(context.principal, folder_id(input.parent_id), input.name)
        folder, errors = await attempt(work)
        return CreateFolderPayload(folder=folder, user_errors=errors)

    @strawberry.mutation(description="Rename a folder.")
    async def rename_folder(self, info: Info, input: Annotated[RenameFolderInput, INPUT]) -> RenameFolderPayload | None:
        context = info.context.for_mutation()
        work = context.services.folders.rename(context.principal, folder_id(input.folder_id), input.name)
        folder, errors = await attempt(work)
        return RenameFolderPayload(folder=folder, user_errors=errors)

    @strawberry.mutation(description="Move a folder with all below.")
    async def move_folder(self, info: Info, input: Annotated[MoveFolderInput, INPUT]) -> MoveFolderPayload | None:
        context = info.context.for_mutation()
        work = context.services.folders.move(context.principal, folder_id(input.folder_id), folder_id(input.parent_id))
        folder, errors = await attempt(work)
        return MoveFolderPayload(folder=folder, user_errors=errors)

    @strawberry.mutation(description="Delete a folder; links to files below end with the next cache miss.")
    async def delete_folder(self, info: Info, input: Annotated[DeleteFolderInput, INPUT]) -> DeleteFolderPayload | None:
        context = info.context.for_mutation()
        delete = partial(
            context.services.folders.delete,
            context.principal,
            folder_id(input.folder_id),
            is_recursive=input.is_recursive,
        )
        done, errors = await attempt(context.services.revocations.and_links_end(delete))
        return DeleteFolderPayload(
            deleted_folder_id=None if done is None else strawberry.ID(done[0]),
            old_links_expire_by=None if done is None else done[1],
            user_errors=errors,
        )

    @strawberry.mutation(description="Give a file labels and take some away. Where rules name them, needs SHARE too.")
    async def change_file_labels(
        self, info: Info, input: Annotated[ChangeFileLabelsInput, INPUT]
    ) -> ChangeFileLabelsPayload | None:
        context = info.context.for_mutation()
        work = context.services.notes.change_labels(context.principal, file_id(input.file_id), input.add, input.remove)
        file, errors = await attempt(work)
        return ChangeFileLabelsPayload(file=file, user_errors=errors)

    @strawberry.mutation(description="Note something about a file, and forget something.")
    async def change_file_metadata(
        self, info: Info, input: Annotated[ChangeFileMetadataInput, INPUT]
    ) -> ChangeFileMetadataPayload | None:
        context = info.context.for_mutation()
        work = context.services.notes.change_metadata(
            context.principal,
            file_id(input.file_id),
            {entry.key: entry.value for entry in input.set},
            input.remove,
        )
        file, errors = await attempt(work)
        return ChangeFileMetadataPayload(file=file, user_errors=errors)
