"""Whoever cancels a copy, as the job loop does, waits for the request that is under way, and nothing is left behind."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
import pytest

from graphql_api.storage.s3_copies import CopyHeaders, S3Copier

T = TypeVar("T")

pytestmark = pytest.mark.anyio

PATIENCE = 30.0  # seconds
SIZE = 30  # bytes


class SlowClient:
    """An S3 client that answers to one of the operations only when it may."""

    def __init__(self, slow: str, has_begun: Callable[[], None]) -> None:
        self._slow = slow
        self._has_begun = has_begun
        self.may_answer = threading.Event()
        self.begun: list[str] = []
        self.answered: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def request(**_arguments: object) -> dict[str, Any]:
            self.begun.append(operation)
            if operation == self._slow:
                self._has_begun()
                assert self.may_answer.wait(PATIENCE)
            self.answered.append(operation)
            return {"ContentLength": SIZE, "UploadId": "1", "CopyPartResult": {"ETag": "a"}}

        return request


HEAD, BEGIN, PART = "head_object", "create_multipart_upload", "upload_part_copy"
JOIN, ABORT = "complete_multipart_upload", "abort_multipart_upload"


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        ("copy_object", [HEAD, "copy_object"]),
        (BEGIN, [HEAD, BEGIN, ABORT]),
        (PART, [HEAD, BEGIN, PART, ABORT]),
        (JOIN, [HEAD, BEGIN, PART, JOIN]),
    ],
)
async def test_a_request_that_is_under_way_is_waited_for(slow: str, expected: list[str]) -> None:
    loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

    def begin() -> None:
        loop.call_soon_threadsafe(has_begun.set)

    client: Any = SlowClient(slow, begin)

    async def ask(operation: str, request: Callable[[Any], T], *, read_timeout: float = 10.0) -> T:
        return await anyio.to_thread.run_sync(lambda: request(client))

    part_size = SIZE if slow != "copy_object" else SIZE + 1
    copier = S3Copier(ask, "bucket", parts_above=part_size - 1, part_size=part_size)
    copying = asyncio.create_task(copier.copy("o/1", "pub/1", CopyHeaders("text/plain", "inline", "public")))
    with anyio.fail_after(PATIENCE):
        await has_begun.wait()
        for _ in range(2):
            copying.cancel()
            await anyio.wait_all_tasks_blocked()
        assert not copying.done()
        client.may_answer.set()
        await asyncio.wait([copying])
    assert copying.cancelled()
    assert client.begun == client.answered == expected
