"""What was delivered, in buckets of time."""

from datetime import date
from typing import Annotated

import strawberry

from graphql_api.model import traffic as nouns
from graphql_api.model.traffic import TrafficInterval
from graphql_api.schema.scalars import ByteSize

Since = Annotated[
    date | None, strawberry.argument(description="First day (UTC); 30 days before `until` if absent. At most 366 days.")
]
Until = Annotated[date | None, strawberry.argument(description="First day after them; tomorrow if absent.")]
Interval = Annotated[TrafficInterval, strawberry.argument(description="Width of a bucket.")]


@strawberry.type(description="What the CDN delivered in a day or a month.")
class UsageBucket:
    starts_on: date = strawberry.field(
        description="First day (UTC). Of a month at an end of the days asked for, only these count."
    )
    downloads: int = strawberry.field(
        description="Answers that began at the first byte; a broken-off and resumed one is one, and so is a film that "
        "is fetched in ranges. Of a bundle those of its main entry."
    )
    delivered_bytes: ByteSize = strawberry.field(description="All bytes sent, headers and errors included.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.TrafficBucket)
