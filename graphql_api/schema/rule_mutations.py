"""Writes about rules: each takes one change, and answers with what it has left."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_api.model import rule as nouns
from graphql_api.model.rule_change import RuleChange
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import rule_id
from graphql_api.schema.inputs import INPUT, given
from graphql_api.schema.payloads import Payload
from graphql_api.schema.rule_inputs import (
    CreateAccessRuleInput,
    DeleteAccessRuleInput,
    ReplaceAccessRulesInput,
    UpdateAccessRuleInput,
)
from graphql_api.schema.rules import AccessRule


@strawberry.type
class RuleChangePayload(Payload):
    old_links_expire_by: datetime | None = strawberry.field(
        description="Links issued before may work until then for somebody who may no longer read, or gets no more of "
        "them; null when the change does that to nobody.",
        default=None,
    )


@strawberry.type(description="The new rule.")
class CreateAccessRulePayload(RuleChangePayload):
    access_rule: nouns.AccessRule | None = strawberry.field(
        description="The rule; null on error.", default=None, graphql_type=AccessRule | None
    )


@strawberry.type(description="The changed rule.")
class UpdateAccessRulePayload(RuleChangePayload):
    access_rule: nouns.AccessRule | None = strawberry.field(
        description="The rule; null on error.", default=None, graphql_type=AccessRule | None
    )


@strawberry.type(description="The deleted rule.")
class DeleteAccessRulePayload(RuleChangePayload):
    deleted_rule_id: strawberry.ID | None = strawberry.field(
        description="Id of the rule, for caches; null on error.", default=None
    )


@strawberry.type(description="The rules that stand on the resource now.")
class ReplaceAccessRulesPayload(RuleChangePayload):
    access_rules: list[nouns.AccessRule] | None = strawberry.field(
        description="The rules; null on error.", default=None, graphql_type=list[AccessRule] | None
    )


@strawberry.type
class RuleMutations:
    @strawberry.mutation(description="Allow or deny. Needs SHARE on the resource, and what is given away.")
    async def create_access_rule(
        self, info: Info, input: Annotated[CreateAccessRuleInput, INPUT]
    ) -> CreateAccessRulePayload | None:
        context = info.context.for_mutation()

        async def create() -> RuleChange:
            return await context.services.policies.create(
                context.principal, input.wish(), idempotency_key=given(input.idempotency_key)
            )

        change, errors = await attempt(create())
        if change is None:
            return CreateAccessRulePayload(user_errors=errors)
        return CreateAccessRulePayload(access_rule=change.rule, old_links_expire_by=change.old_links_expire_by)

    @strawberry.mutation(description="Change a rule; absent fields stay as they are.")
    async def update_access_rule(
        self, info: Info, input: Annotated[UpdateAccessRuleInput, INPUT]
    ) -> UpdateAccessRulePayload | None:
        context = info.context.for_mutation()

        async def update() -> RuleChange:
            return await context.services.policies.update(
                context.principal,
                rule_id(input.rule_id),
                input.version,
                input.changes(),
                idempotency_key=given(input.idempotency_key),
            )

        change, errors = await attempt(update())
        if change is None:
            return UpdateAccessRulePayload(user_errors=errors)
        return UpdateAccessRulePayload(access_rule=change.rule, old_links_expire_by=change.old_links_expire_by)

    @strawberry.mutation(description="Delete a rule.")
    async def delete_access_rule(
        self, info: Info, input: Annotated[DeleteAccessRuleInput, INPUT]
    ) -> DeleteAccessRulePayload | None:
        context = info.context.for_mutation()
        work = context.services.policies.delete(
            context.principal,
            rule_id(input.rule_id),
            input.version,
            idempotency_key=given(input.idempotency_key),
        )
        change, errors = await attempt(work)
        if change is None:
            return DeleteAccessRulePayload(user_errors=errors)
        return DeleteAccessRulePayload(
            deleted_rule_id=strawberry.ID(rule_id(input.rule_id)), old_links_expire_by=change.old_links_expire_by
        )

    @strawberry.mutation(description="Make these the rules on one resource, all or none; inherited ones stay.")
    async def replace_access_rules(
        self, info: Info, input: Annotated[ReplaceAccessRulesInput, INPUT]
    ) -> ReplaceAccessRulesPayload | None:
        context = info.context.for_mutation()

        async def replace() -> RuleChange:
            return await context.services.policies.replace(
                context.principal,
                input.resource.scope(),
                input.tag,
                input.wishes(),
                idempotency_key=given(input.idempotency_key),
            )

        change, errors = await attempt(replace())
        if change is None:
            return ReplaceAccessRulesPayload(user_errors=errors)
        return ReplaceAccessRulesPayload(
            access_rules=list(change.rules), old_links_expire_by=change.old_links_expire_by
        )
