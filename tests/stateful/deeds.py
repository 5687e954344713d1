"""What can be done: what the model says of it, and the same done to the product."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, Self

from graphql_api.model.quota import Gate
from graphql_api.model.store_event import ObjectArrived, ScanResult, ScanVerdict, StoreEvent
from graphql_api.model.stored_object import PromisedObject, StoreRequestKind
from graphql_api.model.upload import OnConflict, UploadMethod
from graphql_api.services.upload_targets import PartWish
from graphql_api.services.upload_wishes import UploadWish
from tests.memory_store import crc_of
from tests.stateful.blobs import BLOBS, INFECTED, PART, PICTURE, PIECES, UNSCANNABLE, Blob, cut
from tests.stateful.model import ADMIN, PEOPLE, Model, Wish
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage, etag_of, sha256_of

TEXT, OTHER = "text/plain", "application/octet-stream"
QUOTAS = (None, 0, 12, 30, PART + 20, 3 * PART)


class Deed(Protocol):
    """Values only, so that it can be done to any copy of the model."""

    @classmethod
    def picked(cls, pick: Pick) -> Self: ...

    def foretell(self, model: Model) -> object:
        """What it comes to, which the model knows afterwards. Raises: Refused."""

    async def do(self, stage: Stage) -> object:
        """What it came to, or what it was refused for, by name."""


@dataclass(frozen=True)
class Create:
    number: int
    who: str
    wish: Wish

    @classmethod
    def picked(cls, pick: Pick, *, replaces: int | None = None) -> Self:
        method = pick.one("method", ("PUT", "PUT", "POST", "MULTIPART"))
        long, short = [BLOBS["long"]], [blob for blob in BLOBS.values() if len(blob) <= PART]
        promised = pick.one("promised", long * 6 + short if method == "MULTIPART" else short)
        alike = [blob for blob in BLOBS.values() if len(blob) == len(promised)]
        likely = None if replaces is None else pick.model.files[replaces].owner
        who = pick.one("who", PEOPLE if likely is None else (likely, likely, *PEOPLE))
        wish = Wish(
            pick.place(who),
            pick.name(),
            promised,
            method,
            binds_sha256=(method == "POST") is not pick.one("binds_sha256", (False,) * 7 + (True,)),
            crc_of=pick.one("crc_of", [*[None, promised] * 4, *alike]),
            is_text=pick.one("is_text", (True, False)) and not (promised == PICTURE and not pick.maybe("lies")),
            renames=pick.one("renames", (True, False)),
            replaces=replaces,
        )
        return cls(pick.new(), who, wish)

    def foretell(self, model: Model) -> object:
        return model.create(self.number, self.who, self.wish)

    async def do(self, stage: Stage) -> object:
        wish = self.wish
        wanted = UploadWish(
            wish.name,
            len(wish.promised),
            TEXT if wish.is_text else OTHER,
            folder_id=stage.folders.get(wish.place),
            sha256=sha256_of(wish.promised) if wish.binds_sha256 else None,
            crc64nvme=None if wish.crc_of is None else crc_of(wish.crc_of),
            method=UploadMethod(wish.method),
            replaces=None if wish.replaces is None else stage.file_id(wish.replaces),
            on_conflict=OnConflict.RENAME if wish.renames else OnConflict.FAIL,
        )
        stage.uploads[self.number] = await stage.world.services.uploads.create(stage.principals[self.who], wanted)
        return "PENDING"


@dataclass(frozen=True)
class Target:
    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.upload())

    def foretell(self, model: Model) -> object:
        return model.target(self.number)

    async def do(self, stage: Stage) -> object:
        services, upload = stage.world.services, stage.uploads[self.number]
        now_is = (await services.uploads.find(stage.principals[ADMIN], [upload.id]))[upload.id]
        return "None" if await services.upload_targets.target(now_is) is None else "a target"


@dataclass(frozen=True)
class Sign:
    who: str
    number: int
    parts: tuple[tuple[int, Blob | None], ...]

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.upload(*("MULTIPART",) if pick.has("MULTIPART") else ())
        upload = pick.model.uploads[number]
        plan = cut(upload.wish.promised) or {1: BLOBS["one"]}
        told: dict[int, list[Blob | None]] = {part: [None, plan[part], plan[part]] for part in plan}
        if 1 in told and len(plan) > 1:
            told[1].append(PIECES["other-part"])
        parts = [part for part in plan if not pick.maybe(f"without {part}")]
        if pick.maybe("beyond"):
            parts.append(len(plan) + 1)
        return cls(
            pick.person(upload.owner),
            number,
            tuple((part, pick.one(f"told of {part}", told.get(part, [None]))) for part in parts),
        )

    def foretell(self, model: Model) -> object:
        return model.sign(self.who, self.number, dict(self.parts))

    async def do(self, stage: Stage) -> object:
        wishes = [PartWish(part, None if content is None else crc_of(content)) for part, content in self.parts]
        upload = stage.uploads[self.number]
        await stage.world.services.upload_targets.sign_parts(stage.principals[self.who], upload.id, wishes)
        return "signed"


@dataclass(frozen=True)
class Adopt:
    """The client begins an upload at the store itself, as it has been given leave to, and has a part of it signed."""

    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.upload("MULTIPART"))

    def foretell(self, model: Model) -> object:
        return model.adopt(model.uploads[self.number].owner, self.number, 1)

    async def do(self, stage: Stage) -> object:
        upload, sign = stage.uploads[self.number], stage.world.services.upload_targets.sign_request
        owner = next(who for who, each in stage.principals.items() if each.user_id == upload.owner_id)
        await sign(stage.principals[owner], upload.id, StoreRequestKind.CREATE_MULTIPART)
        begun = await stage.world.store.begin_parts(upload.promise)
        await sign(stage.principals[owner], upload.id, StoreRequestKind.UPLOAD_PART, begun.id, PartWish(1))
        return "adopted"


@dataclass(frozen=True)
class Put:
    number: int
    content: Blob

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.upload("PUT", "POST")
        return cls(number, pick.content(pick.model.uploads[number].wish.promised))

    def foretell(self, model: Model) -> object:
        return model.put(self.number, self.content)

    async def do(self, stage: Stage) -> object:
        upload = stage.uploads[self.number]
        promise = PromisedObject(upload.object_key, upload.size, upload.content_type, None)
        sha256 = None if upload.sha256 is None else sha256_of(self.content)
        stage.world.store.put(promise, self.content, sha256=sha256)
        return "stored"


@dataclass(frozen=True)
class PutPart:
    number: int
    part: int
    content: Blob

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.upload("MULTIPART")
        plan = cut(pick.model.uploads[number].wish.promised)
        missing = [part for part in plan if part not in pick.model.uploads[number].parts]
        part = pick.one("part", [*missing, *missing, *plan, len(plan) + 1])
        right = plan.get(part, PIECES["end"])
        alike = [piece for piece in PIECES.values() if len(piece) == len(right)]
        return cls(number, part, pick.one("content", [*[right] * 3, *alike, PIECES["ends"]]))

    def foretell(self, model: Model) -> object:
        return model.put_part(self.number, self.part, self.content)

    async def do(self, stage: Stage) -> object:
        store_upload, store = await stage.store_upload(self.number), stage.world.store
        assert store_upload is not None
        if store_upload not in store.open:
            upload = stage.uploads[self.number]
            store.open[store_upload], store.begun[store_upload] = {}, (stage.world.clock(), upload.content_type)
        store.put_part(store_upload, self.part, self.content)
        return "stored"


@dataclass(frozen=True)
class LoseParts:
    """The bucket has a rule for what is left open."""

    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.upload("MULTIPART"))

    def foretell(self, model: Model) -> object:
        model.lose_parts(self.number)
        return None

    async def do(self, stage: Stage) -> object:
        store_upload = await stage.store_upload(self.number)
        if store_upload is not None:
            await stage.world.store.abort_parts(store_upload)
        return None


@dataclass(frozen=True)
class Complete:
    who: str
    number: int
    renames: bool | None = None
    crc_of: Blob | None = None

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.upload()
        upload = pick.model.uploads[number]
        renames = pick.one("renames", (None, None, False, True))
        return cls(pick.person(upload.owner), number, renames, pick.one("crc_of", (None, None, upload.wish.promised)))

    def foretell(self, model: Model) -> object:
        return model.complete(self.who, self.number, renames=self.renames, crc_of=self.crc_of)

    async def do(self, stage: Stage) -> object:
        modes = {None: None, False: OnConflict.FAIL, True: OnConflict.RENAME}
        upload, file = await stage.world.services.completion.complete(
            stage.principals[self.who],
            stage.uploads[self.number].id,
            on_conflict=modes[self.renames],
            crc64nvme=None if self.crc_of is None else crc_of(self.crc_of),
        )
        if file is not None:
            assert file.id == upload.result_id
            return "a file"
        return "a file that is gone" if upload.status == "COMPLETED" else upload.status.value


@dataclass(frozen=True)
class Abort:
    who: str
    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        number = pick.upload()
        return cls(pick.person(pick.model.uploads[number].owner), number)

    def foretell(self, model: Model) -> object:
        return model.abort(self.who, self.number)

    async def do(self, stage: Stage) -> object:
        upload_id = stage.uploads[self.number].id
        return (await stage.world.services.uploads.abort(stage.principals[self.who], upload_id)).status.value


@dataclass(frozen=True)
class Told:
    """``number`` None: about nothing of ours. Without a ``verdict`` it tells that the object has arrived."""

    number: int | None
    verdict: str | None = None
    content: Blob = BLOBS["empty"]

    def event(self, stage: Stage) -> StoreEvent:
        key = "o/unknown" if self.number is None else stage.key(self.number)
        etag = etag_of(self.content)
        if self.verdict is None:
            return ObjectArrived(key, len(self.content), etag)
        return ScanVerdict(key, etag, ScanResult(self.verdict), ("Eicar",) if self.verdict == "THREATS_FOUND" else ())


def verdict_on(content: Blob) -> str:
    """Of one who looks at the bucket and knows what is infected when he sees it."""
    return {INFECTED: "THREATS_FOUND", UNSCANNABLE: "UNSUPPORTED"}.get(content, "NO_THREATS_FOUND")


@dataclass(frozen=True)
class Tell:
    """One message."""

    events: tuple[Told, ...]

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        many = pick.one("events", (1, 1, 1, 2, 3))
        return cls(tuple(cls._event(pick) for _ in range(many)))

    @staticmethod
    def _event(pick: Pick) -> Told:
        model = pick.model
        if not model.uploads or pick.one("unknown", (False,) * 7 + (True,)):
            return Told(None)
        number = pick.upload()
        if not pick.one("is verdict", (False, True, model.judge == "EVENTS")):
            return Told(number)
        promised = model.uploads[number].wish.promised
        there = Blob(model.objects.get(number, promised))
        content = pick.one("of", [*[there] * 6, promised, promised, *BLOBS.values()])
        verdict = pick.one("verdict", [verdict_on(content)] * 5 + ["ACCESS_DENIED", "FAILED"])
        return Told(number, verdict, content)

    def foretell(self, model: Model) -> object:
        for each in self.events:
            if each.number is not None and each.verdict is None:
                model.arrived(each.number)
            elif each.number is not None and each.verdict is not None:
                model.judged(each.number, each.verdict, each.content)
        return "known" if all(each.number is not None for each in self.events) else "not known yet"

    async def do(self, stage: Stage) -> object:
        is_known = await stage.told(*(each.event(stage) for each in self.events))
        return "known" if is_known else "not known yet"


@dataclass(frozen=True)
class Sweep:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.sweep()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.upkeep.sweep()
        return "swept"


@dataclass(frozen=True)
class Recheck:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.recheck()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.rechecks.sweep()
        return "rechecked"


@dataclass(frozen=True)
class AbortStrays:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.abort_strays()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.strays.sweep()
        return "no strays"


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
        folder = model.folders[self.place]
        folder.quota, folder.max_size, folder.takes_text_only = self.quota, self.max_size, self.takes_text_only
        return "set"

    async def do(self, stage: Stage) -> object:
        gate = Gate(self.quota, self.max_size, (TEXT,) if self.takes_text_only else None)
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


@dataclass(frozen=True)
class Lock:
    """The store refuses to remove an object, or does so no longer."""

    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.upload())

    def foretell(self, model: Model) -> object:
        model.locked ^= {self.number}
        return None

    async def do(self, stage: Stage) -> object:
        stage.world.store.locked ^= {stage.key(self.number)}
        return None


@dataclass(frozen=True)
class Wait:
    minutes: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.one("minutes", (1, 1, 6, 6, 45, 45, 90, 90, 6 * 60, 25 * 60, 4 * 24 * 60)))

    def foretell(self, model: Model) -> object:
        model.now += timedelta(minutes=self.minutes)
        return None

    async def do(self, stage: Stage) -> object:
        stage.world.clock.advance(minutes=self.minutes)
        return None
