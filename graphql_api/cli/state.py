"""The folder in which ``dev`` keeps all it has: ``api.db``, ``store/``, ``signing-key.pem``, ``secrets.json``; the key
group and the logs of its edge, ``key-group/`` and ``edge-logs/``; and ``settings.env``, by which other commands find a
run.
"""

import fcntl
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase, digits
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.errors import ConfigurationError

LOCK_NAME: Final = "dev.lock"
"""Held while a run uses the folder, and there from the first run on: by it we know a folder as ours."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run makes once, so that tokens and links stay valid over restarts."""

    key_pair_id: str
    token_secret: str = field(repr=False)


@contextmanager
def state_folder(path: Path, *, reset: bool) -> Iterator[Path]:
    """``path`` absolute, made if it is not there, emptied if ``reset``; nobody else uses it until the block ends.

    Raises: ConfigurationError: a folder that cannot be used, that holds other things, or that another run uses.
    """
    path = path.absolute()
    if "?" in str(path):  # it would begin the options in the address of a database
        raise ConfigurationError(f"the folder {path} cannot be used: its name has a question mark")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / LOCK_NAME).is_file():
            raise ConfigurationError(f"the folder {path} was not made by graphql-api dev: it is left as it is")
        path.chmod(0o700)
        lock = (path / LOCK_NAME).open("w")
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigurationError(f"the folder {path} cannot be used: {reason}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another graphql-api dev uses the folder {path}: choose one with --data"
            ) from None
        if reset:
            _empty(path)
        (path / ".gitignore").write_text("*\n")
        yield path


def kept_secrets(folder: Path) -> Kept:
    """Those of earlier runs, or new ones for the first, with the key of links in ``signing-key.pem``.

    Raises: ConfigurationError: they were damaged.
    """
    path = folder / "secrets.json"
    if path.exists():
        try:
            kept = Kept(**json.loads(path.read_text()))
            (folder / "signing-key.pem").read_bytes()
            return kept
        except (ValueError, TypeError, FileNotFoundError):
            raise ConfigurationError(f"{path} is damaged: start again from nothing with --reset") from None
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made = {
        "key_pair_id": "K" + "".join(secrets.choice(ascii_uppercase + digits) for _ in range(13)),
        "token_secret": secrets.token_urlsafe(48),
    }
    _write_private(folder / "signing-key.pem", pem)
    _write_private(path, json.dumps(made).encode())
    return Kept(**made)


def key_group(folder: Path, key_pair_id: str, public_pem: str) -> Path:
    """The folder with the edge's trusted keys. The first run puts its key there; later it is whoever's who rotates."""
    group = folder / "key-group"
    if not group.is_dir():
        new = folder / "key-group.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        (new / f"{key_pair_id}.pem").write_text(public_pem)
        new.rename(group)
    return group


def write_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """For ``set -a; . settings.env`` in a shell whose commands are to work on this run."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
    _write_private(folder / "settings.env", "".join(lines).encode())


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK_NAME:
            entry.unlink()


def _write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the run is killed meanwhile."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)
