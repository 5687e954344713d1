"""The lives of bundles: what can be done to them and to the links that open them, in any order and at once, with
``bundle_model`` beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, permutations
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from graphql_api.db.engine import Database
from graphql_api.db.tables import BundleEntryRow, BundleRow, FileRow, ObjectDeletionRow, UploadRow
from graphql_api.edge.function import revocation_function
from graphql_api.localcloud.function import EdgeFunction
from graphql_api.localcloud.refusal import Refusal
from graphql_api.localcloud.signature import SignatureVerifier, ViewerRequest
from graphql_api.model.bundle import may_be_entry_key
from graphql_api.model.delivery import BundleLink, LinkWish
from graphql_api.model.ids import BundleId, FileId, FolderId
from graphql_api.model.principal import Principal
from graphql_api.model.upload import OnConflict, Upload, file_of
from tests.localcloud.viewer import Signer, request
from tests.services.bundled import promised_bundle
from tests.services.revoking import Edge
from tests.services.stock import require_exact, taken
from tests.services.stories import home_of, send
from tests.stateful.bundle_model import HOME, PATHS, SIZE, Model, Refused
from tests.stateful.machine import Ground
from tests.stateful.stage import outcome_of
from tests.world import KEY, World

T = TypeVar("T")
FOLDERS: Final = ("left", "right")
HOUR: Final = LinkWish(timedelta(hours=1))
VERIFIER: Final = SignatureVerifier({KEY.key_id: Signer(KEY.key_id, KEY.private_key).public_pem})


@dataclass(frozen=True)
class Deed:
    """What the model says comes of it, and what does. ``revokes``: the edge has to be told of it."""

    name: str
    foretell: Callable[[Model], str]
    do: Callable[[], Awaitable[object]]
    revokes: bool = False

    def __repr__(self) -> str:
        return self.name

    def foretold(self, model: Model) -> object:
        try:
            return self.foretell(model)
        except Refused as refusal:
            return str(refusal)


class BundleLives(RuleBasedStateMachine):
    """Each run has a database, a store, an edge and an event loop of its own."""

    ground: ClassVar[Ground]  # said by a subclass

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._numbers = count(1)
        self._is_whole = False  # nothing has gone wrong, and the end can be tried

    @initialize()
    def begin(self) -> None:
        self._url = self.ground.make()
        self.world = World(Database(self._url, patience=60), revokes=True)
        self.edge = Edge(self.world)
        self.function = EdgeFunction(revocation_function(failure="refuse"), self)
        self.model = Model(self.world.clock())
        self.alice: Principal = self._run(self.world.principal("alice"))
        self.folders: dict[str, FolderId] = {HOME: self._run(home_of(self.world, self.alice))}
        self.promised: dict[int, BundleId] = {}
        self.uploads: dict[tuple[int, str], Upload] = {}
        self.links: dict[int, BundleLink] = {}
        for handle in FOLDERS:
            self._act(self._make_folder(handle))

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._let_all_end()
        finally:
            if hasattr(self, "world"):
                self._run(self.world.database.close())
                self.ground.remove(self._url)
            self._runner.close()

    def find(self, key: str) -> str | None:
        """What the edge's function reads."""
        number = self.edge.store.numbers.get(key)
        return None if number is None else str(number)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        def one(label: str, options: Sequence[T]) -> T:
            return data.draw(st.sampled_from(options), label=label)

        what = one("what", ("bundle", "bundle", "send", "deed", "deed", "deed", "at once", "at once", "wait", "sweep"))
        if what == "bundle" or not self.promised:
            self._bundle(one)
        elif what == "send":
            self._act(self._send(*self._entry(one), one("size", (SIZE, SIZE, SIZE, 3))))
        elif what == "wait":
            self._wait(one("minutes", (1, 20, 40)))
        elif what == "sweep":
            self._act(Deed("sweep", lambda model: model.sweep(), self._swept))
        elif what == "deed":
            self._act(self._deed(one, sign=True))
        else:
            self._act_at_once([self._deed(one), self._deed(one)])

    def _bundle(self, one: Callable[..., Any]) -> None:
        """As most come: promised, sent and completed; seldom not to the end. Then there may be a link to it."""
        number, place = next(self._numbers), one("place", [HOME, *FOLDERS])
        paths = PATHS[: one("entries", (1, 2, 3, 3))]
        self._act(self._create(number, place, paths))
        if number not in self.model.bundles:
            return
        for path in paths[: one("so many", [len(paths)] * 3 + [*range(len(paths))])]:
            self._act(self._send(number, path, SIZE))
            self._act(self._complete(number, path))
        if self.model.bundles[number].is_file:
            self._act(self._sign(number))

    def _entry(self, one: Callable[..., Any]) -> tuple[int, str]:
        number = self._number(one)
        return number, one("path", list(self.model.bundles[number].entries))

    def _number(self, one: Callable[..., Any]) -> int:
        """The newest that are not over most likely."""
        numbers = list(self.model.bundles)
        alive = [n for n in numbers if self.model.bundles[n].is_file or self.model.bundles[n].is_promised]
        number: int = one("bundle", alive[-2:] * len(numbers) + numbers)
        return number

    def _deed(self, one: Callable[..., Any], *, sign: bool = False) -> Deed:
        kinds = ("complete", "complete", "complete", "abort", "move", "move", "delete", "revoke", "revoke", "folder")
        kind = one("deed", kinds + ("sign",) * 6 * sign)
        if kind == "complete":
            return self._complete(*self._entry(one))
        if kind == "abort":
            return self._abort(*self._entry(one))
        if kind == "folder":
            handle = one("folder", FOLDERS)
            return self._delete_folder(handle) if handle in self.model.folders else self._make_folder(handle)
        number = self._number(one)
        if kind == "move":
            return self._move(number, one("place", [HOME, *FOLDERS]))
        if kind == "delete":
            return self._delete(number, store_is_up=one("is up", (True, True, False)) or not sign)
        if kind == "revoke":
            return self._revoke(one("what", [number, number, *FOLDERS, HOME]))
        return self._sign(number)

    # What can be done.

    def _create(self, number: int, place: str, paths: tuple[str, ...]) -> Deed:
        async def do() -> str:
            more = {"name": f"film {number}", "folder_id": self.folders[place], "on_conflict": OnConflict.RENAME}
            self.promised[number], uploads = await promised_bundle(self.world, self.alice, paths, **more)
            self.uploads |= {(number, upload.filename): upload for upload in uploads}
            return "promised"

        return Deed(f"create {number} in {place}", lambda model: model.create(number, place, paths), do)

    def _send(self, number: int, path: str, size: int) -> Deed:
        async def do() -> str:
            send(self.world, self.uploads[number, path], b"hello"[:size])
            return "stored"

        return Deed(f"send {number} {path} {size}", lambda model: model.send(number, path, size), do)

    def _complete(self, number: int, path: str) -> Deed:
        async def do() -> str:
            completion = self.world.services.completion
            upload, file = await completion.complete(self.alice, self.uploads[number, path].id)
            if file is not None:
                assert file.id == file_of(self.promised[number])
                return "a file"
            return "a file that is gone" if upload.status == "COMPLETED" else upload.status.value

        return Deed(f"complete {number} {path}", lambda model: model.complete(number, path), do)

    def _abort(self, number: int, path: str) -> Deed:
        async def do() -> str:
            upload = await self.world.services.uploads.abort(self.alice, self.uploads[number, path].id)
            return upload.status.value

        return Deed(f"abort {number} {path}", lambda model: model.abort(number, path), do)

    def _move(self, number: int, place: str) -> Deed:
        async def do() -> str:
            await self.world.services.files.move(self.alice, self._file_id(number), self.folders[place])
            return "moved"

        return Deed(f"move {number} to {place}", lambda model: model.move(number, place), do)

    def _delete(self, number: int, *, store_is_up: bool) -> Deed:
        async def do() -> str:
            self.world.store.is_up = store_is_up
            [result] = await self.world.services.files.delete(self.alice, [self._file_id(number)])
            self.world.store.is_up = True
            return "deleted" if result == self._file_id(number) else type(result).__name__

        return Deed(f"delete {number}", lambda model: model.delete(number, store_is_up=store_is_up), do)

    def _make_folder(self, handle: str) -> Deed:
        async def do() -> str:
            made = await self.world.services.folders.create(
                self.alice, self.folders[HOME], f"{handle} {len(self.uploads)}"
            )
            self.folders[handle] = made.id
            return "made"

        return Deed(f"make {handle}", lambda model: model.make_folder(handle), do)

    def _delete_folder(self, handle: str) -> Deed:
        async def do() -> str:
            await self.world.services.folders.delete(self.alice, self.folders[handle], is_recursive=True)
            return "deleted"

        return Deed(f"delete {handle}", lambda model: model.delete_folder(handle), do)

    def _revoke(self, what: int | str) -> Deed:
        async def do() -> str:
            revocations = self.world.services.revocations
            if isinstance(what, int):
                await revocations.revoke_file(self.alice, self._file_id(what))
            else:
                await revocations.revoke_folder(self.alice, self.folders[what])
            return "revoked"

        return Deed(f"revoke {what}", lambda model: model.revoke(what), do, revokes=True)

    def _sign(self, number: int) -> Deed:
        name = next(self._numbers)

        async def do() -> str:
            _, self.links[name] = await self.world.services.bundle_links.sign(self.alice, self._file_id(number), HOUR)
            return "signed"

        def foretell(model: Model) -> str:
            return model.sign(name, number, self.links[name].expires_at if name in self.links else None)

        return Deed(f"sign {number}", foretell, do)

    async def _swept(self) -> str:
        await self.world.services.upkeep.sweep()
        return "swept"

    def _file_id(self, number: int) -> FileId:
        return file_of(self.promised[number])

    # How it is done.

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _wait(self, minutes: int) -> None:
        self.world.clock.advance(minutes=minutes)
        self.model.now = self.world.clock()
        self._compare()

    def _act(self, deed: Deed) -> None:
        note(f"  {deed}")
        self._is_whole = False
        if deed.foretold(self.model.copy()) != "the store refuses":
            outcome = self._run(outcome_of(deed.do()))
            assert named(outcome) == deed.foretold(self.model)
            self._tell([deed])
            self._compare()
        self._is_whole = True

    def _act_at_once(self, deeds: Sequence[Deed]) -> None:
        note(f"  {deeds} at once")
        self._is_whole = False

        async def do_all() -> list[object]:
            return [*map(named, await asyncio.gather(*(outcome_of(deed.do()) for deed in deeds)))]

        outcomes = self._run(do_all())
        self._tell(deeds)
        seen, possible = self._run(self._seen()), []
        for order in permutations(range(len(deeds))):
            model = self.model.copy()
            came = {index: deeds[index].foretold(model) for index in order}
            if [came[index] for index in range(len(deeds))] == outcomes:
                possible.append(model)
        assert possible, f"no order of the two explains {outcomes}"
        self.model = next((model for model in possible if model.state() == seen), possible[0])
        self._compare()
        self._is_whole = True

    def _tell(self, deeds: Sequence[Deed]) -> None:
        if any(deed.revokes for deed in deeds):
            self._run(self.edge.told())

    def _compare(self) -> None:
        assert self._run(self._seen()) == self.model.state()

    async def _seen(self) -> dict[str, Any]:
        """In the form of ``Model.state``."""
        uploads = {upload.id: key for key, upload in self.uploads.items()}
        keys = {upload.object_key: key for key, upload in self.uploads.items()}
        files = {str(self._file_id(number)): number for number in self.promised}
        places = {id_: handle for handle, id_ in self.folders.items()}
        async with self.world.database.autocommit() as connection:
            upload_rows = (await connection.execute(select(UploadRow.id, UploadRow.status))).all()
            file_rows = (await connection.execute(select(FileRow.id, FileRow.folder_id))).all()
        stored, reserved = await taken(self.world, self.alice)
        return {
            "uploads": {uploads[row.id]: row.status for row in upload_rows},
            "files": {files[row.id]: places[row.folder_id] for row in file_rows},
            "objects": {keys[key]: len(content) for key, (_, content) in self.world.store.objects.items()},
            "stored": stored,
            "reserved": reserved,
            "links": {name: self._opens(link) for name, link in self.links.items()},
        }

    def _opens(self, link: BundleLink) -> bool:
        asked = request(link.url)
        try:
            VERIFIER.verify(asked, self.world.clock())
        except Refusal:
            return False
        passed = self.function(asked, "GET", {})
        return isinstance(passed, ViewerRequest) and may_be_entry_key(passed.path.removeprefix("/"))

    def _let_all_end(self) -> None:
        """Everything is deleted, time passes, and what runs by itself runs: nothing is left. What had come in without
        anybody saying so becomes a file first.
        """
        for number, bundle in self.model.bundles.items():
            if bundle.is_file:
                self._act(self._delete(number, store_is_up=True))
        self._is_whole = False
        self.world.clock.advance(days=8)
        self._run(self.world.sweep())
        for number in self.model.look():
            deletion = self._delete(number, store_is_up=True)
            assert self._run(outcome_of(deletion.do())) == deletion.foretold(self.model)
        for _ in range(4):
            self.world.clock.advance(days=8)
            self._run(self.world.sweep())
            self._run(self.edge.swept())
        assert self.world.store.objects == {}
        assert self.edge.store.numbers == {}
        assert self._run(self._left()) == {}
        self._run(require_exact(self.world))

    async def _left(self) -> dict[str, object]:
        """Rows that say of something that it is there or to be removed; history aside."""
        async with self.world.database.autocommit() as connection:
            columns = (BundleEntryRow.object_key, ObjectDeletionRow.object_key, FileRow.id)
            found: dict[str, object] = {str(each): list(await connection.scalars(select(each))) for each in columns}
            is_open = BundleRow.status != "ABORTED"
            found["bundles"] = list(await connection.scalars(select(BundleRow.id).where(is_open)))
        return {name: rows for name, rows in found.items() if rows}


def named(outcome: object) -> object:
    """A mismatch without its kind: only one can be had here."""
    return outcome.partition(" ")[0] if isinstance(outcome, str) and outcome.startswith("UploadMismatch") else outcome
