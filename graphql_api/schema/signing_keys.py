"""Keys that sign links, for administrators."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_api.model import signing_key as nouns
from graphql_api.model.signing_key import KeyStatus
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import signing_key_id
from graphql_api.schema.inputs import ABSENT, INPUT, given
from graphql_api.schema.node import Node
from graphql_api.schema.payloads import Payload
from graphql_api.schema.rule_inputs import REPLAY


@strawberry.type(description="A key that signs, has signed or is to sign links.")
class SigningKey(Node):
    key_pair_id: str = strawberry.field(description="Public id at the CDN.")
    status: KeyStatus = strawberry.field(description="State.")
    created_at: datetime = strawberry.field(description="When it was added.")
    activated_at: datetime | None = strawberry.field(description="When it began to sign; null if it never did.")
    retires_at: datetime | None = strawberry.field(
        description="When the last link that it signed has ended, or would have; null before another takes over."
    )
    retired_at: datetime | None = strawberry.field(description="When it went out of use; null if it has not.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.KeyEntry)


@strawberry.input(description="Which key takes over, and why.")
class RotateSigningKeyInput:
    reason: str = strawberry.field(description="For the audit log; 1-500 characters.")
    signing_key_id: strawberry.ID | None = strawberry.field(
        description="A PENDING key; absent: the only one that there is.", default=ABSENT
    )
    is_immediate: bool = strawberry.field(
        description="Retire the old key at once, so that it can be taken from the CDN. That breaks every link that it "
        "signed; `retiringKey.retiresAt` says until when these would have lived. A key that is RETIRING already is "
        "retired with `graphql-api keys retire`.",
        default=False,
    )
    idempotency_key: str | None = strawberry.field(description=REPLAY, default=ABSENT)


@strawberry.type(description="The key that signs now, and the one that did.")
class RotateSigningKeyPayload(Payload):
    active_key: nouns.KeyEntry | None = strawberry.field(
        description="The new key; null on error.", default=None, graphql_type=SigningKey | None
    )
    retiring_key: nouns.KeyEntry | None = strawberry.field(
        description="The old key; null if there was none, or on error.", default=None, graphql_type=SigningKey | None
    )


@strawberry.type
class SigningKeyQueries:
    @strawberry.field(
        description="Keys that sign links, the oldest first. Needs ADMINISTER.",
        graphql_type=list[SigningKey] | None,
    )
    async def signing_keys(self, info: Info) -> list[nouns.KeyEntry]:
        return [*await info.context.services.signing_keys.list(info.context.principal)]


@strawberry.type
class SigningKeyMutations:
    @strawberry.mutation(
        description="Let a PENDING key sign links, once the CDN has let one through that it signed. Links of the old "
        "key live until they end. Needs ADMINISTER."
    )
    async def rotate_signing_key(
        self, info: Info, input: Annotated[RotateSigningKeyInput, INPUT]
    ) -> RotateSigningKeyPayload | None:
        context, wanted = info.context.for_mutation(), given(input.signing_key_id)
        work = context.services.signing_keys.rotate(
            context.principal,
            None if wanted is None else signing_key_id(wanted),
            reason=input.reason,
            is_immediate=input.is_immediate,
            idempotency_key=given(input.idempotency_key),
        )
        rotation, errors = await attempt(work)
        if rotation is None:
            return RotateSigningKeyPayload(user_errors=errors)
        return RotateSigningKeyPayload(active_key=rotation.active, retiring_key=rotation.retiring)
