"""Uploads over a network that has bad days: everything arrives, once, or it is said what does not."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio
import pytest

from graphql_api.client.patience import Patience
from graphql_api.client.progress import Outcome
from tests.client.conftest import Connect, FilesOf, Remembered
from tests.e2e.client import Client
from tests.faults import Answer, FaultyProxy, Hold, LoseAnswer, Request, Reset, is_put

MIB = 1024**2
PART = 16 * MIB  # bytes; what the service prefers
SIZE = 2 * PART + 1000  # three parts


def content(seed: int, size: int) -> bytes:
    return seed.to_bytes(4, "big") * (size // 4) + b"x" * (size % 4)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(b"".join(content(number, PART) for number in (1, 2)) + content(3, 1000))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_bytes(b"small but mine")
    return path


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """For what a test does while the client waits."""
    with ThreadPoolExecutor() as pool:
        yield pool


def is_api(request: Request) -> bool:
    return request.method == "POST" and request.path == "/graphql"


class EverySecond:
    """Every other request to the API."""

    def __init__(self) -> None:
        self._is_next = False

    def __call__(self, request: Request) -> bool:
        if is_api(request):
            self._is_next = not self._is_next
            return self._is_next
        return False


def part_numbers(proxy: FaultyProxy) -> list[int]:
    """Of the parts that were sent, in order."""
    queries = [dict(pair.split("=", 1) for pair in request.query.split("&")) for request in proxy.seen(is_put)]
    return sorted(int(query["partNumber"]) for query in queries if "partNumber" in query)


async def test_what_is_there_with_the_same_bytes_is_not_sent_again(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, small: Path, large: Path, remote: str
) -> None:
    async with connect() as client:
        await client.upload([small, large], remote, parts_above=MIB)
        assert set(progress.outcomes.values()) == {Outcome.SENT}
        sent = len(proxy.seen(is_put))
        assert sent == 4  # one, and three parts
        await client.upload([small, large], remote, parts_above=MIB, on_conflict="RENAME")
    assert set(progress.outcomes.values()) == {Outcome.THERE_ALREADY}
    assert len(proxy.seen(is_put)) == sent
    assert progress.moved == progress.expected == 2 * (SIZE + 14)


async def test_parts_that_have_to_wait_hold_up_no_other_file(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, small: Path, large: Path, remote: str
) -> None:
    has_other_come = False

    def waits_for_the_other(request: Request) -> bool:
        nonlocal has_other_come
        is_part = "partNumber=" in request.query
        has_other_come = has_other_come or (is_put(request) and not is_part)
        return is_put(request) and is_part and not has_other_come

    proxy.plan(Answer(503), times=10_000, which=waits_for_the_other)
    patience = Patience(tries=500, first=0.01, longest=0.01)
    async with connect(patience=patience) as client:  # two requests at a time, and three parts
        await client.upload([large, small], remote, parts_above=MIB)
    assert progress.failures == {}


async def test_the_api_knows_by_which_checksum_the_bytes_were_verified(
    connect: Connect, files_of: FilesOf, small: Path, large: Path, remote: str
) -> None:
    async with connect() as client:
        await client.upload([small, large], remote, parts_above=MIB)
    found = files_of(remote)
    assert found["small.txt"]["integrity"]["algorithm"] == "SHA256"
    assert found["large.bin"]["integrity"]["algorithm"] == "CRC64NVME"
    assert found["small.txt"]["contentType"] == "text/plain"


async def test_a_taken_name_is_a_failure_a_number_or_left_out(
    connect: Connect, progress: Remembered, files_of: FilesOf, small: Path, remote: str
) -> None:
    async with connect() as client:
        await client.upload([small], remote)
        small.write_text("other bytes")
        await client.upload([small], remote)
        assert progress.failures == {str(small): "another file has this name there"}
        await client.upload([small], remote, skips_taken=True)
        assert progress.outcomes == {str(small): Outcome.SKIPPED}
        await client.upload([small], remote, on_conflict="RENAME")
    assert {name: file["size"] for name, file in files_of(remote).items()} == {"small.txt": 14, "small (2).txt": 11}


@pytest.mark.parametrize(
    "fault",
    [
        Answer(200),  # and holds nothing
        Answer(500),
        Answer(503, b"<Error><Code>SlowDown</Code></Error>", (("Retry-After", "0"),)),
        Answer(503, at_once=True),
        Answer(400, b"<Error><Code>RequestTimeout</Code></Error>"),
        Answer(403, b"<Error><Code>AccessDenied</Code></Error>"),
        Reset(after=0),
        Reset(after=10),
        LoseAnswer(),
    ],
    ids=repr,
)
async def test_a_bad_day_of_the_store_costs_a_try(
    connect: Connect,
    proxy: FaultyProxy,
    progress: Remembered,
    files_of: FilesOf,
    small: Path,
    remote: str,
    fault: Answer | Reset | LoseAnswer,
) -> None:
    proxy.plan(fault)
    async with connect() as client:
        await client.upload([small], remote)
    assert progress.failures == {}
    assert files_of(remote)["small.txt"]["size"] == 14
    assert progress.moved == progress.expected
    assert [request.is_faulty for request in proxy.seen(is_put)] == [True, False]


@pytest.mark.parametrize("fault", [Answer(200), Answer(503), Answer(403), Reset(after=5 * MIB), LoseAnswer()], ids=repr)
async def test_a_bad_day_in_the_middle_of_the_parts_costs_those_parts(
    connect: Connect,
    proxy: FaultyProxy,
    progress: Remembered,
    files_of: FilesOf,
    large: Path,
    remote: str,
    fault: Answer | Reset | LoseAnswer,
) -> None:
    proxy.plan(fault, which=lambda request: is_put(request) and "partNumber=2" in request.query)
    async with connect() as client:
        await client.upload([large], remote, parts_above=MIB)
    assert progress.failures == {}
    assert part_numbers(proxy) == [1, 2, 2, 3]
    assert files_of(remote)["large.bin"]["size"] == SIZE
    assert progress.moved == progress.expected


@pytest.mark.parametrize("fault", [Answer(503, b"{}", (("Retry-After", "0"),)), Reset(after=0), LoseAnswer()], ids=repr)
async def test_a_bad_day_of_the_api_costs_a_try(
    connect: Connect,
    proxy: FaultyProxy,
    progress: Remembered,
    files_of: FilesOf,
    small: Path,
    alice: Client,
    remote: str,
    fault: Answer | Reset | LoseAnswer,
) -> None:
    async with connect() as client:
        await client.upload([], remote)
        proxy.plan(fault, times=9, which=EverySecond())
        await client.upload([small], remote)
    assert progress.failures == {}
    assert list(files_of(remote)) == ["small.txt"]
    # No second promise was made and left behind.
    assert alice.ask("{ uploads(status: [PENDING], first: 9) { nodes { filename } } }") == {"uploads": {"nodes": []}}


async def test_a_store_that_does_not_get_better_fails_the_file_and_leaves_the_upload_to_go_on_with(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, small: Path, alice: Client, remote: str
) -> None:
    proxy.plan(Answer(503), times=4)
    async with connect() as client:
        await client.upload([small], remote)
        assert progress.failures == {str(small): "the store answers 503"}
        progress.failures.clear()
        await client.upload([small], remote)
    assert progress.outcomes == {str(small): Outcome.SENT}
    fingerprint = {"filename": small.name, "size": 14}
    found = alice.ask(
        "query ($fingerprint: UploadFingerprint) { uploads(fingerprint: $fingerprint) {"
        " nodes { status folder { path } } } }",
        fingerprint=fingerprint,
    )
    mine = [node["status"] for node in found["uploads"]["nodes"] if node["folder"]["path"] == remote]
    assert mine == ["COMPLETED"]  # the second run went on with the first one's


async def test_a_refusal_that_a_fresh_target_does_not_cure_is_said(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, small: Path, large: Path, remote: str
) -> None:
    proxy.plan(Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"), times=99)
    async with connect() as client:
        await client.upload([small, large], remote, parts_above=MIB)
    assert set(progress.failures.values()) == {"the store answers 403 SignatureDoesNotMatch"}
    assert len(progress.failures) == 2


async def test_only_parts_that_differ_are_sent_when_the_file_has_become_another(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, files_of: FilesOf, large: Path, remote: str
) -> None:
    proxy.plan(Answer(503), times=99, which=lambda request: is_put(request) and "partNumber=3" in request.query)
    async with connect(jobs=1) as client:  # else the failure could end a part that is still on its way
        await client.upload([large], remote, parts_above=MIB)
    assert progress.failures == {str(large): "the store answers 503"}
    changed = content(1, PART) + content(9, PART) + content(3, 1000)
    large.write_bytes(changed)
    proxy.forget()
    sent = part_numbers(proxy)
    async with connect() as client:
        await client.upload([large], remote, parts_above=MIB)
        assert part_numbers(proxy) == sorted([*sent, 2, 3])
        # SeaweedFS lists a part that was sent twice within a second twice, and nobody can tell which is the later one:
        # if the wrong one was taken, the checksum of the whole has shown it, and a further run begins anew.
        await client.upload([large], remote, parts_above=MIB)
    assert set(progress.outcomes) == {str(large)}
    assert files_of(remote)["large.bin"]["size"] == SIZE


@pytest.mark.parametrize("parts_above", [MIB, 64 * MIB], ids=["in parts", "at once"])
async def test_a_file_that_changes_while_it_is_sent_is_said_and_given_up(
    connect: Connect,
    proxy: FaultyProxy,
    progress: Remembered,
    files_of: FilesOf,
    large: Path,
    remote: str,
    aside: ThreadPoolExecutor,
    parts_above: int,
) -> None:
    hold = Hold(after=MIB)
    proxy.plan(hold)

    def write_to_it() -> None:
        assert hold.reached.wait(60)
        with large.open("r+b") as opened:
            opened.seek(SIZE - 1)
            opened.write(b"!")
        hold.go_on.set()

    writing = aside.submit(write_to_it)
    async with connect() as client:
        await client.upload([large], remote, parts_above=parts_above)
    writing.result()
    assert progress.failures == {str(large): "changed while it was read"}
    assert files_of(remote) == {}


async def test_a_file_that_becomes_shorter_while_it_is_sent_is_said(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, large: Path, remote: str, aside: ThreadPoolExecutor
) -> None:
    hold = Hold(after=MIB)
    proxy.plan(hold)

    def shorten() -> None:
        assert hold.reached.wait(60)
        os.truncate(large, MIB)
        hold.go_on.set()

    shortening = aside.submit(shorten)
    async with connect() as client:
        await client.upload([large], remote)
    shortening.result()
    assert progress.failures == {str(large): "became shorter while it was read"}


async def test_what_cannot_be_read_is_said_and_the_rest_arrives(
    connect: Connect, progress: Remembered, files_of: FilesOf, tmp_path: Path, remote: str
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "good.txt").write_text("good")
    (tree / "link.txt").symlink_to("good.txt")
    (tree / "broken").symlink_to("nowhere")
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe")
    (tree / os.fsdecode(b"latin-\xe9.txt")).write_text("not Unicode")
    (tree / "..hidden").write_text("fine")
    (tree / "\u202egpj.exe").write_text("turned round")
    async with connect() as client:
        await client.upload([tree, tmp_path / "absent"], remote)
    assert {Path(name).name: why for name, why in progress.failures.items()} == {
        "broken": "No such file or directory",
        "loop": "a link to a folder that it is in",
        "pipe": "is not a regular file",
        os.fsdecode(b"latin-\xe9.txt"): "its name is not Unicode",
        "\u202egpj.exe": "a name may not contain text direction marks",
        "absent": "No such file or directory",
    }
    assert {Path(name).name for name in progress.outcomes} == {"good.txt", "link.txt", "..hidden"}


async def test_a_folder_whose_name_a_file_has_is_said_once_with_all_below(
    connect: Connect, progress: Remembered, small: Path, tmp_path: Path, remote: str
) -> None:
    tree = tmp_path / "deep" / "small.txt"
    tree.mkdir(parents=True)
    (tree / "one.txt").write_text("1")
    async with connect() as client:
        await client.upload([small], remote)
        await client.upload([tree], remote)
    [name] = progress.failures
    assert name == f"{tree}, with all below"


async def test_two_runs_at_once_make_one_file(
    connect: Connect, progress: Remembered, files_of: FilesOf, large: Path, remote: str
) -> None:
    async with connect() as client, connect() as other:
        await client.upload([], remote)
        async with anyio.create_task_group() as group:
            for one in (client, other):
                group.start_soon(partial(one.upload, [large], remote, parts_above=MIB))
    assert files_of(remote)["large.bin"]["size"] == SIZE
    assert len(files_of(remote)) == 1
