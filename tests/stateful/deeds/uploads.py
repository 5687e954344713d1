"""What clients do about uploads, and what becomes of what they send."""

from dataclasses import dataclass
from typing import Self

from graphql_api.model.stored_object import PromisedObject, StoreRequestKind
from graphql_api.model.upload import OnConflict, UploadMethod
from graphql_api.services.upload_targets import PartWish
from graphql_api.services.upload_wishes import UploadWish
from tests.memory_store import crc_of
from tests.stateful.blobs import BLOBS, PART, PICTURE, PIECES, Blob, cut
from tests.stateful.model import Model
from tests.stateful.model.nouns import ADMIN, PEOPLE, Wish
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage, sha256_of

TEXT, OTHER = "text/plain", "application/octet-stream"


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
        return cls(number, part, pick.piece(right))

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
        promised = upload.wish.promised
        alike = [blob for blob in BLOBS.values() if len(blob) == len(promised)]
        crc_of = pick.one("crc_of", [*[None, promised] * 4, *alike])
        return cls(pick.person(upload.owner), number, renames, crc_of)

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
