"""What is done about share links, and by those who have one."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from graphql_api.model.file import File
from tests.services.sharing import shared, visitor
from tests.stateful.model import Model
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage


@dataclass(frozen=True)
class MakeLink:
    """``thing``: a file's number or a folder's handle."""

    number: int
    who: str
    thing: int | str
    max_downloads: int | None

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        thing: int | str
        has_files = bool(pick.model.files)
        if has_files and pick.one("of a file", (True, True, False)):
            thing = pick.file()
            who = pick.person(pick.model.files[thing].owner)
        else:
            who = pick.person()
            thing = pick.place(who)
        return cls(pick.new(), who, thing, pick.one("max_downloads", (None, 1, 1, 2)))

    def foretell(self, model: Model) -> object:
        return model.make_link(self.number, self.who, self.thing, self.max_downloads)

    async def do(self, stage: Stage) -> object:
        thing = stage.file_id(self.thing) if isinstance(self.thing, int) else stage.folders[self.thing]
        maker = stage.principals[self.who]
        stage.links[self.number] = await shared(stage.world, maker, thing, max_downloads=self.max_downloads)
        return "made"


@dataclass(frozen=True)
class RevokeLink:
    who: str
    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.link()
        return cls(pick.person(pick.model.links[number].maker), number)

    def foretell(self, model: Model) -> object:
        return model.revoke_link(self.who, self.number)

    async def do(self, stage: Stage) -> object:
        await stage.world.services.share_links.revoke(stage.principals[self.who], stage.links[self.number].link.id)
        return "revoked"


@dataclass(frozen=True)
class Visit:
    """To the end. ``file``: which of a shared folder."""

    number: int
    file: int

    @classmethod
    def picked(cls, pick: Pick, number: int | None = None) -> Self:
        if number is None:
            number = pick.link()
        thing = pick.model.links[number].thing
        inside = pick.model.files_in(thing) if isinstance(thing, str) else []
        return cls(number, pick.one("file", inside * 3 + list(pick.model.files)))

    def foretell(self, model: Model) -> object:
        return model.visit(self.number, self.file)

    async def do(self, stage: Stage) -> object:
        visits = stage.world.services.visits
        visit = await visits.begin(visitor(), stage.links[self.number].token)
        thing = visit.thing
        file = thing if isinstance(thing, File) else await visits.get_file(visit, stage.file_id(self.file))
        link = await visits.fetch(visit, file)
        keys = {upload.object_key: number for number, upload in stage.uploads.items()}
        return keys[urlsplit(link.url).path.removeprefix("/")]
