"""What several processes of one run may need, and only one of them may install."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path


@contextmanager
def only_one(place: Path) -> Iterator[None]:
    """Wait until no other process works at ``place``. The lock goes with its holder, however that one ends."""
    name = sha256(str(place).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"only-one-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
