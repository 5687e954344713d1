"""A directory of this machine: what its files are, and what the operating system refuses."""

import os
from pathlib import Path

import pytest

from graphql_api.errors import ConfigurationError
from graphql_api.storage.directory import READ_PIECE, Directory


async def test_what_is_no_plain_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert [entry.key for entry in await Directory(tmp_path).list_objects("", after=None, limit=10)] == ["a"]


async def test_a_piece_has_a_length_that_memory_holds(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(3 * READ_PIECE + 1))
    sizes = [len(piece) async for piece in Directory(tmp_path).read("big")]
    assert sizes == [*[READ_PIECE] * 3, 1]


async def test_refusals_say_what_and_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing: cannot be read: No such file or directory"):
        await Directory(tmp_path / "nothing").list_objects("", after=None, limit=10)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        await Directory(tmp_path / "file").list_objects("", after=None, limit=10)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="Is a directory"):
        await anext(Directory(tmp_path).read("folder"))
