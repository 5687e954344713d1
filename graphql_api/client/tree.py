"""Folders, here and there: what is below a local one, and how to come to a remote one."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphql_api.client.errors import TransferFailed
from graphql_api.client.protocol import RemoteFolder
from graphql_api.client.remote import Remote


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload into the folder at ``folders``, names from the top down."""

    path: Path
    folders: tuple[str, ...]
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder to be made, before what is in it."""

    path: Path
    folders: tuple[str, ...]  # itself the last


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot be uploaded, and why."""

    path: Path
    reason: str


Local = LocalFile | LocalFolder | Unreadable


def below(path: Path) -> Iterator[Local]:
    """``path`` and, if it is a folder, everything below, a folder before what is in it, by name.

    Symbolic links are followed, but not to a folder that they themselves are in.
    """
    yield from _below(path, (), frozenset())


def _below(path: Path, folders: tuple[str, ...], above: frozenset[tuple[int, int]]) -> Iterator[Local]:
    try:
        found = path.stat()
        if not path.is_dir():
            yield LocalFile(path, folders, found.st_size)
            return
        identity = (found.st_dev, found.st_ino)
        if identity in above:
            raise OSError(0, "a link to a folder that it is in")
        names = sorted(os.listdir(path))
    except OSError as error:
        yield Unreadable(path, error.strerror or "cannot be read")
        return
    inner = (*folders, path.name or path.resolve().name)
    yield LocalFolder(path, inner)
    for name in names:
        yield from _below(path / name, inner, above | {identity})


async def find_folder(remote: Remote, path: str, *, makes_missing: bool = False) -> RemoteFolder:
    """The folder at ``path`` as the viewer sees the tree, or with this id.

    Raises: TransferFailed: there is none, or several topmost ones have this name.
    """
    if path.startswith("folder_"):
        found = await remote.get_folder(path)
        if not found:
            raise TransferFailed(f"there is no folder {path}")
        return found
    names = [name for name in path.split("/") if name]
    tops = await remote.top_folders()
    matches = [top for top in tops if top.path == "/"] or [
        top for top in tops if names and _is_same_name(top.name, names[0])
    ]
    if len(matches) > 1:
        raise TransferFailed(f"several folders are called /{names[0]}: say which by its id")
    if not matches:
        raise TransferFailed(f"there is no folder /{'/'.join(names[:1])}")
    [folder] = matches
    for name in names if folder.path == "/" else names[1:]:
        async for child in remote.subfolders(folder):
            if _is_same_name(child.name, name):
                folder = child
                break
        else:
            if not makes_missing:
                raise TransferFailed(f"there is no folder {path}")
            folder = await remote.ensure_folder(folder, name)
    return folder


def _is_same_name(one: str, other: str) -> bool:
    """As the API compares names: canonical caseless matching (The Unicode Standard, section 3.13, D145)."""
    return _key(one) == _key(other)


def _key(name: str) -> str:
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).casefold())
