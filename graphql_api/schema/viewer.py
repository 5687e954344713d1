"""Who asks."""

from collections.abc import Sequence

import strawberry
from strawberry import Parent

from graphql_api.model import file as nouns
from graphql_api.model import group as people
from graphql_api.model import quota as quotas
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.traffic import BusyFile, TrafficBucket, TrafficInterval, TrafficOrder
from graphql_api.schema.connections import FolderConnection
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, given, page_request
from graphql_api.schema.node import After, Before, First, Last, Node
from graphql_api.schema.people import GroupConnection, User
from graphql_api.schema.quotas import Quota
from graphql_api.schema.rules import in_order
from graphql_api.schema.top_files import DEFAULT_TOP, Order, Top, TopFile
from graphql_api.schema.types import Folder
from graphql_api.schema.usage import Interval, Since, Until, UsageBucket


@strawberry.type(description="The authenticated principal.")
class Viewer(Node):
    display_name: str = strawberry.field(description="Name shown to people.")

    @strawberry.field(description="Global id.", name="id")
    def id_(self, parent: Parent[Principal]) -> strawberry.ID:
        return strawberry.ID(str(parent.user_id))

    @strawberry.field(description="Whether the viewer may do everything.")
    async def is_admin(self, parent: Parent[Principal], info: Info) -> bool:
        return Permission.ADMINISTER in await info.context.permissions.load(parent)

    @strawberry.field(description="What the viewer may do everywhere; rules may allow more in places.")
    async def permissions(self, parent: Parent[Principal], info: Info) -> list[Permission]:
        return in_order(await info.context.permissions.load(parent))

    @strawberry.field(description="The viewer as others see them.", graphql_type=User)
    async def user(self, parent: Parent[Principal], info: Info) -> people.User | None:
        assert parent.user_id is not None, "the anonymous principal is no viewer"
        return await info.context.users.load(parent.user_id)

    @strawberry.field(description="How much the viewer may store, and has.", graphql_type=Quota)
    async def quota(self, parent: Parent[Principal], info: Info) -> quotas.Quota | None:
        assert parent.user_id is not None, "the anonymous principal is no viewer"
        return await info.context.quotas.load(parent.user_id)

    @strawberry.field(
        description="What the CDN delivered of all the viewer's files, also of those that have gone since; in order of "
        "time and without what is empty.",
        graphql_type=list[UsageBucket],
    )
    async def usage(
        self,
        parent: Parent[Principal],
        info: Info,
        since: Since = ABSENT,
        until: Until = ABSENT,
        interval: Interval = TrafficInterval.DAY,
    ) -> Sequence[TrafficBucket]:
        traffic = info.context.services.traffic
        return await traffic.of_viewer(parent, traffic.span(given(since), given(until), interval))

    @strawberry.field(
        description="The viewer's files of which most was delivered, the busiest first.", graphql_type=list[TopFile]
    )
    async def top_files(
        self,
        parent: Parent[Principal],
        info: Info,
        since: Since = ABSENT,
        until: Until = ABSENT,
        first: Top = DEFAULT_TOP,
        order_by: Order = TrafficOrder.DOWNLOADS,
    ) -> Sequence[BusyFile]:
        traffic = info.context.services.traffic
        return await traffic.busiest_own(parent, traffic.span(given(since), given(until)), order_by, first)

    @strawberry.field(description="Groups that the viewer belongs to, by name.")
    async def groups(
        self,
        parent: Parent[Principal],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> GroupConnection:
        request = page_request(first, after, last, before)
        return GroupConnection(page=await info.context.services.groups.list_own(parent, request))

    @strawberry.field(description="The viewer's own folder; null if there is none.", graphql_type=Folder | None)
    async def home_folder(self, parent: Parent[Principal], info: Info) -> nouns.Folder | None:
        home = await info.context.services.accounts.find_home(parent)
        return None if home is None else await info.context.folders.load(home)

    @strawberry.field(description="The topmost folders that the viewer may see, by name.")
    async def top_folders(
        self,
        parent: Parent[Principal],
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
    ) -> FolderConnection:
        request = page_request(first, after, last, before)
        return FolderConnection(page=await info.context.services.folders.list_top(parent, request))

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, Principal)
