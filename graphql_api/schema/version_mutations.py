"""Writes about versions of files."""

from functools import partial
from typing import Annotated

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt, too_many, user_errors
from graphql_api.schema.ids import file_id, version_id
from graphql_api.schema.inputs import INPUT
from graphql_api.schema.payloads import (
    MAX_BULK,
    DeleteFileVersionResult,
    DeleteFileVersionsInput,
    DeleteFileVersionsPayload,
    RestoreFileVersionInput,
    RestoreFileVersionPayload,
)


@strawberry.type
class VersionMutations:
    @strawberry.mutation(
        description="Make an old version of a file current again. The one that was stays; no bytes are copied."
    )
    async def restore_file_version(
        self, info: Info, input: Annotated[RestoreFileVersionInput, INPUT]
    ) -> RestoreFileVersionPayload | None:
        context = info.context.for_mutation()
        work = context.services.versions.restore(
            context.principal, file_id(input.file_id), version_id(input.version_id)
        )
        file, errors = await attempt(work)
        return RestoreFileVersionPayload(file=file, user_errors=errors)

    @strawberry.mutation(
        description="Delete up to 100 old versions of a file for good; links to them end with the next cache miss."
    )
    async def delete_file_versions(
        self, info: Info, input: Annotated[DeleteFileVersionsInput, INPUT]
    ) -> DeleteFileVersionsPayload | None:
        if (fault := too_many("versionIds", input.version_ids, MAX_BULK)) is not None:
            return DeleteFileVersionsPayload(user_errors=user_errors(fault))
        context = info.context.for_mutation()
        delete = partial(
            context.services.versions.delete,
            context.principal,
            file_id(input.file_id),
            [version_id(id_) for id_ in input.version_ids],
        )
        done, errors = await attempt(context.services.revocations.and_links_end(delete))
        outcomes, links_end = done or ((), None)
        results = [
            DeleteFileVersionResult(deleted_version_id=strawberry.ID(outcome))
            if isinstance(outcome, str)
            else DeleteFileVersionResult(user_errors=user_errors(outcome))
            for outcome in outcomes
        ]
        return DeleteFileVersionsPayload(
            results=results,
            old_links_expire_by=links_end if any(result.deleted_version_id for result in results) else None,
            user_errors=errors,
        )
