"""A browser plays a stream of hundreds of segments that was uploaded as one bundle, as docs/clients.md says: by one
signature in each address, or by cookies. The address says what it can be revoked by, and the function takes that out.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.cli.program import DevStack
from tests.docs.markdown import ROOT, blocks_in
from tests.e2e.bundling import bundled
from tests.e2e.client import Client
from tests.e2e.silence import SECONDS, stream, stream_in_one
from tests.web.conftest import CLIENTS, node_with_packages

SEGMENTS, SEGMENTS_IN_ONE = 200, 20
REFUSED = {"how": "manifestLoadError", "segments": 0, "seconds": 0}
RECIPES = [block.text for block in blocks_in(ROOT / "docs" / "clients.md", "Bundles", "js")]
PREFIX = "query ($id: ID!) { file(by: {id: $id}) { bundle { mainPath signedPrefix { baseUrl query } } } }"
REVOKE = "mutation ($id: ID!) { revokeLinks(input: {fileId: $id}) { revocation { linksEndBy } } }"
REVOCATION = "query ($id: ID!) { file(by: {id: $id}) { linkRevocation { propagation { pending } } } }"

# At sixteen times the speed, muted because a page may not make a noise of its own accord.
PLAY = """({url, signedPrefix}) => new Promise((resolve) => {
    const audio = document.createElement('audio');
    const withCookies = {xhrSetup: (request) => { request.withCredentials = true; }};
    const hls = new Hls({
        maxBufferLength: 600, maxMaxBufferLength: 600, enableWorker: false,
        ...(signedPrefix ? hlsConfig(signedPrefix) : withCookies),
    });
    let segments = 0;
    const end = (how) => {
        const seconds = audio.currentTime;
        hls.destroy();
        resolve({how, segments, seconds});
    };
    hls.on(Hls.Events.FRAG_BUFFERED, () => { segments += 1; });
    hls.on(Hls.Events.ERROR, (event, error) => {
        if (error.fatal) end(error.details);
    });
    audio.addEventListener('ended', () => end('played'));
    audio.muted = true;
    hls.loadSource(url);
    hls.attachMedia(audio);
    hls.on(Hls.Events.MANIFEST_PARSED, () => { audio.playbackRate = 16; audio.play(); });
})"""


@pytest.fixture
async def page(browser: Browser, pages: str) -> AsyncIterator[Page]:
    opened = await browser.new_page()  # with cookies of its own
    await opened.goto(pages)
    await prepare(opened)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def film(dev_stack: DevStack) -> str:
    return sent(dev_stack, "a film of many files", stream(SEGMENTS))


@pytest.fixture(scope="module")
def clip(dev_stack: DevStack) -> str:
    return sent(dev_stack, "a film of one file", stream_in_one(SEGMENTS_IN_ONE))


def sent(stack: DevStack, name: str, entries: Iterable[tuple[str, str, bytes]]) -> str:
    """The bundle that came of it."""
    client = Client(stack.graphql, stack.token("alice"))
    try:
        return bundled(client, name, {path: (kind, content) for path, kind, content in entries})
    finally:
        client.close()


async def prepare(page: Page) -> None:
    node_with_packages()
    await page.add_script_tag(path=CLIENTS / "node_modules" / "hls.js" / "dist" / "hls.min.js")
    for recipe in RECIPES:
        await page.add_script_tag(content=recipe)


async def play(page: Page, url: str, signed_prefix: dict[str, str] | None = None) -> dict[str, Any]:
    seen: dict[str, Any] = await page.evaluate(PLAY, {"url": url, "signedPrefix": signed_prefix})
    return seen


async def opened(page: Page, stack: DevStack, bundle: str) -> str:
    """Where it begins; the browser has the cookies for it."""
    given = [stack.api, stack.token("alice"), bundle]
    main: str = await page.evaluate("async (given) => (await openBundle(...given)).mainUrl", given)
    return main


async def test_one_signature_in_each_address_plays_the_stream(page: Page, alice: Client, film: str) -> None:
    bundle = alice.ask(PREFIX, id=film)["file"]["bundle"]
    prefix = bundle["signedPrefix"]
    seen = await play(page, prefix["baseUrl"] + bundle["mainPath"], prefix)
    assert (seen["how"], seen["segments"]) == ("played", SEGMENTS)
    assert seen["seconds"] == pytest.approx(SEGMENTS * SECONDS, abs=1)


async def test_cookies_play_the_stream(page: Page, dev_stack: DevStack, film: str) -> None:
    seen = await play(page, await opened(page, dev_stack, film))
    assert (seen["how"], seen["segments"]) == ("played", SEGMENTS)


async def test_cookies_of_another_bundle_play_nothing(
    page: Page, browser: Browser, dev_stack: DevStack, pages: str, film: str, clip: str
) -> None:
    elsewhere = await browser.new_page()
    await elsewhere.goto(pages)
    await prepare(elsewhere)
    main = await opened(elsewhere, dev_stack, film)
    await elsewhere.close()
    await opened(page, dev_stack, clip)
    assert await play(page, main) == REFUSED


async def test_a_page_that_was_not_named_plays_nothing(page: Page, pages: str, dev_stack: DevStack, clip: str) -> None:
    main = await opened(page, dev_stack, clip)
    seen = await play(page, main)
    assert (seen["how"], seen["segments"]) == ("played", SEGMENTS_IN_ONE)
    await page.goto(pages.replace("127.0.0.1", "localhost"))
    await prepare(page)
    assert await play(page, main) == REFUSED


async def test_a_stream_that_was_revoked_is_opened_anew(
    page: Page, alice: Client, dev_stack: DevStack, clip: str
) -> None:
    before = await opened(page, dev_stack, clip)
    alice.ask(REVOKE, id=clip)
    while alice.ask(REVOCATION, id=clip)["file"]["linkRevocation"]["propagation"]["pending"]:
        await page.wait_for_timeout(50)  # milliseconds
    assert await play(page, before) == REFUSED
    after = await opened(page, dev_stack, clip)
    assert after != before
    assert (await play(page, after))["how"] == "played"
