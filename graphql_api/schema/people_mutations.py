"""Writes about groups and users, for administrators."""

from typing import Annotated

import strawberry

from graphql_api.model import group as nouns
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import group_id, user_id
from graphql_api.schema.inputs import ABSENT, INPUT, given
from graphql_api.schema.payloads import Payload
from graphql_api.schema.people import Group, User
from graphql_api.services.groups import UNCHANGED


@strawberry.input(description="A new group.")
class CreateGroupInput:
    name: str = strawberry.field(description="Name, 1-255 characters; no two groups have the same.")
    claim: str | None = strawberry.field(
        description="Whoever's token names this among their groups belongs to it too.", default=ABSENT
    )


@strawberry.type(description="The new group.")
class CreateGroupPayload(Payload):
    group: nouns.Group | None = strawberry.field(
        description="The group; null on error.", default=None, graphql_type=Group | None
    )


@strawberry.input(description="Which group and what to change; absent fields stay as they are.")
class UpdateGroupInput:
    group_id: strawberry.ID = strawberry.field(description="The group.")
    name: str | None = strawberry.field(description="New name.", default=ABSENT)
    claim: str | None = strawberry.field(description="New claim; null for members only.", default=ABSENT)


@strawberry.type(description="The changed group.")
class UpdateGroupPayload(Payload):
    group: nouns.Group | None = strawberry.field(
        description="The group; null on error.", default=None, graphql_type=Group | None
    )


@strawberry.input(description="Which group to delete.")
class DeleteGroupInput:
    group_id: strawberry.ID = strawberry.field(description="The group; one that a rule names is refused.")


@strawberry.type(description="The deleted group.")
class DeleteGroupPayload(Payload):
    deleted_group_id: strawberry.ID | None = strawberry.field(
        description="Id of the group, for caches; null on error.", default=None
    )


@strawberry.input(description="Who comes into a group, and who leaves it; 1-100 of them.")
class ChangeGroupMembersInput:
    group_id: strawberry.ID = strawberry.field(description="The group.")
    add_user_ids: list[strawberry.ID] = strawberry.field(description="Users who come in.", default_factory=list)
    remove_user_ids: list[strawberry.ID] = strawberry.field(description="Users who leave.", default_factory=list)


@strawberry.type(description="The group, whose members are others now.")
class ChangeGroupMembersPayload(Payload):
    group: nouns.Group | None = strawberry.field(
        description="The group; null on error.", default=None, graphql_type=Group | None
    )


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class InviteUserInput:
    email: str | None = strawberry.field(description="Verified e-mail address.", default=ABSENT)
    token_subject: str | None = strawberry.field(description="Subject of their token.", default=ABSENT)


@strawberry.type(description="The user.")
class InviteUserPayload(Payload):
    user: nouns.User | None = strawberry.field(
        description="Who has this address or subject, or will; null on error.", default=None, graphql_type=User | None
    )


@strawberry.type
class PeopleMutations:
    @strawberry.mutation(description="Make a group. Needs ADMINISTER.")
    async def create_group(self, info: Info, input: Annotated[CreateGroupInput, INPUT]) -> CreateGroupPayload | None:
        context = info.context.for_mutation()
        work = context.services.groups.create(context.principal, input.name, claim=given(input.claim))
        group, errors = await attempt(work)
        return CreateGroupPayload(group=group, user_errors=errors)

    @strawberry.mutation(description="Rename a group or change its claim. Needs ADMINISTER.")
    async def update_group(self, info: Info, input: Annotated[UpdateGroupInput, INPUT]) -> UpdateGroupPayload | None:
        context = info.context.for_mutation()
        work = context.services.groups.update(
            context.principal,
            group_id(input.group_id),
            name=given(input.name),
            claim=UNCHANGED if input.claim is ABSENT else input.claim,
        )
        group, errors = await attempt(work)
        return UpdateGroupPayload(group=group, user_errors=errors)

    @strawberry.mutation(description="Delete a group that no rule names. Needs ADMINISTER.")
    async def delete_group(self, info: Info, input: Annotated[DeleteGroupInput, INPUT]) -> DeleteGroupPayload | None:
        context = info.context.for_mutation()
        wanted = group_id(input.group_id)
        _, errors = await attempt(context.services.groups.delete(context.principal, wanted))
        return DeleteGroupPayload(deleted_group_id=None if errors else strawberry.ID(wanted), user_errors=errors)

    @strawberry.mutation(description="Change who is in a group. Needs ADMINISTER.")
    async def change_group_members(
        self, info: Info, input: Annotated[ChangeGroupMembersInput, INPUT]
    ) -> ChangeGroupMembersPayload | None:
        context = info.context.for_mutation()
        work = context.services.groups.change_members(
            context.principal,
            group_id(input.group_id),
            [user_id(id_) for id_ in input.add_user_ids],
            [user_id(id_) for id_ in input.remove_user_ids],
        )
        group, errors = await attempt(work)
        return ChangeGroupMembersPayload(group=group, user_errors=errors)

    @strawberry.mutation(
        description="The user with an e-mail address or token subject, made if they have yet to sign in. Needs "
        "ADMINISTER; who may share names people in rules."
    )
    async def invite_user(self, info: Info, input: Annotated[InviteUserInput, INPUT]) -> InviteUserPayload | None:
        context = info.context.for_mutation()
        work = context.services.people.invite(
            context.principal, email=given(input.email), subject=given(input.token_subject)
        )
        user, errors = await attempt(work)
        return InviteUserPayload(user=user, user_errors=errors)
