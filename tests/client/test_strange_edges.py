"""Downloads from edges that answer otherwise than they should: each comes to an end."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from graphql_api.client.api import Api
from graphql_api.client.download import Downloader
from graphql_api.client.errors import TransferFailed
from graphql_api.client.patience import Patience
from graphql_api.client.protocol import RemoteFile
from graphql_api.client.remote import Remote
from tests.client.conftest import Remembered

CONTENT = bytes(range(10))
FILE = RemoteFile("file_1", "ten.bin", "/ten.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), None)
TRIES = 3


class Edge:
    """Sends at most ``most`` bytes with each answer, in chunks, so that none says how many it will be."""

    def __init__(self, most: int, *, knows_ranges: bool) -> None:
        self.most = most
        self.knows_ranges = knows_ranges
        self.answers = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/graphql":
            return httpx.Response(200, json={"data": {"file": {"signedUrl": {"url": "https://edge.test/o/1"}}}})
        self.answers += 1
        wish = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wish is None or not self.knows_ranges:
            return httpx.Response(200, content=pieces(CONTENT[: self.most]))
        start = int(wish[1])
        headers = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        return httpx.Response(206, headers=headers, content=pieces(CONTENT[start : start + self.most]))


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def download(edge: Edge, folder: Path, progress: Remembered) -> None:
    patience = Patience(TRIES, first=0.001, longest=0.001)
    async with httpx.AsyncClient(transport=httpx.MockTransport(edge)) as http:
        remote = Remote(Api(http, "https://api.test/graphql", "token", patience))
        await Downloader(remote, http, anyio.CapacityLimiter(1), patience, progress).download(FILE, folder)


@pytest.mark.parametrize("most", [0, 3])
async def test_an_edge_that_never_sends_all_is_asked_as_often_as_patience_has_it(
    tmp_path: Path, progress: Remembered, most: int
) -> None:
    edge = Edge(most, knows_ranges=False)
    with pytest.raises(TransferFailed, match="cut off"):
        await download(edge, tmp_path, progress)
    assert edge.answers == TRIES  # the first pause after it brought something is the first of all
    assert progress.moved == most


async def test_an_edge_that_sends_a_little_each_time_is_asked_until_all_is_there(
    tmp_path: Path, progress: Remembered
) -> None:
    edge = Edge(2, knows_ranges=True)
    await download(edge, tmp_path, progress)
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
    assert (edge.answers, progress.moved) == (5, len(CONTENT))
