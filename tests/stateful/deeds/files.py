"""What is done about files and their versions."""

from dataclasses import dataclass
from typing import Self

from tests.stateful.model import Model
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage


@dataclass(frozen=True)
class RenameFile:
    who: str
    number: int
    name: str

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.file()
        return cls(pick.person(pick.model.files[number].owner), number, pick.name())

    def foretell(self, model: Model) -> object:
        return model.rename(self.who, self.number, self.name)

    async def do(self, stage: Stage) -> object:
        await stage.world.services.files.update(stage.principals[self.who], stage.file_id(self.number), name=self.name)
        return "renamed"


@dataclass(frozen=True)
class MoveFile:
    who: str
    number: int
    place: str

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.file()
        who = pick.person(pick.model.files[number].owner)
        return cls(who, number, pick.place(who))

    def foretell(self, model: Model) -> object:
        return model.move_file(self.who, self.number, self.place)

    async def do(self, stage: Stage) -> object:
        await stage.world.services.files.move(
            stage.principals[self.who], stage.file_id(self.number), stage.folders[self.place]
        )
        return "moved"


@dataclass(frozen=True)
class DeleteFile:
    who: str
    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.file()
        return cls(pick.person(pick.model.files[number].owner), number)

    def foretell(self, model: Model) -> object:
        return model.delete_file(self.who, self.number)

    async def do(self, stage: Stage) -> object:
        file_id = stage.file_id(self.number)
        [result] = await stage.world.services.files.delete(stage.principals[self.who], [file_id])
        return "deleted" if result == file_id else type(result).__name__


@dataclass(frozen=True)
class Restore:
    who: str
    number: int
    version: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(*_version(pick))

    def foretell(self, model: Model) -> object:
        return model.restore(self.who, self.number, self.version)

    async def do(self, stage: Stage) -> object:
        version_id = await stage.version_id(self.version)
        await stage.world.services.versions.restore(stage.principals[self.who], stage.file_id(self.number), version_id)
        return "restored"


@dataclass(frozen=True)
class DeleteVersion:
    who: str
    number: int
    version: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(*_version(pick))

    def foretell(self, model: Model) -> object:
        return model.delete_version(self.who, self.number, self.version)

    async def do(self, stage: Stage) -> object:
        version_id = await stage.version_id(self.version)
        [result] = await stage.world.services.versions.delete(
            stage.principals[self.who], stage.file_id(self.number), [version_id]
        )
        return "deleted" if result == version_id else type(result).__name__


def _version(pick: Pick) -> tuple[str, int, int]:
    """Somebody, a file that has several if one has, and an upload that most likely brought a version of it."""
    files = pick.model.files
    number = pick.one("file", [n for n, each in files.items() if len(each.versions) > 1] or list(files))
    versions = list(files[number].versions.values())
    return pick.person(files[number].owner), number, pick.one("version", [*versions, *versions, *pick.model.uploads])
