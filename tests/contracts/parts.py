"""Objects in two parts, and how a test sends them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from graphql_api.model.ids import new_object_key
from graphql_api.model.parts import MIN_PART_SIZE, PartTarget, PromisedPart, StoredPart, StoreUpload
from graphql_api.model.stored_object import PromisedObject
from graphql_api.storage import ObjectStore
from tests.contracts.samples import crc64nvme_of
from tests.memory_store import MemoryStore

LIFETIME: Final = timedelta(minutes=5)
HEAD: Final = os.urandom(MIN_PART_SIZE)
TAIL: Final = os.urandom(1000)
WHOLE: Final = HEAD + TAIL
CRC: Final = crc64nvme_of(WHOLE)


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload in parts at a key of its own."""

    store: ObjectStore
    upload: StoreUpload

    async def target(self, number: int, content: bytes, *, with_checksum: bool = True) -> PartTarget:
        part = PromisedPart(number, len(content), crc64nvme_of(content) if with_checksum else None)
        [target] = await self.store.presign_parts(self.upload, [part], now=datetime.now(UTC), lifetime=LIFETIME)
        return target

    async def send(self, *contents: bytes, with_checksum: bool = True) -> None:
        """As the parts from 1 on."""
        for number, content in enumerate(contents, 1):
            target = await self.target(number, content, with_checksum=with_checksum)
            if isinstance(self.store, MemoryStore):
                self.store.put_part(self.upload, number, content)
            else:
                assert (await put(target, content)).status_code == 200

    async def parts(self) -> Sequence[StoredPart]:
        found = await self.store.list_parts(self.upload)
        assert found is not None
        return found


def promise_of(size: int = len(WHOLE), key: str | None = None) -> PromisedObject:
    return PromisedObject(key or new_object_key(datetime.now(UTC)), size, "image/jpeg", None)


async def begun_at(store: ObjectStore, key: str | None = None) -> Begun:
    return Begun(store, await store.begin_parts(promise_of(key=key)))


async def put(target: PartTarget, content: bytes) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.put(target.url, content=content, headers=dict(target.headers))
