"""A directory of this machine: what its files are, and what the operating system refuses."""

import os
from pathlib import Path
from shutil import rmtree

import pytest

from graphql_api.errors import ConfigurationError, UnreadableLog
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
    with pytest.raises(UnreadableLog, match="it cannot be read: Is a directory"):
        await anext(Directory(tmp_path).read("folder"))


async def test_what_is_refused_below_is_told_and_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "z"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    deep = "d" * 250
    below = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # a path that is too long for any system call
        os.mkdir(deep, dir_fd=below)
        above, below = below, os.open(deep, os.O_RDONLY, dir_fd=below)
        os.close(above)
    os.close(below)
    assert [entry.key for entry in await Directory(tmp_path).list_objects("", after=None, limit=10)] == ["a", "z"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "File name too long" in told[0]
    assert told[1] == "directory_passed_over path='loop' reason='Too many levels of symbolic links'"


async def test_a_directory_that_goes_while_it_is_listed_is_not_there(tmp_path: Path) -> None:
    for name in ("a", "m/b", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    directory = Directory(tmp_path)
    assert [entry.key for entry in await directory.list_objects("", after=None, limit=1)] == ["a"]
    rmtree(tmp_path / "m")
    assert [entry.key for entry in await directory.list_objects("", after="a", limit=10)] == ["z"]
