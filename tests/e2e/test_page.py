"""A page on another origin: promises, sends with fetch and with XMLHttpRequest, completes, shows the image."""

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from graphql_api.cli.dev import PAGE_ORIGINS
from tests.cli.program import DevStack
from tests.e2e.client import COMPLETE, CREATE


def png(width: int, height: int) -> bytes:
    """A red picture. Source: the PNG specification, section 5."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = (b"\0" + b"\xff\0\0" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = png(640, 480) + bytes(3_000_000)  # what follows the end does not count, but makes the upload take a while

ASK = """
const ask = async (query, variables) => {
    const answer = await fetch(graphql, {
        method: "POST",
        headers: {"Content-Type": "application/json", "Authorization": `Bearer ${token}`},
        body: JSON.stringify({query, variables}),
    });
    return (await answer.json()).data;
};
"""
SEND = {
    "fetch": """const send = async ({url, headers}, blob) =>
        (await fetch(url, {method: "PUT", headers, body: blob})).status""",
    "xhr": """const send = ({url, headers}, blob) => new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("PUT", url);
        for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
        request.upload.onprogress = ({loaded, total}) => progress.push([loaded, total]);
        request.onload = () => resolve(request.status);
        request.onerror = () => reject(new Error("blocked"));
        request.send(blob);
    })""",
}
JOURNEY = """async ({graphql, token, create, complete, name, body}) => {
    %s
    %s;
    const progress = [];
    const blob = new Blob([Uint8Array.from(atob(body), c => c.charCodeAt(0))]);
    const input = {filename: name, contentType: "image/png", size: blob.size};
    const {upload} = (await ask(create, {input})).createUpload;
    const headers = Object.fromEntries(upload.target.headers.map(({name, value}) => [name, value]));
    const sent = await send({url: upload.target.url, headers}, blob);
    const {file} = (await ask(complete, {id: upload.id})).completeUpload;
    const image = new Image();
    image.src = file.signedUrl.url;
    await image.decode();
    const read = await (await fetch(file.signedUrl.url)).arrayBuffer();
    const {naturalWidth: width, naturalHeight: height} = image;
    return {sent, progress, path: file.path, width, height, read: read.byteLength};
}"""


@pytest.fixture
async def page(browser: Browser, pages: str) -> AsyncIterator[Page]:
    opened = await browser.new_page()
    await opened.goto(pages)
    yield opened
    await opened.close()


@pytest.mark.parametrize("how", SEND)
async def test_a_page_uploads_a_picture_and_shows_it(page: Page, dev_stack: DevStack, how: str) -> None:
    name = f"by {how} 写真.png"
    values = {"graphql": dev_stack.graphql, "token": dev_stack.token("alice"), "create": CREATE, "complete": COMPLETE}
    seen: dict[str, Any] = await page.evaluate(
        JOURNEY % (ASK, SEND[how]), {**values, "name": name, "body": b64encode(PICTURE).decode()}
    )
    assert (seen["sent"], seen["path"]) == (200, f"/Alice/{name}")
    assert (seen["width"], seen["height"], seen["read"]) == (640, 480, len(PICTURE))
    if how == "xhr":
        assert seen["progress"][-1] == [len(PICTURE), len(PICTURE)]


async def test_a_page_of_an_origin_that_was_not_named_reaches_nothing(
    browser: Browser, pages: str, dev_stack: DevStack
) -> None:
    page = await browser.new_page()
    await page.goto(pages.replace("127.0.0.1", "localhost"))
    program = "graphql => fetch(graphql, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
    outcome = await page.evaluate(f"({program})({dev_stack.graphql!r}).then(a => a.status, () => 'blocked')")
    await page.close()
    assert outcome == "blocked"


def preflight(dev_stack: DevStack, origin: str) -> httpx.Response:
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    return httpx.options(dev_stack.graphql, headers={"Origin": origin, **wish}, trust_env=False)


@pytest.mark.parametrize("origin", PAGE_ORIGINS)
def test_pages_of_the_usual_development_servers_may_call_the_api(dev_stack: DevStack, origin: str) -> None:
    answer = preflight(dev_stack, origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin


def test_other_pages_may_not(dev_stack: DevStack) -> None:
    for origin in ("http://localhost:3001", "https://localhost:3000", "http://evil.example", "null"):
        assert "access-control-allow-origin" not in preflight(dev_stack, origin).headers
