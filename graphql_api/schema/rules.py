"""Access rules, and what they stand on."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import file as files
from graphql_api.model import group as people
from graphql_api.model import rule as nouns
from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.principal import Permission
from graphql_api.model.rule import LABEL_PREFIX, ROOT, Effect, is_file, is_label
from graphql_api.schema.context import Context, Info
from graphql_api.schema.ids import file_id, folder_id
from graphql_api.schema.node import Node, Timestamped
from graphql_api.schema.people import AccessSubject, User, find_subject
from graphql_api.schema.types import File, Folder


@strawberry.type(description="Everything: the root of the one tree with all below.")
class Root:
    @strawberry.field(description="The root folder; null if the viewer may not see it.", graphql_type=Folder | None)
    async def folder(self, info: Info) -> files.Folder | None:
        return await info.context.folders.load(ROOT_FOLDER_ID)


@strawberry.type(description="All files with a label.")
class Label:
    name: str = strawberry.field(description="The label.")


AccessResource = Annotated[
    Root | Folder | File | Label, strawberry.union("AccessResource", description="What a rule stands on.")
]


async def find_resource(context: Context, scope: str) -> object | None:
    """The type or noun for a rule's resource, None when the viewer may not see it."""
    if scope == ROOT:
        return Root()
    if is_label(scope):
        return Label(name=scope.removeprefix(LABEL_PREFIX))
    if is_file(scope):
        return await context.files.load(file_id(scope))
    return await context.folders.load(folder_id(scope))


@strawberry.type(description="What a rule that allows READ imposes on links.")
class Obligations:
    @strawberry.field(description="Longest lifetime of a link, in seconds; null for what the service allows.")
    def max_lifetime(self, parent: Parent[nouns.Obligations]) -> int | None:
        return seconds(parent.max_lifetime)

    binds_ip: bool = strawberry.field(description="Links work from the address only that asked for them (IPv4).")
    forces_download: bool = strawberry.field(description="Links download, they do not show in the page.")
    personal_links: bool = strawberry.field(
        description="Links name who asked, opaquely, so that those of one person can be revoked."
    )


@strawberry.type(
    description="Allows or denies permissions. A rule on a folder holds for all below; deny wins over allow."
)
class AccessRule(Node, Timestamped):
    version: int = strawberry.field(description="Counts its changes from 1; changing or deleting it takes this number.")

    @strawberry.field(description="Allow or deny.")
    def effect(self, parent: Parent[nouns.AccessRule]) -> Effect:
        return parent.terms.effect

    @strawberry.field(description="What is allowed or denied.")
    def permissions(self, parent: Parent[nouns.AccessRule]) -> list[Permission]:
        return in_order(parent.terms.permissions)

    @strawberry.field(description="Whom it is about.", graphql_type=AccessSubject)
    async def subject(self, parent: Parent[nouns.AccessRule], info: Info) -> object:
        return await find_subject(info.context, parent.terms.subject)

    @strawberry.field(
        description="What it stands on; null if the viewer may not see that.", graphql_type=AccessResource | None
    )
    async def resource(self, parent: Parent[nouns.AccessRule], info: Info) -> object | None:
        return await find_resource(info.context, parent.terms.resource)

    @strawberry.field(description="From when on it applies; null for always.")
    def starts_at(self, parent: Parent[nouns.AccessRule]) -> datetime | None:
        return parent.terms.starts_at

    @strawberry.field(description="Until when it applies, exclusive; null for ever.")
    def ends_at(self, parent: Parent[nouns.AccessRule]) -> datetime | None:
        return parent.terms.ends_at

    @strawberry.field(description="Applies to requests from these addresses (CIDR, IPv4 or IPv6); empty for any.")
    def ip_ranges(self, parent: Parent[nouns.AccessRule]) -> list[str]:
        return list(parent.terms.ip_ranges)

    @strawberry.field(description="What it imposes on links.", graphql_type=Obligations)
    def obligations(self, parent: Parent[nouns.AccessRule]) -> nouns.Obligations:
        return parent.terms.obligations

    @strawberry.field(
        description="Who made it; null for the system, or if the viewer may not see them.", graphql_type=User | None
    )
    async def made_by(self, parent: Parent[nouns.AccessRule], info: Info) -> people.User | None:
        return None if parent.made_by is None else await info.context.users.load(parent.made_by)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.AccessRule)


def in_order(permissions: frozenset[Permission]) -> list[Permission]:
    return [permission for permission in Permission if permission in permissions]


def seconds(lifetime: timedelta | None) -> int | None:
    return None if lifetime is None else int(lifetime.total_seconds())
