"""Downloads over a network that has bad days: whole and intact in their place, or not there at all."""

from pathlib import Path

import pytest

from graphql_api.client.download import local_name, part_name
from graphql_api.client.errors import TransferFailed
from graphql_api.client.progress import Outcome
from graphql_api.client.protocol import RemoteFile
from tests.cli.program import DevStack
from tests.client.conftest import Connect, FilesOf, Remembered
from tests.e2e.bundling import ENTRIES, bundled
from tests.e2e.client import Client
from tests.faults import Answer, FaultyProxy, LoseAnswer, Request, is_get

CONTENT = b"".join(number.to_bytes(4, "big") for number in range(500_000))  # 2 MB


@pytest.fixture
def file_id(alice: Client, remote: str) -> str:
    """A file of alice's with a checksum; its name is the test's own."""
    name = f"{remote.rpartition('/')[2]}.bin"
    return str(alice.upload(name, "application/octet-stream", CONTENT, with_checksum=True)["id"])


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def only(folder: Path) -> Path:
    [entry] = folder.iterdir()
    return entry


@pytest.mark.parametrize(
    "fault", [Answer(500), Answer(503), Answer(403), LoseAnswer(), LoseAnswer(after=700_000)], ids=repr
)
async def test_a_bad_day_of_the_edge_costs_a_try(
    connect: Connect,
    proxy: FaultyProxy,
    progress: Remembered,
    here: Path,
    file_id: str,
    fault: Answer | LoseAnswer,
) -> None:
    proxy.plan(fault, which=is_get)
    async with connect() as client:
        await client.download([file_id], here)
    assert progress.failures == {}
    assert only(here).read_bytes() == CONTENT
    assert progress.moved == progress.expected == len(CONTENT)
    assert len(proxy.seen(is_get)) == 2


async def test_only_the_rest_is_fetched_by_a_later_run(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, here: Path, file_id: str
) -> None:
    proxy.plan(LoseAnswer(after=700_000), which=is_get)
    proxy.plan(Answer(503), times=99, which=is_get)
    async with connect() as client:
        await client.download([file_id], here)
    [reason] = progress.failures.values()
    assert reason == "the edge answers 503"
    assert only(here).suffix == ".part"
    had = only(here).stat().st_size
    assert 0 < had < len(CONTENT)
    proxy.forget()
    progress.moved = 0
    async with connect() as client:
        await client.download([file_id], here)
    assert only(here).read_bytes() == CONTENT
    assert [request.status for request in proxy.seen(is_get)][-1] == 206


async def test_what_arrives_damaged_is_thrown_away_and_fetched_anew_by_the_next_run(
    connect: Connect, progress: Remembered, here: Path, file_id: str
) -> None:
    async with connect() as client:
        file = await client.remote.find_file(file_id=file_id)
        assert file
        (here / part_name(file)).write_bytes(b"not its beginning")
        await client.download([file_id], here)
        assert list(progress.failures.values()) == ["its bytes arrived damaged: they were thrown away"]
        assert list(here.iterdir()) == []
        await client.download([file_id], here)
    assert only(here).read_bytes() == CONTENT


async def test_what_is_here_is_never_replaced_unless_told(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, here: Path, file_id: str
) -> None:
    async with connect() as client:
        await client.download([file_id], here)
        place = only(here)
        await client.download([file_id], here)
        assert list(progress.outcomes.values()) == [Outcome.THERE_ALREADY]
        assert len(proxy.seen(is_get)) == 1
        place.write_bytes(b"mine")
        await client.download([file_id], here)
        assert list(progress.failures.values()) == ["something else has this name here"]
        assert only(here).read_bytes() == b"mine"
        await client.download([file_id], here, overwrites=True)
    assert only(here).read_bytes() == CONTENT


async def test_a_link_that_leads_elsewhere_is_not_written_through(
    connect: Connect, here: Path, tmp_path: Path, alice: Client, file_id: str
) -> None:
    name = alice.ask("query ($id: ID!) { file(by: {id: $id}) { name } }", id=file_id)["file"]["name"]
    (tmp_path / "elsewhere").write_text("precious")
    (here / name).symlink_to(tmp_path / "elsewhere")
    async with connect() as client:
        await client.download([file_id], here, overwrites=True)
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert not only(here).is_symlink()


