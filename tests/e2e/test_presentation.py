"""How a browser takes what the edge delivers: a gallery from its own cache, names in any script, nothing that runs."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext
from playwright.async_api import Error as PlaywrightError

from tests.cli.program import DevStack
from tests.e2e.bundling import bundled
from tests.e2e.client import Client
from tests.e2e.test_page import png

PICTURES = 300
LINKS = """
query ($folder: ID!, $after: String) {
  files(filter: {folderId: $folder}, orderBy: {field: NAME, direction: ASC}, first: 100, after: $after) {
    nodes { signedUrl { url } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
PREFIX = "query ($id: ID!) { file(by: {id: $id}) { bundle { signedPrefix { baseUrl query } } } }"
HOME = "query ($id: ID!) { file(by: {id: $id}) { folder { id } } }"
FOLDER = """
mutation ($home: ID!) {
  createFolder(input: {parentId: $home, name: "Gallery"}) { folder { id } userErrors { message } }
}
"""
SHOW = """urls => Promise.all(urls.map(async url => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image.naturalWidth;
}))"""


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    opened = await browser.new_context()
    yield opened
    await opened.close()


def gallery_of(alice: Client) -> str:
    cover = alice.upload("cover.txt", "text/plain", b"her home is made with her first file")
    made = alice.ask(FOLDER, home=alice.ask(HOME, id=cover["id"])["file"]["folder"]["id"])["createFolder"]
    assert made["userErrors"] == []
    folder: str = made["folder"]["id"]

    def upload(number: int) -> None:
        content = png(1 + number, 1)
        target = alice.promise(f"{number:03}.png", "image/png", len(content), folderId=folder)
        assert alice.put(target, content).status_code == 200
        assert alice.complete(target.upload_id)["userErrors"] == []

    with ThreadPoolExecutor(8) as several:
        list(several.map(upload, range(PICTURES)))
    return folder


def links_to(alice: Client, folder: str) -> list[str]:
    found: list[str] = []
    page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        page = alice.ask(LINKS, folder=folder, after=page["pageInfo"]["endCursor"])["files"]
        found += [node["signedUrl"]["url"] for node in page["nodes"]]
    return found


async def show(context: BrowserContext, page_url: str, urls: list[str]) -> tuple[list[int], int]:
    """The widths of the pictures on a new page, and how many answers came over the network."""
    page = await context.new_page()
    await page.goto(page_url)
    answered: dict[str, str] = {}  # address by request
    cached: set[str] = set()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.requestServedFromCache", lambda event: cached.add(event["requestId"]))

    def note(event: dict[str, Any]) -> None:
        answered[event["requestId"]] = event["response"]["url"]
        if event["response"].get("fromDiskCache"):
            cached.add(event["requestId"])

    session.on("Network.responseReceived", note)
    widths: list[int] = await page.evaluate(SHOW, urls)
    await page.close()
    return widths, sum(url in urls for request, url in answered.items() if request not in cached)


async def test_a_gallery_that_is_shown_again_comes_from_the_browsers_cache(
    context: BrowserContext, pages: str, alice: Client
) -> None:
    folder = gallery_of(alice)
    first, again = links_to(alice, folder), links_to(alice, folder)
    assert first == again
    assert len(set(first)) == PICTURES
    expected = [1 + number for number in range(PICTURES)]
    assert await show(context, pages, first) == (expected, PICTURES)
    assert await show(context, pages, again) == (expected, 0)


async def test_a_browser_saves_a_file_under_its_japanese_name(
    context: BrowserContext, pages: str, alice: Client, tmp_path: Path
) -> None:
    name = "写真 と 100% “ü”.txt"
    file = alice.upload(name, "text/plain", b"konnichiwa")
    page = await context.new_page()
    await page.goto(pages)
    async with page.expect_download() as downloading:
        await page.evaluate("url => { location.href = url; }", alice.link(file["id"], disposition="ATTACHMENT"))
    download = await downloading.value
    assert download.suggested_filename == name
    await download.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"konnichiwa"


PAGE = b"<a xmlns='http://www.w3.org/1999/xhtml'><script>window.ran = true</script></a>"  # as HTML and as XML
TYPES = [
    *("text/html", "image/svg+xml", "application/xml", "text/xsl", "text/rdf"),
    *("*/*", "unknown/unknown", "application/unknown", "text/of-tomorrow"),
]


@pytest.mark.parametrize("kind", TYPES)
def test_what_a_browser_might_run_is_saved_and_in_a_sandbox(alice: Client, kind: str) -> None:
    file = alice.upload("a", kind, PAGE)
    answer = alice.get(alice.link(file["id"], disposition="INLINE"))
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_nothing_runs_of_what_a_bundle_shows(context: BrowserContext, alice: Client) -> None:
    entries = {str(number): (kind, PAGE) for number, kind in enumerate(TYPES)}
    bundle = bundled(alice, "pages", entries)
    prefix = alice.ask(PREFIX, id=bundle)["file"]["bundle"]["signedPrefix"]
    page = await context.new_page()
    shown = []
    for path, (kind, _) in entries.items():
        url = f"{prefix['baseUrl']}{path}?{prefix['query']}"
        try:
            await page.goto(url)
        except PlaywrightError as error:
            if "Download is starting" not in error.message:
                raise
            continue  # saved
        shown.append(kind)
        assert page.url == url
        assert await page.evaluate("window.ran") is None, kind
    assert {"text/html", "image/svg+xml", "application/xml", "text/xsl"} <= set(shown)


def test_other_files_are_shown_and_kept_but_refusals_are_not(dev_stack: DevStack, alice: Client) -> None:
    file = alice.upload("a.pdf", "application/pdf", b"%PDF-1.7\n")
    link = alice.link(file["id"])
    for answer in (alice.get(link), alice.get(link), alice.get(link, Range="bytes=0-1")):
        assert answer.status_code in (200, 206)
        assert answer.headers["Content-Disposition"].startswith("inline;")
        assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" not in answer.headers  # Chrome's PDF viewer would not run in a sandbox
    refused = alice.get(link.replace("Signature=", "Signature=A"))
    assert refused.status_code == 403
    assert "Cache-Control" not in refused.headers
