"""What was revoked, and whether the edge knows."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import revocation as nouns


@strawberry.type(description="How far a revocation has come.")
class Propagation:
    pending: bool = strawberry.field(description="Whether the CDN is still to be told: until then old links open.")
    confirmed_at: datetime | None = strawberry.field(
        description="When the CDN took it; its edges know some seconds later. Null while it is pending."
    )


@strawberry.type(description="Links that were signed before do not work any more.")
class LinkRevocation:
    revoked_at: datetime = strawberry.field(description="Links signed before are revoked.")
    links_end_by: datetime = strawberry.field(
        description="When the last of them has ended by itself, and the revocation is forgotten."
    )

    @strawberry.field(description="How far it has come.")
    def propagation(self, parent: Parent[nouns.LinkRevocation]) -> Propagation:
        return Propagation(pending=parent.confirmed_at is None, confirmed_at=parent.confirmed_at)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.LinkRevocation)
