"""One gibibyte, there and back, in bounded memory. Long, so only ``pytest -m nightly`` runs it."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.program import ProcessId, needs_proc, running_dev
from tests.e2e.client import Client

PIECE = bytes(range(256)) * 4096  # 1 MiB
PIECES = 1024
GROWTH = 128  # MiB that the process of API and edge may take more than before; the file has 1024


def peak(process: ProcessId) -> int:
    """The most memory that it ever took, in MiB."""
    match = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
    assert match
    return int(match[1]) // 1024


@needs_proc
@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_gibibyte_is_streamed_both_ways(tmp_path: Path) -> None:
    digest = hashlib.sha256()
    for _ in range(PIECES):
        digest.update(PIECE)

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE

    with running_dev(tmp_path) as stack, closing(Client(stack.graphql, stack.token("alice"))) as alice:
        api, *_ = stack.program.processes()
        size = PIECES * len(PIECE)
        wish = {"sha256": digest.hexdigest(), "method": "PUT"}  # by its size it would be sent in parts
        target = alice.promise("large.bin", "application/octet-stream", size, **wish)
        before = peak(api)
        sent = alice.put(target, pieces(), **{"Content-Length": str(size)})
        assert sent.status_code == 200, sent.text
        completed = alice.complete(target.upload_id)
        assert completed["userErrors"] == []
        received = hashlib.sha256()
        with alice.plain.stream("GET", completed["file"]["signedUrl"]["url"]) as download:
            assert download.status_code == 200
            for piece in download.iter_raw():
                received.update(piece)
        assert received.digest() == digest.digest()
        middle = {"Range": f"bytes={size // 2}-{size // 2 + 255}"}
        assert alice.get(completed["file"]["signedUrl"]["url"], **middle).content == PIECE[:256]
        assert peak(api) < before + GROWTH
