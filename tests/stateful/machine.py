"""Everything that can be done, in any order, with a model beside it that says what must come of it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import count, islice, permutations
from typing import Any, Final, Protocol, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import func, select

from graphql_api.db.engine import Database
from graphql_api.db.recount import recount
from graphql_api.db.tables import JobRow, ObjectDeletionRow
from tests.stateful.blobs import INFECTED, UNSCANNABLE, cut
from tests.stateful.deeds import (
    Abort,
    Adopt,
    Complete,
    Create,
    Deed,
    DeleteFile,
    DeleteFolder,
    DeleteVersion,
    Lock,
    LoseParts,
    MakeFolder,
    MoveFile,
    MoveFolder,
    Put,
    PutPart,
    RenameFile,
    Restore,
    SetGate,
    SetQuota,
    Share,
    Sign,
    Sweep,
    Target,
    Tell,
    Wait,
)
from tests.stateful.model import ADMIN, PEOPLE, UNFINISHED, Model, Refused
from tests.stateful.pick import Pick
from tests.stateful.stage import MAX_VERSIONS, Stage, outcome_of

T = TypeVar("T")
Step = Callable[[Model], object]

AT_ONCE: Final[tuple[type[Deed], ...]] = (
    *(Complete, Complete, Complete, Abort, Create, Tell, Sign, Target),
    *(DeleteFile, MoveFile, RenameFile, Restore, DeleteVersion, MoveFolder, DeleteFolder, SetGate, Sweep),
)
NEEDS_FILE: Final = (DeleteFile, MoveFile, RenameFile, Restore, DeleteVersion)
NEEDS_FOLDER: Final = (MoveFolder, DeleteFolder)
NEEDS_NOTHING: Final = (Create, Tell, SetGate, Sweep)


class Ground(Protocol):
    """Where databases of one kind are made."""

    def make(self) -> str:
        """The URL of a migrated database that nobody else uses."""

    def remove(self, url: str) -> None: ...


def has_uploads(machine: "Lives") -> bool:
    return bool(machine.model.uploads)


def has_files(machine: "Lives") -> bool:
    return bool(machine.model.files)


def has_method(*methods: str) -> Callable[["Lives"], bool]:
    return lambda machine: any(each.wish.method in methods for each in machine.model.uploads.values())


def has_subfolders(machine: "Lives") -> bool:
    return any(handle.startswith("folder") for handle in machine.model.folders)


class Lives(RuleBasedStateMachine):
    """The lives of uploads and files. Each run has a database, a store and an event loop of its own."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground = ground
        self._runner = asyncio.Runner()
        self._numbers = count(1)
        self._is_whole = False  # nothing has gone wrong, and the end can be tried

    @initialize(judge=st.sampled_from(("NOBODY", "SCANNER", "EVENTS")), tells=st.booleans())
    def begin(self, judge: str, tells: bool) -> None:
        self._url = self._ground.make()
        self._database = Database(self._url, patience=60)
        self.stage = Stage(self._database, judge=judge, tells=tells)
        self._run(self.stage.prepare())
        self.model = Model(self.stage.world.clock(), judge=judge, tells=tells, max_versions=MAX_VERSIONS)
        self._is_whole = True

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._let_all_end()
        finally:
            if hasattr(self, "_database"):
                self._run(self._database.close())
                self._ground.remove(self._url)
            self._runner.close()

    # What clients do.

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        self._create(self._pick(data))

    @rule(data=st.data())
    def upload(self, data: st.DataObject) -> None:
        """As most do: promise, send, complete."""
        number = self._create(self._pick(data))
        if number is not None:
            self._send(number)
            self._act(Complete(self.model.uploads[number].owner, number))

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """All that was promised, without a word."""
        number = self._create(self._pick(data))
        if number is not None:
            self._send(number)

    @precondition(has_uploads)
    @rule(data=st.data())
    def target(self, data: st.DataObject) -> None:
        self._act(Target.picked(self._pick(data)))

    @precondition(has_uploads)
    @rule(data=st.data())
    def sign(self, data: st.DataObject) -> None:
        self._act(Sign.picked(self._pick(data)))

    @precondition(has_method("MULTIPART"))
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        self._act(Adopt.picked(self._pick(data)))

    @precondition(has_method("PUT", "POST"))
    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        self._act(Put.picked(self._pick(data)))

    @precondition(has_method("MULTIPART"))
    @rule(data=st.data())
    def put_part(self, data: st.DataObject) -> None:
        self._act(PutPart.picked(self._pick(data)))

    @precondition(has_uploads)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        self._act(Complete.picked(self._pick(data)))

    @precondition(has_uploads)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        self._act(Abort.picked(self._pick(data)))

    @precondition(has_files)
    @rule(data=st.data(), deed=st.sampled_from((RenameFile, MoveFile, DeleteFile)))
    def change_file(self, data: st.DataObject, deed: type[Deed]) -> None:
        self._act(deed.picked(self._pick(data)))

    @precondition(has_files)
    @rule(data=st.data(), deed=st.sampled_from((Restore, DeleteVersion)))
    def change_versions(self, data: st.DataObject, deed: type[Deed]) -> None:
        self._act(deed.picked(self._pick(data)))

    @rule(data=st.data())
    def make_folder(self, data: st.DataObject) -> None:
        self._act(MakeFolder.picked(self._pick(data)))

    @precondition(has_subfolders)
    @rule(data=st.data(), deed=st.sampled_from((MoveFolder, DeleteFolder)))
    def change_folder(self, data: st.DataObject, deed: type[Deed]) -> None:
        self._act(deed.picked(self._pick(data)))

    @rule(data=st.data(), deed=st.sampled_from((SetQuota, SetGate, Share)))
    def administer(self, data: st.DataObject, deed: type[Deed]) -> None:
        self._act(deed.picked(self._pick(data)))

    @rule(who=st.sampled_from((*PEOPLE, ADMIN)))
    def list_files(self, who: str) -> None:
        may_see = {n: file.current for n, file in self.model.files.items() if self.model.may_have(who, n)}
        expected = {n: (current, self.model.uploads[current].size) for n, current in may_see.items()}
        assert self._run(self.stage.visible(who)) == expected

    # What happens by itself.

    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        self._act(Tell.picked(self._pick(data)))

    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        self._act(Wait.picked(self._pick(data)))

    @rule()
    def look(self) -> None:
        self._look()

    @precondition(lambda self: self.model.judge == "SCANNER")
    @rule()
    def scan(self) -> None:
        self._scan()

    @rule()
    def sweep(self) -> None:
        self._act(Sweep())

    @precondition(has_uploads)
    @rule(data=st.data(), deed=st.sampled_from((Lock, LoseParts)))
    def vex(self, data: st.DataObject, deed: type[Deed]) -> None:
        if deed is Lock or has_method("MULTIPART")(self):
            self._act(deed.picked(self._pick(data)))

    @precondition(has_uploads)
    @rule(data=st.data(), deed=st.sampled_from((Complete, Abort, Sign, Target, Tell, Sweep, DeleteFile)))
    def do_while_the_store_is_down(self, data: st.DataObject, deed: type[Deed]) -> None:
        if deed is DeleteFile and not self.model.files:
            return
        self._set_up(False)
        self._act(deed.picked(self._pick(data)))
        self._set_up(True)

    @rule(data=st.data(), deeds=st.tuples(st.sampled_from(AT_ONCE), st.sampled_from(AT_ONCE)))
    def do_at_once(self, data: st.DataObject, deeds: tuple[type[Deed], type[Deed]]) -> None:
        """What comes of it is what comes of one after the other."""
        pick = self._pick(data)
        if all(self._is_possible(deed) for deed in deeds):
            self._act_at_once([deed.picked(pick) for deed in deeds])

    # How it is done.

    def _pick(self, data: st.DataObject) -> Pick:
        return Pick(data, self.model, self._numbers)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _is_possible(self, deed: type[Deed]) -> bool:
        if deed in NEEDS_FILE:
            return has_files(self)
        if deed in NEEDS_FOLDER:
            return has_subfolders(self)
        return deed in NEEDS_NOTHING or has_uploads(self)

    def _set_up(self, is_up: bool) -> None:
        self.model.is_up = self.stage.world.store.is_up = is_up

    def _create(self, pick: Pick) -> int | None:
        """A promise, and a first target for it; its number if it was made."""
        deed = Create.picked(pick)
        self._act(deed)
        if deed.number not in self.model.uploads:
            return None
        self._act(Target(deed.number))
        return deed.number

    def _send(self, number: int) -> None:
        wish = self.model.uploads[number].wish
        if wish.method != "MULTIPART":
            self._act(Put(number, wish.promised))
            return
        for part, content in cut(wish.promised).items():
            self._act(PutPart(number, part, content))

    def _act(self, deed: Deed) -> None:
        note(f"  {deed}")
        expected = foretold(deed, self.model)
        if expected == "the store refuses":
            return
        self._is_whole = False
        assert self._run(outcome_of(deed.do(self.stage))) == expected
        self._compare(self.model)
        self._is_whole = True

    def _act_at_once(self, deeds: Sequence[Deed]) -> None:
        note(f"  {deeds} at once")
        self._is_whole = False

        async def do_all() -> list[object]:
            return await asyncio.gather(*(outcome_of(deed.do(self.stage)) for deed in deeds))

        outcomes = self._run(do_all())

        def in_order(order: Sequence[int]) -> Model | None:
            model = self.model.copy()
            came = {index: foretold(deeds[index], model) for index in order}
            return model if [came[index] for index in range(len(deeds))] == outcomes else None

        possible = [model for order in permutations(range(len(deeds))) if (model := in_order(order)) is not None]
        assert possible, f"no order of the two explains {outcomes}"
        seen = self._run(self.stage.seen())
        self.model = next((model for model in possible if model.state() == seen), possible[0])
        self._compare(self.model)
        self._is_whole = True

    def _look(self) -> None:
        self._is_whole = False
        steps: list[Step] = [partial(Model.look_at, number=number) for number in self.model.due_to_look_at()]
        self._run(self.stage.looked_at())
        self._explain(steps)

    def _scan(self) -> None:
        self._is_whole = False
        due = self._run(self.stage.due_scans())
        assert all(self.model.uploads[number].has_job for number in due)
        self._run(self.stage.scanned())
        self._explain([partial(Model.scan, number=number) for number in due])

    def _explain(self, steps: list[Step]) -> None:
        """All of this has happened, in some order."""
        seen = self._run(self.stage.seen())
        for order in islice(permutations(steps), 5_000):
            model = self.model.copy()
            for step in order:
                step(model)
            if model.state() == seen:
                break
        self.model = model
        self._compare(model)
        self._is_whole = True

    def _compare(self, model: Model) -> None:
        seen, expected = self._run(self.stage.seen()), model.state()
        assert seen == expected
        keys = [key for *_, versions in seen["files"].values() for key in versions.values()]
        assert len(keys) == len(set(keys))
        assert all(current in versions.values() for *_, current, versions in seen["files"].values())
        if model.judge != "NOBODY":
            assert not {seen["objects"][key] for key in keys} & {INFECTED, UNSCANNABLE}

    def _let_all_end(self) -> None:
        """Time passes, and what runs by itself runs: nothing is left but files."""
        for number in list(self.model.locked):
            self._act(Lock(number))
        for _ in range(12):
            self._act(Wait(25 * 60))
            self._look()
            self._scan()
            self._act(Sweep())
        self._is_whole = False
        assert not [n for n, each in self.model.uploads.items() if each.status in UNFINISHED]
        assert self.model.removals == {}
        assert self.model.state()["open"] == []
        versions = {key for file in self.model.files.values() for key in file.versions.values()}
        assert self.model.objects.keys() == versions
        assert self._run(self._left_over()) == (0, 0, 0)

    async def _left_over(self) -> tuple[int, ...]:
        """Objects to remove, jobs, and sums that were wrong."""
        async with self._database.autocommit() as connection:
            removals, jobs = [
                await connection.scalar(select(func.count()).select_from(table)) or 0
                for table in (ObjectDeletionRow, JobRow)
            ]
        return removals, jobs, await recount(self._database)


def foretold(deed: Deed, model: Model) -> object:
    try:
        return deed.foretell(model)
    except Refused as refusal:
        return str(refusal)
