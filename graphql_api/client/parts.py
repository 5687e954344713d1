"""An upload in parts: only those that the store does not hold yet are sent, several at a time."""

import re
from collections.abc import AsyncIterator
from typing import Final

import anyio
import httpx
from awscrt import checksums

from graphql_api.client.errors import StoreRefused, UploadGone
from graphql_api.client.patience import Patience, in_parallel, persist
from graphql_api.client.progress import Progress
from graphql_api.client.protocol import InParts, RemoteUpload, StoredPart
from graphql_api.client.remote import Remote
from graphql_api.client.source import Source, crc64nvme_hex
from graphql_api.client.store import put

_MD5: Final = re.compile(r"[0-9a-f]{32}")


class PartSender:
    """``slots`` bounds how many requests the whole client has under way at the store."""

    def __init__(
        self,
        remote: Remote,
        http: httpx.AsyncClient,
        slots: anyio.CapacityLimiter,
        patience: Patience,
        progress: Progress,
    ) -> None:
        self._remote = remote
        self._http = http
        self._slots = slots
        self._patience = patience
        self._progress = progress

    async def send(self, upload: RemoteUpload, plan: InParts, source: Source) -> str:
        """The CRC-64/NVME of the whole (hex), put together from the parts', once the store holds them all.

        Raises: TransferFailed, UploadGone.
        """
        crcs: dict[int, int] = {}

        async def numbers() -> AsyncIterator[int]:
            for number in range(1, plan.count + 1):
                yield number

        async def bring(number: int) -> None:
            crcs[number] = await self._bring(upload, plan, source, number)

        await in_parallel(int(self._slots.total_tokens), numbers(), bring)
        whole = 0
        for number in range(1, plan.count + 1):
            whole = checksums.combine_crc64nvme(whole, crcs[number], _length(plan, source, number))
        return crc64nvme_hex(whole)

    async def _bring(self, upload: RemoteUpload, plan: InParts, source: Source, number: int) -> int:
        """The part's checksum, once the store holds it."""
        start, length = (number - 1) * plan.size, _length(plan, source, number)
        crc = await source.crc64nvme(start, length)
        stored = upload.parts.get(number)
        if stored and await _is_same(stored, source, start, length, crc):
            self._progress.advance(length)
            return crc
        refusals = 0

        async def once() -> bool:
            # Signed for each try: an address lives for an hour only, and the network may have been away for longer.
            nonlocal refusals
            target = await self._remote.sign_part(upload.id, number, crc64nvme_hex(crc))
            try:
                async with self._slots:  # not while it is read or waits for its next try: others go on meanwhile
                    await put(self._http, target, source, self._progress, start=start, length=length)
            except UploadGone:
                raise
            except StoreRefused:
                source.require_unchanged()
                refusals += 1
                if refusals > 1:  # a fresh address did not help
                    raise
                return False
            return True

        while not await persist(self._patience, once):
            pass
        return crc


def _length(plan: InParts, source: Source, number: int) -> int:
    return min(plan.size, source.size - (number - 1) * plan.size)


async def _is_same(stored: StoredPart, source: Source, start: int, length: int, crc: int) -> bool:
    """Whether the store's part has our bytes; not if that cannot be told."""
    if stored.size != length:
        return False
    if stored.crc64nvme is not None:
        return stored.crc64nvme == crc64nvme_hex(crc)
    return _MD5.fullmatch(stored.etag) is not None and stored.etag == await source.md5(start, length)
