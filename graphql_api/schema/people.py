"""Whom rules are about: users, groups, and those whom no id names."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import Parent

from graphql_api.model import group as nouns
from graphql_api.model import quota as quotas
from graphql_api.model import revocation
from graphql_api.model.ids import GROUP_PREFIX
from graphql_api.model.page import Page
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, SIGNED_IN, Subject
from graphql_api.schema.connections import Connection
from graphql_api.schema.context import Context, Info
from graphql_api.schema.ids import group_id, user_id
from graphql_api.schema.inputs import ABSENT, page_request
from graphql_api.schema.node import After, Before, First, Last, Node, Timestamped
from graphql_api.schema.quotas import Quota
from graphql_api.schema.revocations import LinkRevocation


@strawberry.type(description="A person or a service.")
class User(Node):
    display_name: str = strawberry.field(description="Name shown to people.")
    has_signed_in: bool = strawberry.field(description="False while only somebody else has named them.")
    created_at: datetime = strawberry.field(description="When they were first seen or named.")

    @strawberry.field(description="E-mail address; null if unknown, or if the viewer may not see it.")
    async def email(self, parent: Parent[nouns.User], info: Info) -> str | None:
        context = info.context
        if parent.id == context.principal.user_id:
            return parent.email
        permissions = await context.permissions.load(context.principal)
        return parent.email if Permission.AUDIT in permissions else None

    @strawberry.field(
        description="How much they may store, and have; null if the viewer may not see it.",
        graphql_type=Quota | None,
    )
    async def quota(self, parent: Parent[nouns.User], info: Info) -> quotas.Quota | None:
        return await info.context.quotas.load(parent.id)

    @strawberry.field(
        description="The last time that their personal links were revoked, while links from before could be alive; "
        "null if they were not, or if the viewer is neither this user nor an administrator.",
        graphql_type=LinkRevocation | None,
    )
    async def link_revocation(self, parent: Parent[nouns.User], info: Info) -> revocation.LinkRevocation | None:
        return await info.context.user_revocations.load(parent.id)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.User)


@strawberry.type(description="A user in a list.")
class UserEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.User = strawberry.field(description="The user.", graphql_type=User)


@strawberry.type(description="Users, a page at a time.")
class UserConnection(Connection):
    page: strawberry.Private[Page[nouns.User]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[UserEdge]:
        return [UserEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[User])
    def nodes(self) -> tuple[nouns.User, ...]:
        return self.page.nodes


@strawberry.type(description="A named set of users.")
class Group(Node, Timestamped):
    name: str = strawberry.field(description="Name; no two groups have the same.")

    @strawberry.field(
        description="Whoever's token names this among their groups belongs to it too; null if there is none, or if the "
        "viewer may not see the group."
    )
    async def claim(self, parent: Parent[nouns.Group], info: Info) -> str | None:
        return parent.claim if await info.context.groups.load(parent.id) else None

    @strawberry.field(
        description="Those who were made members; whom tokens bring in is not listed. Null if the viewer may not see "
        "the group."
    )
    async def members(
        self,
        parent: Parent[nouns.Group],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> UserConnection | None:
        request = page_request(first, after, last, before)
        context = info.context
        if await context.groups.load(parent.id) is None:
            return None
        return UserConnection(page=await context.services.groups.list_members(context.principal, parent.id, request))

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.Group)


@strawberry.type(description="A group in a list.")
class GroupEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.Group = strawberry.field(description="The group.", graphql_type=Group)


@strawberry.type(description="Groups, a page at a time.")
class GroupConnection(Connection):
    page: strawberry.Private[Page[nouns.Group]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[GroupEdge]:
        return [GroupEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[Group])
    def nodes(self) -> tuple[nouns.Group, ...]:
        return self.page.nodes


@strawberry.type(description="Whoever is signed in.")
class SignedIn:
    kind: str = strawberry.field(description="Always SIGNED_IN; a type needs a field.", default="SIGNED_IN")


@strawberry.type(description="Everybody, signed in or not.")
class Anyone:
    kind: str = strawberry.field(description="Always ANYONE; a type needs a field.", default="ANYONE")


AccessSubject = Annotated[
    User | Group | SignedIn | Anyone, strawberry.union("AccessSubject", description="Whom a rule is about.")
]


async def find_subject(context: Context, subject: Subject) -> object:
    """The type or noun for a subject that stands in something the viewer may see, which tells its name."""
    if subject == ANYONE:
        return Anyone()
    if subject == SIGNED_IN:
        return SignedIn()
    if subject.startswith(GROUP_PREFIX):
        return await context.named_groups.load(group_id(subject))
    return await context.named_users.load(user_id(subject))
