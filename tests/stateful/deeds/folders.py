"""What is done about folders, and by administrators."""

from dataclasses import dataclass
from typing import Self

from graphql_api.model.quota import Gate
from tests.stateful.blobs import PART
from tests.stateful.model import Model
from tests.stateful.model.nouns import ADMIN, Refused
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage

QUOTAS = (None, 0, 12, 30, PART + 20, 3 * PART)


@dataclass(frozen=True)
class MakeFolder:
    handle: str
    who: str
    parent: str
    name: str

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        who = pick.person()
        return cls(f"folder {pick.new()}", who, pick.place(who), pick.name())

    def foretell(self, model: Model) -> object:
        return model.make_folder(self.handle, self.who, self.parent, self.name)

    async def do(self, stage: Stage) -> object:
        folder = await stage.world.services.folders.create(
            stage.principals[self.who], stage.folders[self.parent], self.name
        )
        stage.folders[self.handle] = folder.id
        return "made"


@dataclass(frozen=True)
class MoveFolder:
    who: str
    handle: str
    parent: str

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        handle = pick.subfolder()
        who = pick.person(pick.model.folders[handle].owner)
        return cls(who, handle, pick.place(who))

    def foretell(self, model: Model) -> object:
        return model.move_folder(self.who, self.handle, self.parent)

    async def do(self, stage: Stage) -> object:
        await stage.world.services.folders.move(
            stage.principals[self.who], stage.folders[self.handle], stage.folders[self.parent]
        )
        return "moved"


@dataclass(frozen=True)
class DeleteFolder:
    who: str
    handle: str
    is_recursive: bool

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        handle = pick.subfolder()
        who = pick.person(pick.model.folders[handle].owner)
        return cls(who, handle, pick.one("is_recursive", (True, False)))

    def foretell(self, model: Model) -> object:
        return model.delete_folder(self.who, self.handle, is_recursive=self.is_recursive)

    async def do(self, stage: Stage) -> object:
        await stage.world.services.folders.delete(
            stage.principals[self.who], stage.folders[self.handle], is_recursive=self.is_recursive
        )
        return "deleted"


@dataclass(frozen=True)
class SetQuota:
    person: str
    quota: int | None

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.person(), pick.one("quota", QUOTAS))

    def foretell(self, model: Model) -> object:
        model.quotas[self.person] = self.quota
        return "set"

    async def do(self, stage: Stage) -> object:
        await stage.world.services.quotas.set_user_quota(
            stage.principals[ADMIN], stage.user_id(self.person), self.quota
        )
        return "set"


@dataclass(frozen=True)
class SetGate:
    place: str
    quota: int | None
    max_size: int | None
    takes_text_only: bool

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(
            pick.place(),
            pick.one("quota", QUOTAS),
            pick.one("max_size", (None, None, 5, 9)),
            pick.one("takes_text_only", (False, False, True)),
        )

    def foretell(self, model: Model) -> object:
        folder = model.folders.get(self.place)
        if folder is None:  # it was deleted in the same moment
            raise Refused("NotFound")
        folder.quota, folder.max_size, folder.takes_text_only = self.quota, self.max_size, self.takes_text_only
        return "set"

    async def do(self, stage: Stage) -> object:
        gate = Gate(self.quota, self.max_size, ("text/plain",) if self.takes_text_only else None)
        await stage.world.services.quotas.set_folder_gate(stage.principals[ADMIN], stage.folders[self.place], gate)
        return "set"


@dataclass(frozen=True)
class Share:
    """Somebody may do everything with what is shared, or no longer anything."""

    person: str

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.person())

    def foretell(self, model: Model) -> object:
        model.sharing ^= {self.person}
        return None

    async def do(self, stage: Stage) -> object:
        await (stage.exclude if self.person in stage.sharing else stage.include)(self.person)
        return None