async def test_a_file_without_a_checksum_is_fetched_from_its_beginning(
    connect: Connect, here: Path, alice: Client, remote: str
) -> None:
    made = alice.upload(f"{remote.rpartition('/')[2]}.bin", "application/octet-stream", CONTENT)
    async with connect() as client:
        file = await client.remote.find_file(file_id=made["id"])
        assert file
        if not file.has_checksum:
            (here / part_name(file)).write_bytes(b"of another one, perhaps")
        await client.download([made["id"]], here)
    assert only(here).read_bytes() == CONTENT


async def test_a_download_goes_on_in_the_same_run_although_no_checksum_is_known(
    connect: Connect, proxy: FaultyProxy, here: Path, alice: Client, remote: str
) -> None:
    made = alice.upload(f"{remote.rpartition('/')[2]}.bin", "application/octet-stream", CONTENT)
    proxy.plan(LoseAnswer(after=700_000), which=is_get)
    async with connect() as client:
        await client.download([made["id"]], here)
    assert only(here).read_bytes() == CONTENT
    assert [request.status for request in proxy.seen(is_get)] == [200, 206]


async def test_what_is_not_there_or_not_for_the_viewer_is_said_and_the_rest_arrives(
    connect: Connect, dev_stack: DevStack, progress: Remembered, here: Path, file_id: str, remote: str
) -> None:
    admin = Client(dev_stack.graphql, dev_stack.token("admin"))
    foreign = admin.upload(f"{remote.rpartition('/')[2]}.txt", "text/plain", b"not for alice")["id"]
    admin.close()
    async with connect() as client:
        await client.download([foreign, "/Alice/not/there", "/Nobody", file_id], here)
    assert progress.failures == {
        foreign: "there is no such file",
        "/Alice/not/there": "there is no folder /Alice/not/there",
        "/Nobody": "there is no folder /Nobody",
    }
    assert only(here).read_bytes() == CONTENT


async def test_files_that_go_away_meanwhile_are_said(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, here: Path, alice: Client, file_id: str
) -> None:
    def deletes_it(request: Request) -> bool:
        if is_get(request):
            alice.ask(
                "mutation ($id: ID!) { deleteFiles(input: {fileIds: [$id]}) { userErrors { code } } }", id=file_id
            )
        return is_get(request)

    proxy.plan(Answer(403), which=deletes_it)
    async with connect() as client:
        await client.download([file_id], here)
    assert list(progress.failures.values()) == ["there is no link to it: it is gone, or may not be read"]
    assert list(here.iterdir()) == []


async def test_a_folder_arrives_as_it_was_sent(
    connect: Connect, progress: Remembered, files_of: FilesOf, tmp_path: Path, here: Path, remote: str
) -> None:
    tree = tmp_path / "tree"
    (tree / "empty").mkdir(parents=True)
    (tree / "写真 と" / "…").mkdir(parents=True)
    (tree / "nothing").touch()
    (tree / "写真 と" / '"引用" #%3F&+.txt').write_text("sonderbar")
    (tree / "写真 と" / "…" / "é").write_bytes(bytes(range(256)))
    (tree / "many").mkdir()
    for number in range(30):
        (tree / "many" / f"{number}.txt").write_text(str(number))
    async with connect() as client:
        await client.upload([tree], remote)
        await client.download([f"{remote}/tree"], here)
    assert progress.failures == {}
    assert described(here / "tree") == described(tree)
    assert progress.moved == progress.expected


def described(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("name", ["", ".", "..", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(TransferFailed):
        local_name(name)


def test_the_rest_of_other_bytes_goes_into_another_part_file() -> None:
    one = RemoteFile("file_1", "a", "/a", 5, "00", None)
    other = RemoteFile("file_1", "a", "/a", 5, "01", None)
    assert part_name(one) != part_name(other)
    assert part_name(one) == part_name(RemoteFile("file_1", "renamed", "/b/renamed", 5, "00", None))


async def test_a_bundle_is_left_out_and_told(
    connect: Connect, proxy: FaultyProxy, progress: Remembered, here: Path, alice: Client, remote: str
) -> None:
    file_id = bundled(alice, remote.rpartition("/")[2], ENTRIES)
    async with connect() as client:
        await client.download([file_id], here)
    [told] = progress.failures.values()
    assert "bundle" in told
    assert list(here.iterdir()) == []
    assert proxy.seen(is_get) == []
