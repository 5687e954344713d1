"""Requests to the store and to the edge. They carry no token: the address is the permission."""

import re
from collections.abc import AsyncIterator
from typing import Final

import httpx

from graphql_api.client.api import retry_after
from graphql_api.client.errors import Busy, StoreRefused, UploadGone
from graphql_api.client.progress import Progress
from graphql_api.client.protocol import SignedPut
from graphql_api.client.source import Source

TIMEOUT: Final = httpx.Timeout(60, connect=15, read=300)  # seconds; a store answers when it has put away all bytes
NOT_NOW: Final = frozenset({408, 409, 429, 500, 502, 503, 504})  # statuses after which nobody knows, or later is better
_CODE: Final = re.compile(rb"<Code>(\w{1,60})</Code>")


async def put(
    http: httpx.AsyncClient, target: SignedPut, source: Source, progress: Progress, *, start: int = 0, length: int
) -> None:
    """Send ``length`` bytes from ``start`` on. When this returns they are there, now or from an earlier try (412).

    Raises: Busy: the same again may help. StoreRefused: it does not; a fresh target may. FileChanged.
    """
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        async for chunk in source.read(start, length):
            yield chunk
            sent += len(chunk)
            progress.advance(len(chunk))

    is_there = False
    try:
        # The length is signed: without this header the body, whose length httpx does not know, would go in chunks.
        headers = {**target.headers, "Content-Length": str(length)}
        answer = await http.put(target.url, content=body(), headers=headers, timeout=TIMEOUT)
        is_there = answer.is_success or answer.status_code == 412
        if not is_there:
            raise refusal("store", answer, answer.content)
    except httpx.TransportError:
        raise Busy("the store does not answer") from None
    finally:
        if not is_there:
            progress.advance(-sent)
    progress.advance(length - sent)  # a store that has the bytes may say so before they are sent


def refusal(who: str, answer: httpx.Response, body: bytes) -> StoreRefused | Busy:
    """What an answer that is no success means."""
    found = _CODE.search(body[:4096])
    code = found[1].decode() if found else ""
    said = f"the {who} answers {answer.status_code} {code}".rstrip()
    if answer.status_code in NOT_NOW or code == "RequestTimeout":  # Amazon's, for bytes that came too slowly: a 400
        return Busy(said, retry_after=retry_after(answer))
    if answer.status_code == 404:
        return UploadGone(said)
    return StoreRefused(said)
