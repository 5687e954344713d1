"""What every resolver may know of the request. One per operation, and so are its loaders."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import strawberry
from strawberry.dataloader import DataLoader

from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.principal import Principal
from graphql_api.services import Services
from graphql_api.services.folders import Place


@dataclass
class Context:
    """Who asks, from where, and the use cases. ``client_address`` is None when it is not known."""

    services: Services
    principal: Principal
    client_address: str | None
    request_id: str
    files: DataLoader[FileId, File | None] = field(init=False)
    folders: DataLoader[FolderId, Folder | None] = field(init=False)
    places: DataLoader[FolderId, Place | None] = field(init=False)

    def __post_init__(self) -> None:
        self.for_mutation()

    def for_mutation(self) -> "Context":
        """This context with nothing loaded: an operation's mutations run in turn, and each changes what is true."""
        self.files = DataLoader(self._load_files)
        self.folders = DataLoader(self._load_folders)
        self.places = DataLoader(self._load_places)
        return self

    async def _load_files(self, ids: Sequence[FileId]) -> list[File | None]:
        found = await self.services.files.find(self.principal, ids)
        return [found.get(id_) for id_ in ids]

    async def _load_folders(self, ids: Sequence[FolderId]) -> list[Folder | None]:
        found = await self.services.folders.find(self.principal, ids)
        return [found.get(id_) for id_ in ids]

    async def _load_places(self, ids: Sequence[FolderId]) -> list[Place | None]:
        found = await self.services.folders.places(self.principal, ids)
        return [found.get(id_) for id_ in ids]


Info = strawberry.Info[Context, None]
