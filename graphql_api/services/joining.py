"""Making one object of the parts that the store holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from awscrt import checksums

from graphql_api.db import upload_parts, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import BytesMissing, Unavailable
from graphql_api.model.parts import JoinOutcome, PartPlan, StoredPart, StoreUpload
from graphql_api.model.upload import Upload, UploadFailure, UploadFailureCode
from graphql_api.storage import ObjectStore

MAX_TOLD: Final = 1_000  # missing parts that one error lists
ATTEMPTS: Final = 3  # to join parts of which one is sent again at the same moment


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it. ``crc64nvme`` (hex): combined from those of the parts, None when one of them is not known."""

    crc64nvme: str | None = None
    failure: UploadFailure | None = None


class Joining:
    """For uploads in parts that have no object yet."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def join(self, upload: Upload, promised: str | None) -> Joined:
        """Ask the store to make the object, which is there afterwards unless the upload fails or has ended meanwhile.

        The length is summed here, because not every store compares it. ``promised``: hex, of the whole; without it the
        checksum that the parts combine to is what the store is asked to compare.

        Raises: BytesMissing: parts are missing or have another length; it tells which. Unavailable.
        """
        plan, store_upload = upload.plan, upload.store_upload
        assert plan is not None, "an upload in parts has a plan"
        held = None if store_upload is None else await self._store.list_parts(store_upload)
        for _ in range(ATTEMPTS):
            if store_upload is None or held is None:
                return await self._without_parts(upload, plan)
            joined = await self._join(upload, plan, store_upload, held, promised)
            if joined.failure is None:
                return joined
            before, held = held, await self._store.list_parts(store_upload)
            if held == before:
                return joined
        raise Unavailable("store")

    async def _join(
        self,
        upload: Upload,
        plan: PartPlan,
        store_upload: StoreUpload,
        held: Sequence[StoredPart],
        promised: str | None,
    ) -> Joined:
        """A failure of parts that have changed since they were listed proves nothing."""
        wanted = {part.number: part for part in held if part.number <= plan.count}
        missing = [n for n in range(1, plan.count + 1) if n not in wanted or wanted[n].size != plan.length_of(n)]
        if missing:
            raise _missing(upload, missing)
        parts = [wanted[number] for number in range(1, plan.count + 1)]
        async with self._database.autocommit() as connection:
            said = await upload_parts.list_promises(connection, upload.id)
        combined = _combined(parts, said)
        if promised is not None and combined is not None and promised != combined:
            return Joined(combined, _other("the checksums of the parts make another than was promised of the whole"))
        outcome = await self._store.join_parts(store_upload, parts, crc64nvme=promised or combined)
        if outcome is JoinOutcome.MISMATCH:
            return Joined(combined, _other("the parts that are stored are not those that were promised"))
        return Joined(combined)

    async def _without_parts(self, upload: Upload, plan: PartPlan) -> Joined:
        """The store has no such upload: it was never begun, has become the object just now, or was given up there."""
        if upload.store_upload_id is not None and await self._store.find(upload.object_key) is not None:
            return Joined()
        if upload.store_upload_id is not None:  # such as by a rule of the bucket: whoever sends parts begins another
            async with self._database.autocommit() as connection:
                await uploads.replace_begun(connection, upload.id, None, instead_of=upload.store_upload_id)
        raise _missing(upload, range(1, plan.count + 1))


def _combined(parts: Sequence[StoredPart], said: Mapping[int, str]) -> str | None:
    """CRC-64/NVME of the whole. Of a part the store's word counts, else what its target bound it to."""
    whole = 0
    for part in parts:
        checksum = part.crc64nvme or said.get(part.number)
        if checksum is None:
            return None
        whole = checksums.combine_crc64nvme(whole, int(checksum, 16), part.size)
    return f"{whole:016x}"


def _missing(upload: Upload, numbers: Sequence[int]) -> BytesMissing:
    return BytesMissing(
        f"the store does not hold {len(numbers)} of the parts yet",
        status=upload.status,
        path=("uploadId",),
        missing_parts=tuple(numbers[:MAX_TOLD]),
    )


def _other(message: str) -> UploadFailure:
    return UploadFailure(UploadFailureCode.CHECKSUM_MISMATCH, message)
