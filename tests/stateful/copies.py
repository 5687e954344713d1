"""Published files: whatever takes a file from the public, in any order and two at once, with a naive model beside it.

The owner does everything. A file is public by a rule of its own, by its label, or by the folder that it stands in.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, permutations
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from graphql_api.db import jobs, publications
from graphql_api.db.engine import Database
from graphql_api.db.tables import FileRow, FileVersionRow, JobRow, PublicationRow
from graphql_api.model.ids import OBJECT_PREFIX, PUBLISHED_PREFIX, FileId, FolderId, VersionId
from graphql_api.model.principal import Principal
from graphql_api.model.publication import Publication
from graphql_api.model.rule import ANYONE, AccessRule, label_scope
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.services.outbox import LEASE
from graphql_api.services.published_copies import COPY_JOB, LATE_AFTER, LATE_JOB
from tests.services.rulings import ruled, wish
from tests.services.stories import filed, foldered
from tests.stateful.machine import Ground
from tests.stateful.stage import outcome_of
from tests.world import CDN, World

T = TypeVar("T")

PLACES: Final = ("open", "closed", "inner")
MAX_REPLACED: Final = 3  # with more, versions would go
MAX_FILES: Final = 4  # so that much happens to a few
HAPPENINGS: Final = (*["publish"] * 4, *["one"] * 5, *["two"] * 5, *["die"] * 2, "work", "land late", "settle")
DEEDS: Final = (
    *("publish", "publish", "unpublish", "show", "show", "label", "label", "move", "move"),
    *("replace", "restore", "infect", "delete", "swing", "swing", "work"),
)
HEADERS: Final = {"content_type": "text/plain", "disposition": "inline", "cache_control": "public"}


@dataclass
class ModelFile:
    place: str
    versions: int = 1
    current: int = 1
    infected: set[int] = field(default_factory=set)
    is_labelled: bool = False
    is_shown: bool = False


@dataclass
class CopyModel:
    files: dict[int, ModelFile] = field(default_factory=dict)
    published: set[int] = field(default_factory=set)
    inner_is_in: str = "open"

    def is_public(self, number: int) -> bool:
        file = self.files[number]
        place = self.inner_is_in if file.place == "inner" else file.place
        return (file.is_labelled or file.is_shown or place == "open") and file.current not in file.infected

    def state(self) -> dict[str, Any]:
        return {
            "current": {number: file.current for number, file in self.files.items()},
            "published": {number: self.files[number].current for number in self.published},
        }

    def review(self, *numbers: int) -> None:
        """What is looked at once more ends for good if it is not public."""
        self.published -= {number for number in numbers if number in self.published and not self.is_public(number)}

    def does(self, deed: "Deed") -> str:
        """What the deed comes to."""
        if deed.what == "work":
            self.review(*self.published)
            return "done"
        if deed.what == "swing":
            if self.inner_is_in == deed.how:
                return "done"
            self.inner_is_in = deed.how
            self.review(*(number for number, file in self.files.items() if file.place == "inner"))
            return "done"
        file = self.files.get(deed.number)
        if file is None:
            return "done" if deed.what == "infect" else "NotFound"
        match deed.what:
            case "publish" if not self.is_public(deed.number):
                return "Conflict"
            case "publish":
                self.published.add(deed.number)
                return "done"
            case "unpublish":
                self.published.discard(deed.number)
                return "done"
            case "show" if file.is_shown:
                return "Conflict"
            case "show" | "hide":  # a worker looks at what rules change
                file.is_shown = deed.what == "show"
                return "done"
            case "label":
                if file.is_labelled == (deed.how == "on"):
                    return "done"
                file.is_labelled = deed.how == "on"
            case "move":
                if file.place == deed.how:
                    return "done"
                file.place = deed.how
            case "replace":
                file.versions += 1
                file.current = file.versions
            case "restore":
                if file.current == int(deed.how):
                    return "done"
                file.current = int(deed.how)
            case "infect":
                if int(deed.how) in file.infected:
                    return "done"
                file.infected.add(int(deed.how))
            case "delete":
                self.published.discard(deed.number)
                del self.files[deed.number]
                return "done"
        self.review(deed.number)
        return "done"


@dataclass(frozen=True)
class Deed:
    what: str
    number: int = 0
    how: str = ""


class Copies(RuleBasedStateMachine):
    """Each run has a database, a store and an event loop of its own."""

    ground: ClassVar[Ground]  # said by a subclass

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._numbers = count(1)
        self._late: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self._url = self.ground.make()
        self.world = World(Database(self._url, patience=60))
        self.model = CopyModel()
        self._files: dict[int, FileId] = {0: FileId("file_unknown")}
        self._rules: dict[int, AccessRule] = {}
        self._run(self._prepare())

    async def _prepare(self) -> None:
        world = self.world
        self.alice: Principal = await world.principal("alice")
        root = await world.principal("root", is_admin=True)
        self.folders: dict[str, FolderId] = {}
        for name in ("open", "closed"):
            self.folders[name] = (await foldered(world, self.alice, name)).id
        self.folders["inner"] = (await foldered(world, self.alice, "inner", self.folders["open"])).id
        await ruled(world, self.alice, wish(ANYONE, self.folders["open"]))
        await ruled(world, root, wish(ANYONE, label_scope("free")))

    def teardown(self) -> None:
        try:
            if hasattr(self, "folders"):
                self.settle()
        finally:
            if hasattr(self, "world"):
                self._run(self.world.database.close())
                self.ground.remove(self._url)
            self._runner.close()

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        happening = data.draw(st.sampled_from(HAPPENINGS), label="what")
        if not self.model.files or (happening == "publish" and len(self.model.files) < MAX_FILES):
            self._publish_a_new_one(data)
        elif happening == "two":
            first = self._picked(data)
            number = data.draw(st.sampled_from((first.number, first.number, None)), label="same")
            self._act([first, self._picked(data, number)])
        elif happening == "work":
            self.work()
        elif happening == "settle":
            self.settle()
        elif happening == "die":
            self._die(data)
        elif happening == "land late":
            self._run(self._land_late())
        else:
            self._act([self._picked(data)])
        self._compare(self.model)

    def _publish_a_new_one(self, data: st.DataObject) -> None:
        """One that is public in one way only, so that it loses that soon."""
        way = data.draw(st.sampled_from(("open", "inner", "show", "label")), label="public by")
        place, number = (way, next(self._numbers)) if way in PLACES else ("closed", next(self._numbers))
        self._run(self._make(number, place))
        self.model.files[number] = ModelFile(place)
        if way not in PLACES:
            self._act([Deed(way, number, "on" if way == "label" else "")])
        self._act([Deed("publish", number)])
        if data.draw(st.booleans(), label="is copied"):
            self.work()

    def _picked(self, data: st.DataObject, number: int | None = None) -> Deed:
        if number is None:
            number = data.draw(st.sampled_from(sorted(self.model.files)), label="file")
        file = self.model.files[number]
        what = data.draw(st.sampled_from(DEEDS), label="deed")
        if what == "replace" and file.versions > MAX_REPLACED:
            what = "restore"
        if what == "label":
            return Deed(what, number, "off" if file.is_labelled else "on")
        if what in ("show", "hide"):
            return Deed("hide" if file.is_shown else "show", number)
        if what == "swing":
            return Deed(what, number, "closed" if self.model.inner_is_in == "open" else "open")
        hows = {
            "move": PLACES,
            "restore": tuple(str(version) for version in range(1, file.versions + 1)),
            "infect": (str(file.current),),
        }
        return Deed(what, number, data.draw(st.sampled_from(hows.get(what, ("",))), label="how"))

    def _die(self, data: st.DataObject) -> None:
        """A worker is killed when it has asked for a copy, and something happens before the store has made it."""

        async def take() -> list[Publication]:
            async with self.world.database.autocommit() as connection:
                taken = await jobs.claim(connection, [COPY_JOB], now=self.world.clock(), lease=LEASE, limit=1)
                found = [await publications.find(connection, job.subject) for job in taken]
                return [each for each in found if each is not None]

        asked = self._run(take())
        if not asked or data.draw(st.booleans(), label="something happens"):
            self._act([self._picked(data)])
        for each in asked:
            if each.source_key in self.world.store.objects:
                self._run(self.world.store.copy(each.source_key, each.object_key, **HEADERS))

    def work(self) -> None:
        """What a worker does; afterwards there is a copy of what is published, and of nothing else."""
        self.world.clock.now += LEASE + timedelta(seconds=1)
        for _ in range(3):
            self._act([Deed("work")])
        live, bytes_there, addresses = self._run(self._copies())
        assert set(live.values()) <= {"LIVE"}
        assert bytes_there - self._late == set(live)
        assert addresses.keys() == self.model.published
        assert set(addresses.values()) == set(live)

    def settle(self) -> None:
        """Nothing that came late is there for long."""
        self.world.clock.now += LATE_AFTER
        self.work()
        self._late.clear()
        self.work()

    # How it is done.

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _act(self, deeds: Sequence[Deed]) -> None:
        """What comes of two at once is what comes of one after the other."""
        note(f"  {deeds}")

        async def do_all() -> list[object]:
            return await asyncio.gather(*(outcome_of(self._do(deed)) for deed in deeds))

        outcomes = self._run(do_all())
        seen = self._run(self._seen())
        possible = []
        for order in permutations(range(len(deeds))):
            model = deepcopy(self.model)
            came = {index: model.does(deeds[index]) for index in order}
            if [came[index] for index in range(len(deeds))] == outcomes:
                possible.append(model)
        assert possible, f"no order explains {outcomes}"
        self.model = next((model for model in possible if model.state() == seen), possible[0])
        self._compare(self.model)

    def _compare(self, model: CopyModel) -> None:
        assert self._run(self._seen()) == model.state()

    async def _make(self, number: int, place: str) -> None:
        file = await filed(self.world, self.alice, f"{number}.txt", folder_id=self.folders[place])
        self._files[number] = file.id

    async def _do(self, deed: Deed) -> str:
        world, alice, services = self.world, self.alice, self.world.services
        id_ = self._files[deed.number]
        match deed.what:
            case "work":
                while (await world.publishing.turn()).is_more:
                    pass
                while (await world.outbox.turn()).is_more:
                    pass
            case "swing":
                await services.folders.move(alice, self.folders["inner"], self.folders[deed.how])
            case "publish":
                await services.publications.publish(alice, id_)
            case "unpublish":
                await services.publications.unpublish(alice, id_)
            case "show":
                self._rules[deed.number] = await ruled(world, alice, wish(ANYONE, id_))
            case "hide" if (shown := self._rules.pop(deed.number, None)) is not None:
                await services.policies.delete(alice, shown.id, shown.version)
            case "label":
                add, remove = (["free"], []) if deed.how == "on" else ([], ["free"])
                await services.notes.change_labels(alice, id_, add, remove)
            case "move":
                await services.files.move(alice, id_, self.folders[deed.how])
            case "replace":
                await filed(world, alice, "any", replaces=id_)
            case "restore":
                version_id, _ = await self._version(id_, deed.how)
                await services.versions.restore(alice, id_, version_id)
            case "infect":
                _, key = await self._version(id_, deed.how)
                await world.verdicts.judged(ScanVerdict(key, "etag", ScanResult.THREATS_FOUND, ("Eicar",)))
            case "delete":
                [result] = await services.files.delete(alice, [id_])
                return "done" if result == id_ else type(result).__name__
        return "done"

    async def _version(self, file_id: FileId, number: str) -> tuple[VersionId, str]:
        """Its id and key; those of none if there is no such version."""
        statement = select(FileVersionRow.id, FileVersionRow.object_key).where(
            FileVersionRow.file_id == file_id, FileVersionRow.number == int(number)
        )
        async with self.world.database.autocommit() as connection:
            row = (await connection.execute(statement)).first()
        return (VersionId("ver_unknown"), "o/unknown") if row is None else (VersionId(row.id), row.object_key)

    async def _land_late(self) -> None:
        """A request comes to its end whose sender is dead, a quarter of an hour after the withdrawal at the latest."""
        statement = select(JobRow.subject).where(JobRow.kind == LATE_JOB).order_by(JobRow.subject.desc()).limit(1)
        async with self.world.database.autocommit() as connection:
            key = await connection.scalar(statement)
        source = next((each for each in self.world.store.objects if each.startswith(OBJECT_PREFIX)), None)
        if key is not None and source is not None:
            await self.world.store.copy(source, key, **HEADERS)
            self._late.add(key)

    async def _seen(self) -> dict[str, Any]:
        """In the form of ``CopyModel.state``."""
        numbers = {id_: number for number, id_ in self._files.items()}
        open_ = PublicationRow.state.in_(publications.OPEN)
        async with self.world.database.autocommit() as connection:
            files = (await connection.execute(select(FileRow.id, FileRow.object_key))).all()
            versions = (await connection.execute(select(FileVersionRow.object_key, FileVersionRow.number))).all()
            copies = (
                await connection.execute(select(PublicationRow.file_id, PublicationRow.source_key).where(open_))
            ).all()
        number_of = {row.object_key: row.number for row in versions}
        return {
            "current": {numbers[row.id]: number_of[row.object_key] for row in files},
            "published": {numbers[row.file_id]: number_of.get(row.source_key) for row in copies},
        }

    async def _copies(self) -> tuple[dict[str, str], set[str], dict[int, str]]:
        """The states of the open copies by key, the keys of bytes that are there, and where which file is found."""
        world = self.world
        open_ = PublicationRow.state.in_(publications.OPEN)
        async with world.database.autocommit() as connection:
            rows = (
                await connection.execute(select(PublicationRow.object_key, PublicationRow.state).where(open_))
            ).all()
        there = {key for key in world.store.objects if key.startswith(PUBLISHED_PREFIX)}
        urls = await world.services.publications.addresses(self.alice, list(self._files.values()))
        numbers = {id_: number for number, id_ in self._files.items()}
        found = {numbers[id_]: url.removeprefix(f"{CDN}/") for id_, url in urls.items()}
        return {row.object_key: row.state for row in rows}, there, found
