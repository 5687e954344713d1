"""What S3 does not copy in one request is copied in parts, with S3's smallest parts here, and leaves none behind."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx
import pytest

from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.ids import new_object_key, new_published_key
from graphql_api.model.parts import MIB, StoreUpload
from graphql_api.model.stored_object import PromisedObject
from graphql_api.services.clock import utc_now
from graphql_api.storage.s3 import S3Store
from graphql_api.storage.s3_copies import CopyHeaders, S3Copier
from tests.contracts.test_object_store import LIFETIME, opened
from tests.store import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

CONTENT = bytes(range(256)) * (44 * 1024)  # 11 MiB: two parts and a rest
HEADERS = CopyHeaders("text/x-copied", 'attachment; filename="a.txt"', "public, max-age=60")


@pytest.fixture(params=["seaweed", "mini", "moto"])
def store(request: pytest.FixtureRequest) -> S3Store:
    found: S3Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def source(store: S3Store) -> AsyncIterator[str]:
    promise = PromisedObject(new_object_key(utc_now()), len(CONTENT), "text/plain", None)
    target = await store.presign_put(promise, now=utc_now(), lifetime=LIFETIME)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.put(target.url, content=CONTENT, headers=dict(target.headers))).status_code == 200
    yield promise.key
    await store.delete([promise.key])


class Watched:
    """Asks as the store does, and does something before one of the requests."""

    def __init__(self, store: S3Store, number: int, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._number = number
        self._meanwhile = meanwhile
        self.asked = 0

    async def __call__(self, operation: str, request: "Callable[[S3Client], T]", *, read_timeout: float = 10.0) -> T:
        self.asked += 1
        if self.asked == self._number:
            await self._meanwhile()
        return await self._store._connection.ask(operation, request, read_timeout=read_timeout)

    @property
    def copier(self) -> S3Copier:
        return S3Copier(self, BUCKET, parts_above=5 * MIB, part_size=5 * MIB)


async def nothing() -> None:
    pass


async def left_at(store: S3Store, key: str) -> list[StoreUpload]:
    return [each.upload for each in await store.list_open_uploads(key, after=None, limit=10)]


async def test_a_copy_in_parts_has_all_bytes_and_its_own_headers_and_is_made_again(store: S3Store, source: str) -> None:
    key = new_published_key(utc_now())
    watched = Watched(store, 0, nothing)
    for _ in range(2):
        await watched.copier.copy(source, key, HEADERS)
    assert watched.asked == 2 * (1 + 1 + 3 + 1)  # how long it is, the beginning, the parts, the end
    found = await store.find(key)
    assert found is not None
    assert (found.size, found.content_type) == (len(CONTENT), HEADERS.content_type)
    answer = await opened(store, key)
    assert answer.content == CONTENT
    assert answer.headers["content-disposition"] == HEADERS.disposition
    assert answer.headers["cache-control"] == HEADERS.cache_control
    assert await left_at(store, key) == []
    await store.delete([key])


@pytest.mark.parametrize("number", [3, 6], ids=["a part", "the end"])
@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_what_is_cut_off_leaves_neither_parts_nor_a_copy(
    store: S3Store, source: str, number: int, how: str
) -> None:
    key = new_published_key(utc_now())

    async def end() -> None:
        if how == "fails":
            raise Unavailable("store")
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    watched = Watched(store, number, end)
    with anyio.CancelScope() as scope:
        if how == "fails":
            with pytest.raises(Unavailable):
                await watched.copier.copy(source, key, HEADERS)
        else:
            await watched.copier.copy(source, key, HEADERS)
    assert scope.cancelled_caught == (how == "is cancelled")
    assert await left_at(store, key) == []
    assert await store.find(key) is None


async def test_a_source_that_goes_meanwhile_is_not_there_and_leaves_no_parts(store: S3Store, source: str) -> None:
    key = new_published_key(utc_now())
    with pytest.raises(NotFound):
        await Watched(store, 3, lambda: store.delete([source])).copier.copy(source, key, HEADERS)
    assert await left_at(store, key) == []


async def test_parts_that_somebody_aborts_meanwhile_do_not_mean_that_the_source_is_gone(
    store: S3Store, source: str
) -> None:
    key = new_published_key(utc_now())

    async def abort() -> None:
        for upload in await left_at(store, key):
            await store.abort_parts(upload)

    with pytest.raises(Unavailable):
        await Watched(store, 6, abort).copier.copy(source, key, HEADERS)
    assert await store.find(key) is None
