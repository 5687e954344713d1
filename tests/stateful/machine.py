"""Everything that can be done, in any order, with a model beside it that says what must come of it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import count, permutations
from typing import Any, ClassVar, Final, Protocol, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from graphql_api.model.finding import FindingKind
from tests.agreement import disagreements
from tests.stateful.blobs import INFECTED, UNSCANNABLE, cut
from tests.stateful.deeds import Deed
from tests.stateful.deeds.files import DeleteFile, DeleteVersion, MoveFile, RenameFile, Restore
from tests.stateful.deeds.folders import DeleteFolder, MakeFolder, MoveFolder, SetGate, SetQuota, Share
from tests.stateful.deeds.links import MakeLink, RevokeLink, Visit
from tests.stateful.deeds.upkeep import AbortStrays, Lock, Recheck, Reconcile, Sweep, Tell, Told, Wait, verdict_on
from tests.stateful.deeds.uploads import Abort, Adopt, Complete, Create, LoseParts, Put, PutPart, Sign, Target
from tests.stateful.model import Model
from tests.stateful.model.nouns import ADMIN, UNFINISHED, Refused
from tests.stateful.orders import in_some_order
from tests.stateful.pick import Pick
from tests.stateful.stage import LEFT_OVER, MAX_VERSIONS, Stage, outcome_of

T = TypeVar("T")

HAPPENINGS: Final[Mapping[type[Deed] | str, int]] = {  # how often, roughly
    "upload": 3,
    "replace": 3,
    "send": 2,
    "begin_upload": 1,
    "do_at_once": 4,
    "do_without_the_store": 2,
    Target: 1,
    Sign: 2,
    Adopt: 1,
    Put: 2,
    PutPart: 3,
    Complete: 3,
    Abort: 1,
    Tell: 3,
    RenameFile: 1,
    MoveFile: 2,
    DeleteFile: 1,
    Restore: 2,
    DeleteVersion: 1,
    "list_files": 1,
    MakeFolder: 1,
    MoveFolder: 1,
    DeleteFolder: 1,
    SetQuota: 1,
    SetGate: 1,
    Share: 1,
    "share_with_two": 3,
    MakeLink: 1,
    RevokeLink: 1,
    Visit: 3,
    Wait: 3,
    "look": 2,
    "scan": 2,
    Sweep: 1,
    Recheck: 1,
    AbortStrays: 1,
    Reconcile: 1,
    LoseParts: 1,
    Lock: 1,
}
WITHOUT_STORE: Final = (Complete, Abort, Sign, Target, Tell, DeleteFile, Sweep, Recheck, AbortStrays, Reconcile)
AT_ONCE: Final[tuple[type[Deed], ...]] = (
    *(Complete, Complete, Complete, Complete, Complete, Abort, Abort, Abort, Tell, Tell, Create, Sign, Target),
    *(DeleteFile, MoveFile, RenameFile, Restore, DeleteVersion, MoveFolder, DeleteFolder, SetGate, Sweep),
    *(MakeLink, RevokeLink, Visit, Visit),
)
NEEDS_FILE: Final = {"replace", RenameFile, MoveFile, DeleteFile, Restore, DeleteVersion, Visit, "share_with_two"}
NEEDS_LINK: Final = {RevokeLink, Visit}
NEEDS_FOLDER: Final = {MoveFolder, DeleteFolder}
NEEDS_PARTS: Final = {Adopt, PutPart, LoseParts}
NEEDS_UPLOAD: Final = {Target, Sign, Complete, Abort, Lock, "do_without_the_store"}


def is_possible(happening: type[Deed] | str, model: Model) -> bool:
    """Whether there is something that it can happen to."""
    methods = {each.wish.method for each in model.uploads.values()}
    if happening in NEEDS_LINK and not model.links:
        return False
    if happening in NEEDS_FILE:
        return bool(model.files)
    if happening in NEEDS_FOLDER:
        return any(handle.startswith("folder") for handle in model.folders)
    if happening in NEEDS_PARTS:
        return "MULTIPART" in methods
    if happening is Put:
        return bool(methods & {"PUT", "POST"})
    if happening == "scan":
        return model.judge == "SCANNER"
    return bool(methods) or happening not in NEEDS_UPLOAD


class Ground(Protocol):
    """Where databases of one kind are made."""

    def make(self) -> str:
        """The URL of a migrated database that nobody else uses."""

    def remove(self, url: str) -> None: ...


class Lives(RuleBasedStateMachine):
    """The lives of uploads and files. Each run has a database, a store and an event loop of its own."""

    ground: ClassVar[Ground]  # said by a subclass

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._numbers = count(1)
        self._is_whole = False  # nothing has gone wrong, and the end can be tried

    @initialize(
        judge=st.sampled_from(("NOBODY", "SCANNER", "EVENTS", "EVENTS")),
        tells=st.booleans(),
        often=st.lists(st.sampled_from(list(HAPPENINGS)), min_size=3, max_size=3),
    )
    def begin(self, judge: str, tells: bool, often: list[type[Deed] | str]) -> None:
        """``often``: of what there is more than usual, so that runs differ."""
        self._happenings = [each for each, times in HAPPENINGS.items() for _ in range(times)] + often * 16
        self._url = self.ground.make()
        self.stage = Stage(self._url, judge=judge, tells=tells)
        self._run(self.stage.prepare())
        self.model = Model(self.stage.world.clock(), judge=judge, tells=tells, max_versions=MAX_VERSIONS)
        self._is_whole = True

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._let_all_end()
        finally:
            if hasattr(self, "stage"):
                self._run(self.stage.close())
                self.ground.remove(self._url)
            self._runner.close()

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """The only rule: of many, hypothesis leaves out some in each run, and then little comes of the others."""
        pick = Pick(data, self.model, self._numbers)
        happening = pick.one("what", [each for each in self._happenings if is_possible(each, self.model)])
        if isinstance(happening, str):
            getattr(self, happening)(pick)
        else:
            self._act(happening.picked(pick))

    def upload(self, pick: Pick, *, replaces: int | None = None) -> None:
        """As most do: promise, send, complete; and have it judged."""
        number = self.send(pick, replaces=replaces)
        if number is None:
            return
        self._act(Complete(self.model.uploads[number].owner, number))
        if self.model.uploads[number].status == "PROCESSING" and not pick.maybe("without a verdict"):
            if self.model.judge == "SCANNER":
                self.scan()
            else:
                content = self.model.objects[number]
                self._act(Tell((Told(number, verdict_on(content), content),)))

    def replace(self, pick: Pick) -> None:
        self.upload(pick, replaces=pick.file())

    def send(self, pick: Pick, *, replaces: int | None = None) -> int | None:
        """All that was promised, without a word. Seldom something else."""
        number = self.begin_upload(pick, replaces=replaces)
        if number is not None:
            wish, lies = self.model.uploads[number].wish, pick.maybe("lies")
            if wish.method != "MULTIPART":
                self._act(Put(number, pick.content(wish.promised) if lies else wish.promised))
            else:
                for part, content in cut(wish.promised).items():
                    self._act(PutPart(number, part, pick.piece(content) if lies else content))
        return number

    def begin_upload(self, pick: Pick, *, replaces: int | None = None) -> int | None:
        """A promise, and a first target for it; its number if it was made."""
        if replaces is None and self.model.files and pick.maybe("replaces"):
            replaces = pick.file()
        deed = Create.picked(pick, replaces=replaces)
        self._act(deed)
        if deed.number not in self.model.uploads:
            return None
        self._act(Target(deed.number))
        return deed.number

    def share_with_two(self, pick: Pick) -> None:
        """Who has a link comes at once, and so does another."""
        deed = MakeLink.picked(pick)
        self._act(deed)
        if deed.number in self.model.links:
            self._act_at_once([Visit.picked(pick, deed.number) for _ in range(2)])

    def list_files(self, pick: Pick) -> None:
        who = pick.person(ADMIN)
        may_see = {n: file.current for n, file in self.model.files.items() if self.model.may_have(who, n)}
        current = {n: (version, self.model.uploads[version]) for n, version in may_see.items()}
        expected = {
            n: (None if upload.is_altered or upload.is_infected else version, upload.size)
            for n, (version, upload) in current.items()
        }
        assert self._run(self.stage.visible(who)) == expected

    def look(self, _: Pick | None = None) -> None:
        self._is_whole = False
        due = self.model.due_to_look_at()
        self._run(self.stage.looked_at())
        self._explain(Model.look_at, due)

    def scan(self, _: Pick | None = None) -> None:
        self._is_whole = False
        due = self._run(self.stage.due_scans())
        assert all(self.model.uploads[number].has_job for number in due)
        self._run(self.stage.scanned())
        self._explain(Model.scan, due)

    def do_without_the_store(self, pick: Pick) -> None:
        deed = pick.one("deed", [each for each in WITHOUT_STORE if is_possible(each, self.model)])
        self._set_up(False)
        self._act(deed.picked(pick))
        self._set_up(True)

    def do_at_once(self, pick: Pick) -> None:
        """What comes of it is what comes of one after the other. Often there is something to complete."""
        if pick.one("afresh", (True, False)):
            self.send(pick)
        possible = [each for each in AT_ONCE if is_possible(each, self.model)]
        deeds = [pick.one("deed", possible).picked(pick) for _ in range(2)]
        self._act_at_once([Tell(deed.events[:1]) if isinstance(deed, Tell) else deed for deed in deeds])

    # How it is done.

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _set_up(self, is_up: bool) -> None:
        self.model.is_up = self.stage.world.store.is_up = is_up

    def _act(self, deed: Deed) -> None:
        note(f"  {deed}")
        expected = foretold(deed, self.model)
        if expected == "the store refuses":
            return
        self._is_whole = False
        assert self._run(outcome_of(deed.do(self.stage))) == expected
        if not isinstance(deed, Wait):
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

    def _explain(self, step: Callable[[Model, int], None], numbers: Sequence[int]) -> None:
        """This has happened to all of them, in some order."""
        self.model = in_some_order(self.model, numbers, step, self._run(self.stage.seen()))
        self._compare(self.model)
        self._is_whole = True

    def _compare(self, model: Model) -> None:
        seen, expected = self._run(self.stage.seen()), model.state()
        assert seen == expected
        keys = [key for *_, versions in seen["files"].values() for key in versions.values()]
        assert len(keys) == len(set(keys))
        assert all(current in versions.values() for *_, current, versions in seen["files"].values())
        if model.judge != "NOBODY":
            delivered = set(keys) - model.swapped()
            assert not {seen["objects"][key] for key in delivered} & {INFECTED, UNSCANNABLE}

    def _let_all_end(self) -> None:
        """Time passes, and what runs by itself runs: nothing is left but files."""
        for number in list(self.model.locked):
            self._act(Lock(number))
        for days in (8, 2, 2, 2):
            self._act(Wait(days * 24 * 60))
            self.look()
            self.scan()
            for deed in (Sweep, Recheck, AbortStrays):
                self._act(deed())
        self._is_whole = False
        assert not [n for n, each in self.model.uploads.items() if each.status in UNFINISHED]
        assert self.model.removals == {}
        assert self.model.state()["open"] == []
        versions = {key for file in self.model.files.values() for key in file.versions.values()}
        assert self.model.objects.keys() == versions
        altered = {(FindingKind.ALTERED, self.stage.key(number)) for number in self.model.swapped() & versions}
        found = self._run(disagreements(self.stage.world))
        assert {(finding.kind, finding.subject) for finding in found} == altered
        assert self._run(self.stage.left_over()) == dict.fromkeys(LEFT_OVER, 0)


def foretold(deed: Deed, model: Model) -> object:
    try:
        return deed.foretell(model)
    except Refused as refusal:
        return str(refusal)
