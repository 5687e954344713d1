"""Passwords that people choose: kept as Argon2id hashes, which are made slow to guess at.

Source: RFC 9106, section 4, the second recommended option: 64 MiB of memory, three passes.
"""

import unicodedata
from typing import Final

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

AT_ONCE: Final = 2  # that are looked at in one process: each takes 64 MiB and a processor for some tens of milliseconds
MADE_AT_ONCE: Final = 1


def normalized_password(password: str) -> str:
    """The same text typed on two systems is the same password. Source: RFC 8265, section 4.2.2, "OpaqueString"."""
    return unicodedata.normalize("NFC", password)


class Passwords:
    """Hashes in threads, a few at a time; who comes meanwhile waits. Who chooses a password and who is asked for one do
    not wait for one another.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """``hasher``: one that takes less trouble is for tests."""
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._making = anyio.Semaphore(MADE_AT_ONCE)
        self._looking = anyio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """In PHC string format, with a salt of its own. ``password``: normalised."""
        async with self._making:
            return await anyio.to_thread.run_sync(self._hasher.hash, password)

    async def is_right(self, password_hash: str, password: str) -> bool:
        """Whether ``password``, normalised, is the one that was hashed."""
        async with self._looking:
            try:
                return await anyio.to_thread.run_sync(self._hasher.verify, password_hash, password)
            except VerifyMismatchError:
                return False
