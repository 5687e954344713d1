"""Inputs and payloads of the mutations. Each takes one ``input`` and returns its own payload, which may grow."""

from datetime import datetime

import strawberry

from graphql_api.model import file as nouns
from graphql_api.schema.errors import UserError
from graphql_api.schema.inputs import ABSENT
from graphql_api.schema.types import File, Folder

MAX_BULK = 100  # files or uploads that one mutation takes


@strawberry.type
class Payload:
    user_errors: list[UserError] = strawberry.field(
        description="What went wrong; empty on success.", default_factory=list
    )


@strawberry.input(description="Which file and what to change; absent fields stay as they are.")
class UpdateFileInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    name: str | None = strawberry.field(description="New name.", default=ABSENT)
    content_type: str | None = strawberry.field(description="New media type.", default=ABSENT)
    if_unmodified_since: datetime | None = strawberry.field(
        description="Fail if it was changed after this instant (lost-update guard).", default=ABSENT
    )


@strawberry.type(description="The changed file.")
class UpdateFilePayload(Payload):
    file: nouns.File | None = strawberry.field(description="The file.", default=None, graphql_type=File | None)


@strawberry.input(description="Which files, and where to.")
class MoveFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="1-100 files.")
    folder_id: strawberry.ID = strawberry.field(description="The folder.")


@strawberry.type(description="What became of one file.")
class MoveFileResult(Payload):
    file: nouns.File | None = strawberry.field(
        description="The file where it is now; null on error.", default=None, graphql_type=File | None
    )


@strawberry.type(description="One result for each file.")
class MoveFilesPayload(Payload):
    results: list[MoveFileResult] = strawberry.field(description="In the order asked.", default_factory=list)


@strawberry.input(description="Which files to delete for good.")
class DeleteFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="1-100 files.")


@strawberry.type(description="What became of one file.")
class DeleteFileResult(Payload):
    deleted_file_id: strawberry.ID | None = strawberry.field(
        description="Id of the file, for caches; null on error.", default=None
    )


@strawberry.type(description="One result for each file.")
class DeleteFilesPayload(Payload):
    results: list[DeleteFileResult] = strawberry.field(description="In the order asked.", default_factory=list)
    old_links_expire_by: datetime | None = strawberry.field(
        description="Until then at the latest, links that were signed before may open what the CDN has cached; null if "
        "nothing was deleted.",
        default=None,
    )


@strawberry.input(description="Which version of a file to make current again.")
class RestoreFileVersionInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    version_id: strawberry.ID = strawberry.field(description="One of its versions.")


@strawberry.type(description="The file with the bytes that it had.")
class RestoreFileVersionPayload(Payload):
    file: nouns.File | None = strawberry.field(description="The file.", default=None, graphql_type=File | None)


@strawberry.input(description="Which versions of a file to delete for good.")
class DeleteFileVersionsInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    version_ids: list[strawberry.ID] = strawberry.field(description="1-100 of its versions, not the current one.")


@strawberry.type(description="What became of one version.")
class DeleteFileVersionResult(Payload):
    deleted_version_id: strawberry.ID | None = strawberry.field(
        description="Id of the version, for caches; null on error.", default=None
    )


@strawberry.type(description="One result for each version, unless the file itself was refused.")
class DeleteFileVersionsPayload(Payload):
    results: list[DeleteFileVersionResult] = strawberry.field(description="In the order asked.", default_factory=list)
    old_links_expire_by: datetime | None = strawberry.field(
        description="Until then at the latest, links that were signed before may open what the CDN has cached; null if "
        "nothing was deleted.",
        default=None,
    )


@strawberry.input(description="A new folder.")
class CreateFolderInput:
    parent_id: strawberry.ID = strawberry.field(description="Folder above.")
    name: str = strawberry.field(description="Name, 1-255 characters, no slash.")


@strawberry.type(description="The new folder.")
class CreateFolderPayload(Payload):
    folder: nouns.Folder | None = strawberry.field(description="The folder.", default=None, graphql_type=Folder | None)


@strawberry.input(description="Which folder, and what to call it.")
class RenameFolderInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    name: str = strawberry.field(description="New name.")


@strawberry.type(description="The renamed folder.")
class RenameFolderPayload(Payload):
    folder: nouns.Folder | None = strawberry.field(description="The folder.", default=None, graphql_type=Folder | None)


@strawberry.input(description="Which folder, and where to.")
class MoveFolderInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    parent_id: strawberry.ID = strawberry.field(description="The folder that will hold it.")


@strawberry.type(description="The moved folder.")
class MoveFolderPayload(Payload):
    folder: nouns.Folder | None = strawberry.field(description="The folder.", default=None, graphql_type=Folder | None)


@strawberry.input(description="Which folder to delete for good.")
class DeleteFolderInput:
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    is_recursive: bool = strawberry.field(
        description="Delete all below as well; a folder that is not empty is refused otherwise.", default=False
    )


@strawberry.type(description="The deleted folder.")
class DeleteFolderPayload(Payload):
    deleted_folder_id: strawberry.ID | None = strawberry.field(
        description="Id of the folder, for caches.", default=None
    )
    old_links_expire_by: datetime | None = strawberry.field(
        description="Until then at the latest, links that were signed before may open what the CDN has cached; null if "
        "nothing was deleted.",
        default=None,
    )


@strawberry.input(description="Which file, and its labels; at most 20 stay on it.")
class ChangeFileLabelsInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    add: list[str] = strawberry.field(description="Labels that it has afterwards.", default_factory=list)
    remove: list[str] = strawberry.field(description="Labels that it has no longer.", default_factory=list)


@strawberry.type(description="The labelled file.")
class ChangeFileLabelsPayload(Payload):
    file: nouns.File | None = strawberry.field(
        description="The file; null on error, or if the viewer may no longer see it.",
        default=None,
        graphql_type=File | None,
    )


@strawberry.input(description="A key and its value.")
class MetadataEntryInput:
    key: str = strawberry.field(description="1-64 letters, digits and _ . : / - between them.")
    value: str = strawberry.field(description="At most 1024 characters.")


@strawberry.input(description="Which file, and what to note; at most 50 entries stay on it.")
class ChangeFileMetadataInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")
    set: list[MetadataEntryInput] = strawberry.field(description="What is noted afterwards.", default_factory=list)
    remove: list[str] = strawberry.field(description="Keys that are forgotten.", default_factory=list)


@strawberry.type(description="The file with its metadata.")
class ChangeFileMetadataPayload(Payload):
    file: nouns.File | None = strawberry.field(description="The file.", default=None, graphql_type=File | None)
