"""What can be listed and read, wherever it lies: in a bucket, in a directory, in a test's memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from graphql_api.errors import NotFound
from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.stored_object import PromisedObject
from graphql_api.services.clock import utc_now
from graphql_api.storage import ObjectReader
from graphql_api.storage.directory import Directory
from tests.cli.program import numbers
from tests.memory_store import MemoryStore
from tests.store import s3_store

KEYS = ["a/b", "a/b.c", "a/c/d", "ab", "b", "日/x"]
BEFORE_A_SLASH = "a.b"  # SeaweedFS sorts what is below a folder by its name without the slash; S3 and the others do not


@dataclass
class Reader:
    """``put`` lays something there; all keys begin with ``prefix``. ``sorts_as_s3``: by the bytes of the whole key."""

    reader: ObjectReader
    put: Callable[[str, bytes], object]
    prefix: str
    sorts_as_s3: bool = True

    async def listed(self, below: str = "", *, after: str | None = None, limit: int = 1000) -> list[str]:
        """Page by page, without the prefix."""
        found: list[str] = []
        after = None if after is None else self.prefix + after
        while True:
            page = await self.reader.list_objects(self.prefix + below, after=after, limit=limit)
            found += [entry.key.removeprefix(self.prefix) for entry in page]
            if len(page) < limit:
                return found
            after = page[-1].key


@pytest.fixture(params=["seaweed", "memory", "directory"])
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reader]:
    prefix = f"reader-{next(numbers)}/"
    if request.param == "seaweed":
        server: SeaweedStore = request.getfixturevalue("store_server")
        with closing(connect(server.endpoint_url, server.admin)) as client, closing(s3_store(server)) as store:
            yield Reader(
                store,
                lambda key, body: client.put_object(Bucket=server.bucket, Key=prefix + key, Body=body),
                prefix,
                sorts_as_s3=False,
            )
    elif request.param == "memory":
        memory = MemoryStore(utc_now)

        def keep(key: str, content: bytes) -> None:
            memory.put(PromisedObject(prefix + key, len(content), "text/plain", None), content)

        yield Reader(memory, keep, prefix)
    else:

        def lay(key: str, content: bytes) -> None:
            path = tmp_path / prefix / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        yield Reader(Directory(tmp_path), lay, prefix)


async def test_what_is_there_comes_in_order_of_key_page_by_page(there: Reader) -> None:
    assert sorted(KEYS) == KEYS
    for key in reversed(KEYS):
        there.put(key, key.encode())
    for limit in (1, 2, 1000):
        assert await there.listed(limit=limit) == KEYS
        assert await there.listed("a/", limit=limit) == ["a/b", "a/b.c", "a/c/d"]
        assert await there.listed(after="a/b", limit=limit) == ["a/b.c", "a/c/d", "ab", "b", "日/x"]


async def test_of_keys_before_a_slash_and_after_it_each_comes_once(there: Reader) -> None:
    for key in (BEFORE_A_SLASH, *KEYS):
        there.put(key, key.encode())
    for limit in (1, 2, 1000):
        listed = await there.listed(limit=limit)
        assert sorted(listed) == [BEFORE_A_SLASH, *KEYS]
        assert not there.sorts_as_s3 or listed == sorted(listed)


async def test_a_list_that_begins_anew_has_what_came_meanwhile(there: Reader) -> None:
    there.put("b", b"")
    assert await there.listed(limit=1) == ["b"]
    there.put("a", b"")
    assert await there.listed(limit=1) == ["a", "b"]


async def test_an_entry_tells_the_length(there: Reader) -> None:
    there.put("a", b"twelve bytes")
    [entry] = await there.reader.list_objects(there.prefix, after=None, limit=10)
    assert (entry.size, entry.modified_at.tzinfo is None) == (12, False)


async def test_bytes_come_whole_and_in_order(there: Reader) -> None:
    content = bytes(range(256)) * 2500
    there.put("a", content)
    async with aclosing(there.reader.read(f"{there.prefix}a")) as pieces:
        assert b"".join([piece async for piece in pieces]) == content


async def test_nothing_is_not_the_same_as_what_is_empty(there: Reader) -> None:
    there.put("empty", b"")
    async with aclosing(there.reader.read(f"{there.prefix}empty")) as pieces:
        assert [piece async for piece in pieces] == []
    async with aclosing(there.reader.read(f"{there.prefix}absent")) as pieces:
        with pytest.raises(NotFound):
            await anext(pieces)
