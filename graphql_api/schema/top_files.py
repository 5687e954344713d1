"""The busiest files."""

from collections.abc import Sequence
from typing import Annotated, Final

import strawberry

from graphql_api.model import file as nouns
from graphql_api.model.traffic import BusyFile, TrafficOrder
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, given
from graphql_api.schema.scalars import ByteSize
from graphql_api.schema.types import File
from graphql_api.schema.usage import Since, Until

DEFAULT_TOP: Final = 10

Top = Annotated[int, strawberry.argument(description="How many, 1-100.")]
Order = Annotated[TrafficOrder, strawberry.argument(description="What the first has most of.")]


@strawberry.type(description="A file, and what the CDN delivered of it in the days asked for.")
class TopFile:
    file: nouns.File = strawberry.field(description="The file.", graphql_type=File)
    downloads: int = strawberry.field(description="As in `UsageBucket`.")
    delivered_bytes: ByteSize = strawberry.field(description="All bytes sent, headers and errors included.")

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, BusyFile)


@strawberry.type
class TopFileQueries:
    @strawberry.field(
        description="The files of all users of which most was delivered, the busiest first. Needs AUDIT; one's own are "
        "in `viewer`.",
        graphql_type=list[TopFile] | None,
    )
    async def top_files(
        self,
        info: Info,
        since: Since = ABSENT,
        until: Until = ABSENT,
        first: Top = DEFAULT_TOP,
        order_by: Order = TrafficOrder.DOWNLOADS,
    ) -> Sequence[BusyFile] | None:
        traffic = info.context.services.traffic
        return await traffic.busiest(info.context.principal, traffic.span(given(since), given(until)), order_by, first)
