"""Who asks."""

import strawberry
from strawberry import Parent

from graphql_api.model import file as nouns
from graphql_api.model.principal import Principal
from graphql_api.schema.connections import FolderConnection
from graphql_api.schema.context import Info
from graphql_api.schema.inputs import ABSENT, page_request
from graphql_api.schema.node import After, Before, First, Last, Node
from graphql_api.schema.types import Folder


@strawberry.type(description="The authenticated principal.")
class Viewer(Node):
    display_name: str = strawberry.field(description="Name shown to people.")
    is_admin: bool = strawberry.field(description="Whether the viewer may do everything.")

    @strawberry.field(description="Global id.", name="id")
    def id_(self, parent: Parent[Principal]) -> strawberry.ID:
        return strawberry.ID(str(parent.user_id))

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
