"""Uppy 5 and Uppy 6 in Chromium, with the code that ``docs/clients.md`` shows, against ``graphql-api dev``."""

import asyncio
import hashlib
import json
import subprocess
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, Route

from graphql_api.localcloud.store import StoreCredentials, connect
from tests.cli.program import DevStack
from tests.web.conftest import CLIENTS, node_with_packages

MIB = 1024**2
FIRST = 0x53454544  # as in page.js
TWO_PARTS, THREE_PARTS = 18 * MIB, 34 * MIB  # of 16 MiB each, but for the last
NO_LOCATION = "@uppy/aws-s3: Could not read the Location header."

FILE = "query ($id: ID!) { file(by: {id: $id}) { signedUrl { url } } }"
UPLOADS = """query ($fingerprint: UploadFingerprint!) {
  uploads(fingerprint: $fingerprint) { nodes { id status method parts { partNumber } } }
}"""


@pytest.fixture(scope="module", params=["uppy5", "uppy6"])
def client(request: pytest.FixtureRequest) -> str:
    """The client of one version in one script, as ``client``."""
    node_with_packages()
    wishes = ["--bundle", "--format=iife", "--global-name=client", "--log-level=warning"]
    bundled = subprocess.run(
        [CLIENTS / "node_modules" / ".bin" / "esbuild", f"{request.param}/uploader.js", *wishes],
        cwd=CLIENTS,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert bundled.stderr == ""
    return bundled.stdout


class Api:
    """The service as the same person sees it without a browser, and what the store behind it holds."""

    def __init__(self, dev: DevStack) -> None:
        self._dev = dev
        self.token = dev.token("alice")

    def ask(self, query: str, **variables: object) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(self._dev.graphql, json={"query": query, "variables": variables}, headers=headers)
        body = answer.raise_for_status().json()
        assert "errors" not in body, body
        return body["data"]

    def uploads(self, name: str, size: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(UPLOADS, fingerprint={"filename": name, "size": size})["uploads"][
            "nodes"
        ]
        return found

    def digest_at_the_edge(self, file_id: str) -> str:
        digest = hashlib.sha256()
        with httpx.stream("GET", self.ask(FILE, id=file_id)["file"]["signedUrl"]["url"]) as answer:
            for piece in answer.raise_for_status().iter_bytes():
                digest.update(piece)
        return digest.hexdigest()

    def stored(self) -> set[str]:
        """Keys of all objects, and of all uploads that the store has begun and neither joined nor aborted."""
        identities = json.loads((self._dev.data / "store" / "run" / "s3.json").read_text())["identities"]
        key = identities[0]["credentials"][0]
        bucket = self._dev.line["bucket"]
        with closing(connect(self._dev.store, StoreCredentials(key["accessKey"], key["secretKey"]))) as store:
            objects = store.list_objects_v2(Bucket=bucket).get("Contents", [])
            begun = store.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return {it["Key"] for it in objects} | {it["Key"] for it in begun}


@pytest.fixture(scope="module")
def api(dev_stack: DevStack) -> Api:
    return Api(dev_stack)


class Client:
    """A page with one version of Uppy, and what it has said and sent."""

    def __init__(self, page: Page, address: str, script: str, dev: DevStack) -> None:
        self.page = page
        self.errors: list[str] = []
        self.sent: list[str] = []  # to the store, without preflights
        self._address = address
        self._script = script
        self._store = dev.store
        self.holds = asyncio.Event()  # a request that has bytes for the store
        self._held: list[Route] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        if request.url.startswith(self._store):
            parameters = httpx.URL(request.url).params
            wanted = [name for name in ("uploads", "uploadId", "partNumber") if name in parameters]
            self.sent.append(" ".join([request.method, *(f"{name}={parameters[name]}" for name in wanted[-1:])]))

    async def open(self) -> None:
        await self.page.goto(self._address)
        await self.page.add_script_tag(content=self._script)

    async def begin(self, name: str, size: int, method: str | None = None) -> None:
        await self.page.evaluate("(wish) => begin(...wish)", [name, size, method])

    async def result(self) -> dict[str, Any]:
        outcome: dict[str, Any] = await self.page.evaluate("sent")
        return outcome

    async def hold_all_but_part_1(self) -> None:
        """The store gets the bytes of the first part and no others until ``let_go``."""

        async def hold(route: Route) -> None:
            is_first = route.request.method != "PUT" or "partNumber=1&" in route.request.url
            if is_first:
                await route.continue_()
            else:
                self._held.append(route)
                self.holds.set()

        await self.page.route(f"{self._store}/**", hold)

    async def refuse(self) -> None:
        """What the store does with the parts that are held, and from now on with none."""
        for route in self._held:
            await route.fulfill(status=403, headers={"Access-Control-Allow-Origin": "*"})
        await self.let_go()

    async def let_go(self) -> None:
        await self.page.unroute_all(behavior="ignoreErrors")


@pytest.fixture
async def uppy(browser: Browser, pages: str, client: str, dev_stack: DevStack, api: Api) -> AsyncIterator[Client]:
    """Its page must have had nothing to complain of at the end."""
    home = api.ask("{ viewer { homeFolder { id } } }")["viewer"]["homeFolder"]["id"]
    constants = {"GRAPHQL_URL": dev_stack.graphql, "TOKEN": api.token, "FOLDER": home}
    script = "\n".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())
    page = await browser.new_page()
    opened = Client(page, pages, "\n".join([script, client, (CLIENTS / "page.js").read_text()]), dev_stack)
    await opened.open()
    yield opened
    await opened.let_go()
    await page.close()
    assert opened.errors == []


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A file name of this test's own."""
    return f"{request.node.name}.bin"


def digest_of(size: int) -> str:
    return hashlib.sha256(array("I", range(FIRST, FIRST + size // 4)).tobytes()).hexdigest()


async def assert_uploaded(uppy: Client, api: Api, name: str, size: int) -> None:
    result = await uppy.result()
    assert result["failures"] == []
    [file] = result["files"]
    assert file["path"] == f"/Alice/{name}"
    assert api.digest_at_the_edge(file["id"]) == digest_of(size)


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_uppy_sends_a_file_in_one_request(uppy: Client, api: Api, name: str, method: str) -> None:
    await uppy.begin(name, MIB, method)
    await assert_uploaded(uppy, api, name, MIB)
    assert uppy.sent == [method]
    # SeaweedFS answers a form without it; S3 does not, and the bucket's rules let a page see it.
    uppy.errors = [error for error in uppy.errors if method == "PUT" or not error.startswith(NO_LOCATION)]


async def test_uppy_sends_a_file_in_parts(uppy: Client, api: Api, name: str) -> None:
    await uppy.begin(name, THREE_PARTS, "MULTIPART")
    await assert_uploaded(uppy, api, name, THREE_PARTS)
    assert sorted(sent for sent in uppy.sent if "partNumber" in sent) == [f"PUT partNumber={n}" for n in (1, 2, 3)]


@pytest.mark.nightly
async def test_uppy_sends_100_megabytes_without_being_told_how(uppy: Client, api: Api, name: str) -> None:
    await uppy.begin(name, 100_000_000)
    await assert_uploaded(uppy, api, name, 100_000_000)
    [upload] = api.uploads(name, 100_000_000)
    assert upload["method"] == "MULTIPART"


async def after_one_part(uppy: Client, name: str) -> None:
    await uppy.hold_all_but_part_1()
    await uppy.begin(name, TWO_PARTS, "MULTIPART")
    await uppy.page.evaluate("onePart")
    await uppy.holds.wait()


async def test_a_pause_keeps_the_parts_that_are_there(uppy: Client, api: Api, name: str) -> None:
    await after_one_part(uppy, name)
    await uppy.page.evaluate("uppy.pauseAll()")
    [upload] = api.uploads(name, TWO_PARTS)
    assert (upload["status"], upload["parts"]) == ("PENDING", [{"partNumber": 1}])
    await uppy.let_go()
    await uppy.page.evaluate("uppy.resumeAll()")
    await assert_uploaded(uppy, api, name, TWO_PARTS)
    assert uppy.sent.count("PUT partNumber=1") == 1


async def test_an_upload_goes_on_after_the_page_was_loaded_again(uppy: Client, api: Api, name: str) -> None:
    await after_one_part(uppy, name)
    await uppy.open()
    await uppy.let_go()
    await uppy.begin(name, TWO_PARTS, "MULTIPART")
    await assert_uploaded(uppy, api, name, TWO_PARTS)
    assert uppy.sent.count("PUT partNumber=1") == 1
    assert len(api.uploads(name, TWO_PARTS)) == 1


async def test_an_upload_that_failed_goes_on_when_it_is_tried_again(uppy: Client, api: Api, name: str) -> None:
    await after_one_part(uppy, name)
    await uppy.refuse()
    [failure] = (await uppy.result())["failures"]
    assert failure
    await uppy.page.evaluate("retry()")
    await assert_uploaded(uppy, api, name, TWO_PARTS)
    assert uppy.sent.count("PUT partNumber=1") == 1
    uppy.errors.clear()  # the browser and Uppy tell of the refusal


@pytest.mark.parametrize(("method", "size"), [("PUT", MIB), ("MULTIPART", TWO_PARTS)])
async def test_a_cancelled_upload_leaves_nothing(uppy: Client, api: Api, name: str, method: str, size: int) -> None:
    before = api.stored()
    if method == "MULTIPART":
        await after_one_part(uppy, name)
        assert not api.stored() <= before
    else:
        await uppy.hold_all_but_part_1()
        await uppy.begin(name, size, method)
        await uppy.holds.wait()
    async with uppy.page.expect_response(is_of("abortUpload")):
        await uppy.page.evaluate("uppy.cancelAll()")
    [upload] = api.uploads(name, size)
    assert upload["status"] == "ABORTED"
    assert api.stored() <= before


def is_of(mutation: str) -> Callable[[Response], bool]:
    """Whether it is the answer to this mutation."""
    return lambda answer: answer.url.endswith("/graphql") and mutation in (answer.request.post_data or "")


async def test_an_answer_of_the_store_that_gets_lost_does_no_harm(
    uppy: Client, api: Api, dev_stack: DevStack, name: str
) -> None:
    async def lose(route: Route) -> None:
        if lost:
            await route.continue_()
        else:
            lost.append((await route.fetch()).status)
            await route.abort()

    lost: list[int] = []
    await uppy.page.route(f"{dev_stack.store}/**", lose)
    await uppy.begin(name, MIB, "PUT")
    await assert_uploaded(uppy, api, name, MIB)
    assert lost == [200]
    uppy.errors.clear()  # the browser tells of the lost answer, and Uppy of what it took for a failure


async def test_what_the_service_refuses_fails_and_is_not_sent(uppy: Client, api: Api, name: str) -> None:
    await uppy.begin(name, MIB)
    await assert_uploaded(uppy, api, name, MIB)
    await uppy.begin(name, MIB)
    result = await uppy.result()
    assert result["files"] == []
    assert "taken" in result["failures"][0]
    assert uppy.sent == ["PUT"]
    uppy.errors.clear()  # Uppy tells of the refusal
