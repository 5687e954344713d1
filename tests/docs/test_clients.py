"""The client recipes, run against ``graphql-api dev``: by Python, by curl and by a browser."""

import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from playwright.async_api import Page

from graphql_api.cli import main
from graphql_api.schema.errors import USER_ERRORS
from graphql_api.web.app import OPERATIONS_OF_VIEWER, SOCKET_LIMITS, SOCKETS_OF_VIEWER
from graphql_api.web.graphql_view import MAX_BODY_SIZE
from graphql_api.web.socket import Close
from tests.browser import blank_pages, running_chromium
from tests.cli.program import DevStack
from tests.docs.markdown import ROOT, blocks, blocks_in, section
from tests.docs.test_blocks import NOT_RUN
from tests.docs.test_tour import matches
from tests.e2e.client import Client
from tests.e2e.test_page import png
from tests.web.conftest import CLIENTS as NODE_CLIENTS
from tests.web.conftest import node_with_packages

CLIENTS = ROOT / "docs" / "clients.md"
TEXT = CLIENTS.read_text(encoding="utf-8")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


@pytest.fixture
def recipe(dev: DevStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the Python example defines."""
    monkeypatch.setenv("GRAPHQL_URL", dev.graphql)
    monkeypatch.setenv("TOKEN", dev.token("alice"))
    [block] = blocks(CLIENTS, "python")
    names: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), names)
    yield names
    names["api"].close()
    names["store"].close()


SIGNED = "query ($id: ID!) { file(by: {id: $id}) { signedUrl { url } } }"


def downloaded(recipe: dict[str, Any], file_id: str) -> bytes:
    url = recipe["ask"](SIGNED, id=file_id)["file"]["signedUrl"]["url"]
    return httpx.get(url, trust_env=False).raise_for_status().content


@pytest.mark.parametrize(
    ("name", "content"), [("python.jpg", JPEG), ("empty.txt", b""), ('写真 と "引用".bin', bytes(range(256)) * 1000)]
)
def test_the_python_example_uploads(recipe: dict[str, Any], tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    file = recipe["upload"](path, "application/octet-stream")
    assert file["path"] == f"/Alice/{name}"
    assert downloaded(recipe, file["id"]) == content


class LosesTheFirstAnswer(httpx.HTTPTransport):
    """The request arrives, its answer does not."""

    has_lost = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if not self.has_lost:
            self.has_lost = True
            answer.close()
            raise httpx.ReadError("connection reset")
        return answer


def test_the_python_example_survives_a_lost_answer(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["store"].close()
    recipe["store"] = httpx.Client(transport=LosesTheFirstAnswer())
    recipe["PAUSES"] = (0,)
    path = tmp_path / "lost-answer.jpg"
    path.write_bytes(JPEG)
    assert recipe["upload"](path, "image/jpeg")["name"] == "lost-answer.jpg"


def test_the_python_example_says_so_when_a_name_is_taken(recipe: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "twice.jpg"
    path.write_bytes(JPEG)
    recipe["upload"](path, "image/jpeg")
    with pytest.raises(RuntimeError, match="CONFLICT"):
        recipe["upload"](path, "image/jpeg")


def test_the_curl_example_answers_what_the_document_shows(dev: DevStack, tmp_path: Path) -> None:
    [script] = blocks_in(CLIENTS, "Shell, with curl", "bash")
    [answer] = blocks_in(CLIENTS, "Shell, with curl", "text")
    (tmp_path / "cat.jpg").write_bytes(JPEG)
    ran = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script.text],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GRAPHQL_URL": dev.graphql, "TOKEN": dev.token("alice")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for wanted, line in zip(answer.text.splitlines(), ran.stdout.splitlines(), strict=True):
        assert matches(wanted, line)


PROMISE = """async function promise(filename, size) {
    const input = {filename, size, contentType: "text/plain"};
    const query = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { ${TARGET} } } }`;
    return (await ask(query, {input})).createUpload.upload.target;
}"""


@pytest.fixture
async def page(dev: DevStack, recipes_port: int) -> AsyncIterator[Page]:
    """An empty page at the origin that ``dev`` was told to let in, with the functions of the browser examples."""
    async with running_chromium() as browser:
        opened = await browser.new_page()
        with blank_pages(recipes_port) as address:
            await opened.goto(address)
        constants = f"const GRAPHQL_URL = {json.dumps(dev.graphql)}, TOKEN = {json.dumps(dev.token('alice'))};"
        sections = ("Browsers, with fetch", "Browsers, with progress", "Browsers, in parts", "Lasting addresses")
        examples = [block.text for title in sections for block in blocks_in(CLIENTS, title, "js")]
        await opened.add_script_tag(content="\n".join([constants, *examples, PROMISE]))
        yield opened


async def test_the_fetch_example_uploads_from_a_page(page: Page) -> None:
    file = await page.evaluate("upload(new File(['Hello from a page.'], 'page.txt', {type: 'text/plain'}))")
    assert file["path"] == "/Alice/page.txt"
    empty = await page.evaluate("upload(new File([], 'nothing.txt', {type: 'text/plain'}))")
    assert empty["path"] == "/Alice/nothing.txt"


async def test_the_example_with_progress_uploads_from_a_page_and_takes_412_for_success(page: Page) -> None:
    seen = await page.evaluate(
        """async () => {
            const target = await promise("progress.txt", 100000), blob = new Blob(["x".repeat(100000)]), seen = [];
            for (const attempt of [1, 2]) await sendWithProgress(target, blob, (...at) => seen.push(at));
            return seen;
        }"""
    )
    assert seen[-1] == [100_000, 100_000]


async def test_the_browser_examples_do_not_take_a_refusal_for_success(page: Page) -> None:
    outcome = await page.evaluate(
        """async () => {
            const target = await promise("short.txt", 10), blob = new Blob(["short"]), said = (error) => error.message;
            return [await send(target, blob).catch(said), await sendWithProgress(target, blob, () => {}).catch(said)];
        }"""
    )
    assert outcome == ["the store answered 403"] * 2


async def test_the_example_in_parts_goes_on_after_a_reload(page: Page) -> None:
    await page.evaluate(
        """() => {
            window.parts = [], window.fails = true;
            const real = window.fetch;
            window.fetch = (url, request) => {
                const number = new URL(url, location).searchParams.get("partNumber");
                if (number) window.parts.push(number);
                const refuses = number === "2" && window.fails;
                return refuses ? Promise.resolve(new Response("", {status: 403})) : real(url, request);
            };
            const bytes = new Uint8Array(17 * 2 ** 20).fill(7);
            window.file = new File([bytes], "parts.bin", {type: "application/octet-stream", lastModified: 1});
        }"""
    )
    refused = await page.evaluate("uploadInParts(window.file, 1).catch((error) => error.message)")
    assert refused == "the store answered 403"
    file = await page.evaluate("(window.fails = false, uploadInParts(window.file))")
    assert file["path"] == "/Alice/parts.bin"
    assert await page.evaluate("window.parts") == ["1", "2", "2"]
    assert await page.evaluate("localStorage.length") == 0


async def test_the_example_with_a_session_shows_an_image_at_its_lasting_address(page: Page, dev: DevStack) -> None:
    shown = """async ([api, body]) => {
        const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
        const file = await upload(new File([bytes], "lasting.png", {type: "image/png"}));
        const ends = await startFileSession(api, TOKEN), image = new Image();
        image.src = `${api}/f/${file.id}`;
        await image.decode();
        return [image.naturalWidth, ends > new Date()];
    }"""
    assert await page.evaluate(shown, [dev.api, b64encode(png(3, 2)).decode()]) == [3, True]


def test_the_curl_examples_follow_share_links_of_each_kind(
    dev: DevStack, recipe: dict[str, Any], tmp_path: Path
) -> None:
    [mutation] = blocks_in(CLIENTS, "Share links", "graphql")
    [script] = blocks_in(CLIENTS, "Share links", "bash")
    (tmp_path / "shared.jpg").write_bytes(JPEG)
    file = recipe["upload"](tmp_path / "shared.jpg", "image/jpeg")
    make = "mutation ($in: CreateShareLinkInput!) { createShareLink(input: $in) { url userErrors { message } } }"
    wishes: dict[str, dict[str, object]] = {
        "LINK": {},
        "LINK_WITH_MAX_DOWNLOADS": {"maxDownloads": 1},
        "LINK_WITH_PASSWORD": {"password": "ink & paper"},
    }
    environ = {"PATH": os.environ["PATH"], "PASSWORD": "ink & paper"}
    for name, wish in wishes.items():
        made = recipe["ask"](make, **{"in": {"resource": {"fileId": file["id"]}, **wish}})["createShareLink"]
        assert made["userErrors"] == []
        environ[name] = made["url"]
    ran = subprocess.run(
        ["bash", "-e", "-u", "-c", script.text], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for name in ("plain.bin", "counted.bin", "locked.bin"):
        assert (tmp_path / name).read_bytes() == JPEG
    home = recipe["ask"]("{ viewer { homeFolder { id } } }")["viewer"]["homeFolder"]["id"]
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    made = recipe["ask"](mutation.text, folder=home, until=until)["createShareLink"]
    assert made["userErrors"] == []
    assert made["url"].endswith("/s/" + made["token"])


def test_every_option_of_the_client_that_the_document_names_exists() -> None:
    start, end = section(CLIENTS, "Command line")
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", "\n".join(TEXT.splitlines()[start:end])))
    offered = "".join(CliRunner().invoke(main, [command, "--help"]).output for command in ("upload", "download"))
    assert named
    assert {option for option in named if option not in offered} == set()


def test_what_no_test_runs_is_said_to_be_so() -> None:
    languages = {block.language for block in blocks(CLIENTS)} & NOT_RUN
    assert languages == NOT_RUN
    assert "but for those in Swift and Kotlin" in TEXT


def test_the_uppy_examples_are_the_ones_that_are_tried_with_uppy() -> None:
    shown = [block.text for block in blocks_in(CLIENTS, "Browsers, with Uppy", "js")]
    folder = ROOT / "tests" / "clients"
    assert shown == [(folder / name).read_text() for name in ("uploads.js", "uppy5/uploader.js", "uppy6/uploader.js")]


def test_the_relay_and_codegen_examples_are_the_ones_that_are_tried_with_them() -> None:
    shown = [
        block.text for title in ("Relay", "graphql-codegen") for block in blocks_in(CLIENTS, title, "json", "js", "ts")
    ]
    tried = ("relay/relay.config.json", "relay/environment.js", "codegen/codegen.ts", "codegen/src/ask.ts")
    assert shown == [(NODE_CLIENTS / name).read_text() for name in tried]


@pytest.mark.parametrize("title", ["Apollo Client", "urql"])
def test_the_example_for_a_client_lists_files(
    dev: DevStack, recipe: dict[str, Any], tmp_path: Path, title: str
) -> None:
    name = f"for {title}.txt"
    (tmp_path / name).write_text(title)
    recipe["upload"](tmp_path / name, "text/plain")
    with running_recipe(dev, title) as told:
        assert next(told) == name  # the newest first
        list(told)


def test_every_error_that_the_document_names_exists() -> None:
    names = {kind.__name__ for kind in USER_ERRORS}
    assert set(re.findall(r"\b[A-Z]\w+Error\b", TEXT)) <= names | {"RuntimeError", "TransportError"}
    source = "\n".join(path.read_text() for path in (ROOT / "graphql_api").rglob("*.py"))
    table = TEXT[TEXT.index("## Errors") :]
    for code in re.findall(r"`([A-Z]+_[A-Z_]+)`", table):
        assert f'"{code}"' in source, code


def test_the_size_of_a_request_is_the_one_that_is_enforced() -> None:
    assert f"{MAX_BODY_SIZE:,} bytes" in TEXT


@contextmanager
def running_recipe(dev: DevStack, title: str, **environ: str) -> Iterator[Iterator[str]]:
    """The lines that the program in this section prints, as they come; it must end well."""
    [program] = blocks_in(CLIENTS, title, "mjs")
    environ |= {"PATH": os.environ["PATH"], "GRAPHQL_URL": dev.graphql, "TOKEN": dev.token("alice")}
    command = [node_with_packages(), "--input-type=module", "--eval", program.text]
    with subprocess.Popen(command, cwd=NODE_CLIENTS, env=environ, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        yield (line.strip() for line in node.stdout)
        assert node.wait(60) == 0


def test_the_websocket_example_follows_an_upload(dev: DevStack) -> None:
    alice = Client(dev.graphql, dev.token("alice"))
    target = alice.promise("live.jpg", "image/jpeg", len(JPEG))
    with running_recipe(dev, "Over a WebSocket", UPLOAD_ID=target.upload_id) as told:
        assert next(told) == "PENDING"
        alice.put(target, JPEG)
        alice.complete(target.upload_id)
        assert list(told) == ["COMPLETED /Alice/live.jpg"]
    alice.close()


MAKE_FOLDER = """mutation ($in: ID!) {
  createFolder(input: {parentId: $in, name: "watched"}) { folder { id } userErrors { code } }
}"""


def test_the_event_stream_examples_follow_a_folder_and_an_upload(dev: DevStack) -> None:
    alice = Client(dev.graphql, dev.token("alice"))
    home = alice.ask("{ viewer { topFolders { nodes { id } } } }")["viewer"]["topFolders"]["nodes"][0]["id"]
    folder = alice.ask(MAKE_FOLDER, **{"in": home})["createFolder"]["folder"]["id"]
    with running_recipe(dev, "As server-sent events", FOLDER_ID=folder) as told:
        assert next(told) == "REFRESH"
        target = alice.promise("event.jpg", "image/jpeg", len(JPEG), folderId=folder)
        alice.put(target, JPEG)
        alice.complete(target.upload_id)
        assert next(told) == "CREATED event.jpg"
        delete = "mutation ($id: ID!) { deleteFolder(input: {folderId: $id, isRecursive: true}) { deletedFolderId } }"
        alice.ask(delete, id=folder)
        assert list(told) == []
    alice.close()
    [script] = blocks_in(CLIENTS, "As server-sent events", "bash")
    ran = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script.text],
        env={
            "PATH": os.environ["PATH"],
            "GRAPHQL_URL": dev.graphql,
            "TOKEN": dev.token("alice"),
            "UPLOAD_ID": target.upload_id,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = '{"data":{"uploadStatusChanged":{"upload":{"status":"COMPLETED"}}}}'
    assert ran.stdout.replace(":\n\n", "", 1) == f"event: next\ndata: {said}\n\nevent: complete\ndata:\n\n"


def test_the_limits_of_live_operations_are_those_that_are_enforced() -> None:
    live = TEXT[TEXT.index("## Live") : TEXT.index("## Errors")]
    assert f"At most {SOCKET_LIMITS.operations} operations run on one socket" in live
    assert f"{OPERATIONS_OF_VIEWER} operations over sockets" in live
    assert f"on {SOCKETS_OF_VIEWER} sockets" in live
    assert {int(code) for code in re.findall(r"\b\d{4}\b", live)} >= {*Close} - {Close.BROKEN}
