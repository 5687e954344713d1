"""What is left to ask for."""

from datetime import datetime

import strawberry

from graphql_api.model import rate as nouns
from graphql_api.schema.context import Info


@strawberry.type(description="Points that a viewer, or an address without one, may spend; they come back evenly.")
class RateLimit:
    cost: int = strawberry.field(description="Points of this request: what reading it costs, and its cost.")
    limit: int = strawberry.field(description="Points a window.")
    remaining: int = strawberry.field(description="Points left.")
    reset_at: datetime = strawberry.field(description="When all points are there again if no more are spent.")


@strawberry.type
class RateLimitQueries:
    @strawberry.field(
        description="Points left in this window, with this request charged; null where none are counted.",
        graphql_type=RateLimit | None,
    )
    def rate_limit(self, info: Info) -> nouns.RateLimit | None:
        return info.context.meter.rate_limit
