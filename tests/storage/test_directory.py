"""A directory, read as if it were a bucket."""

import os
from pathlib import Path
from typing import Any

import pytest

from graphql_api.errors import ConfigurationError, NotFound
from graphql_api.storage.directory import Directory


def laid(root: Path, *keys: str) -> Directory:
    for key in keys:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)
    return Directory(root)


async def listed(directory: Directory, *, limit: int, prefix: str = "", after: str | None = None) -> list[str]:
    found: list[str] = []
    while page := await directory.list_objects(prefix, after=after, limit=limit):
        found += [entry.key for entry in page]
        after = page[-1].key
        if len(page) < limit:
            break
    return found


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_files_come_in_the_order_of_a_bucket_page_by_page(tmp_path: Path, limit: int) -> None:
    keys = ["a.b", "a/b", "a/b.c", "a/c/d", "ab", "b", "日/x"]
    assert keys == sorted(keys)
    directory = laid(tmp_path, *reversed(keys))
    (tmp_path / "empty").mkdir()
    assert await listed(directory, limit=limit) == keys
    assert await listed(directory, limit=limit, prefix="a/") == ["a/b", "a/b.c", "a/c/d"]
    assert await listed(directory, limit=limit, after="a/b") == ["a/b.c", "a/c/d", "ab", "b", "日/x"]


async def test_a_walk_that_begins_anew_finds_what_came_meanwhile(tmp_path: Path) -> None:
    directory = laid(tmp_path, "b")
    assert await listed(directory, limit=1) == ["b"]
    laid(tmp_path, "a")
    assert await listed(directory, limit=1) == ["a", "b"]


async def test_an_entry_tells_the_length(tmp_path: Path) -> None:
    [entry] = await laid(tmp_path, "twelve bytes").list_objects("", after=None, limit=10)
    assert (entry.key, entry.size, entry.modified_at.tzinfo is None) == ("twelve bytes", 12, False)


async def test_what_is_no_plain_file_is_not_there(tmp_path: Path) -> None:
    directory = laid(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert await listed(directory, limit=10) == ["a"]


async def read(directory: Directory, key: str) -> bytes:
    return b"".join([piece async for piece in directory.read(key)])


async def test_bytes_come_in_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "big").write_bytes(content)
    pieces: list[Any] = [piece async for piece in Directory(tmp_path).read("big")]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == 256 * 1024
    assert await read(laid(tmp_path, "a/b"), "a/b") == b"a/b"


async def test_refusals_say_what_and_why(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await read(Directory(tmp_path), "nothing")
    with pytest.raises(ConfigurationError, match=r"nothing: cannot be read: No such file or directory"):
        await Directory(tmp_path / "nothing").list_objects("", after=None, limit=10)
    laid(tmp_path, "file")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        await Directory(tmp_path / "file").list_objects("", after=None, limit=10)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="Is a directory"):
        await read(Directory(tmp_path), "folder")
