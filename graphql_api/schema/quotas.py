"""Quotas of users and folders, and what folders take."""

import strawberry

from graphql_api.model import quota as nouns
from graphql_api.schema.scalars import ByteSize


@strawberry.type(description="How much may be stored, and how much of it is taken.")
class Quota:
    used: ByteSize = strawberry.field(description="Stored, in all versions of files.")
    reserved: ByteSize = strawberry.field(description="Promised by uploads that are not over.")
    limit: ByteSize | None = strawberry.field(
        description="How much may be used and reserved in all; null: as much as one likes. What is above it stays."
    )
    max_file_size: ByteSize | None = strawberry.field(description="Largest file; null if this does not limit it.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.Quota)


@strawberry.type(description="What a folder takes, with all below it. Gates of folders above hold as well.")
class FolderGate:
    quota: ByteSize | None = strawberry.field(description="How much may be stored below; null: not limited here.")
    used: ByteSize | None = strawberry.field(description="Stored below, in all versions; null if there is no quota.")
    reserved: ByteSize | None = strawberry.field(
        description="Promised by uploads that are not over; null if there is no quota."
    )
    max_file_size: ByteSize | None = strawberry.field(description="Largest file; null: not limited here.")
    allowed_content_types: list[str] | None = strawberry.field(
        description="Types such as image/png and families such as image/*; null: all."
    )


def folder_gate(found: nouns.FolderGate) -> FolderGate:
    gate, quota = found.gate, found.quota
    types = gate.allowed_content_types
    return FolderGate(
        quota=_size(gate.quota),
        used=_size(quota.used if quota else None),
        reserved=_size(quota.reserved if quota else None),
        max_file_size=_size(gate.max_file_size),
        allowed_content_types=None if types is None else list(types),
    )


def _size(size: int | None) -> ByteSize | None:
    return None if size is None else ByteSize(size)
