"""Keys on this machine: in files, in the environment, and the one in the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio.to_thread

from graphql_api.errors import ConfigurationError
from graphql_api.keys import PrivatePem

MAX_SIZE: Final = 64 * 1024  # bytes; a key takes 250 to 2000


class KeyFiles:
    """Names are whole paths. A file is read when its key is needed first, not at every start of a link."""

    async def fetch(self, name: str) -> PrivatePem:
        """See ``KeySource``."""
        return await anyio.to_thread.run_sync(_read, Path(name))


class KeyVariables:
    """Names are those of variables in ``environ``. A backslash and an ``n`` stand for a line end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def fetch(self, name: str) -> PrivatePem:
        """See ``KeySource``."""
        text = self._environ.get(name, "").replace("\\n", "\n").strip()
        if not text:
            raise ConfigurationError(f"the environment variable {name} holds no signing key: it is not set")
        return PrivatePem(text + "\n")


class ConfiguredKey:
    """The one key of the settings, which has no name."""

    def __init__(self, pem: str) -> None:
        self._pem = PrivatePem(pem)

    async def fetch(self, name: str) -> PrivatePem:
        """See ``KeySource``."""
        return self._pem


def _read(path: Path) -> PrivatePem:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(f"the signing key in {path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SIZE:
        raise ConfigurationError(f"the file {path} is too large for a signing key")
    return PrivatePem(content.decode("ascii", errors="replace"))
