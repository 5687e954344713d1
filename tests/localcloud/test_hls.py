"""A browser plays a stream of hundreds of segments for which one signature was made: in each address, or in cookies.

The address is that of a link that can be revoked, so the function that ships takes what it says out of every path.
"""

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.async_api import Browser, Page

from graphql_api.edge.function import revocation_function
from graphql_api.localcloud.function import EdgeFunction
from graphql_api.localcloud.key_value_store import KeyValueStore
from graphql_api.localcloud.origin import S3Origin
from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.revocation import mark_of
from tests.browser import blank_pages, running_chromium
from tests.localcloud.conftest import BUCKET
from tests.localcloud.server import EdgeServer
from tests.localcloud.silence import SECONDS, stream
from tests.localcloud.viewer import Signer, cookies, custom_policy
from tests.web.conftest import CLIENTS, node_with_packages

SEGMENTS = 300
BUNDLE = "b/01jd9x2q6c8s5v7e0k3m4n5p6t"
OTHER_BUNDLE = "b/01jd9x2q6c8s5v7e0k3m4n5p6v"
MARKED, OTHER_MARKED = (f"{bundle}.7.{mark_of('file_1')}.{mark_of('folder_1')}" for bundle in (BUNDLE, OTHER_BUNDLE))
REFUSED = {"how": "manifestLoadError", "segments": 0, "seconds": 0}
SIGNER = Signer("KEDGE", ec.generate_private_key(ec.SECP256R1()), is_sha256=True)

# At sixteen times the speed, muted because a page may not make a noise of its own accord.
PLAY = """({url, query, withCookies}) => new Promise((resolve) => {
    const audio = document.createElement('audio');
    const hls = new Hls({
        maxBufferLength: 600, maxMaxBufferLength: 600, enableWorker: false,
        xhrSetup: (xhr, asked) => {
            xhr.withCredentials = withCookies;
            xhr.open('GET', query ? asked + '?' + query : asked, true);
        },
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


@pytest.fixture(scope="module")
def pages(pages_port: int) -> Iterator[str]:
    with blank_pages(pages_port) as address:
        yield address


@pytest.fixture(scope="module")
def edge(store: SeaweedStore, pages: str) -> Iterator[EdgeServer]:
    with closing(connect(store.endpoint_url, store.api)) as client, ThreadPoolExecutor(8) as several:

        def put(file: tuple[str, str, bytes]) -> None:
            path, kind, content = file
            client.put_object(Bucket=BUCKET, Key=f"{BUNDLE}/{path}", Body=content, ContentType=kind)

        list(several.map(put, stream(SEGMENTS)))
    with closing(S3Origin(store.endpoint_url, BUCKET, store.edge)) as origin:
        trusted = {"KEDGE": SIGNER.public_pem}
        with EdgeServer(trusted, origin, cookie_origins=[pages.rstrip("/")], function=function) as server:
            yield server


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    node_with_packages()
    async with running_chromium() as launched:
        yield launched


@pytest.fixture
async def page(browser: Browser, pages: str) -> AsyncIterator[Page]:
    opened = await browser.new_page()
    await opened.goto(pages)
    await opened.add_script_tag(path=CLIENTS / "node_modules" / "hls.js" / "dist" / "hls.min.js")
    yield opened
    await opened.close()


def function() -> EdgeFunction:
    return EdgeFunction(revocation_function(failure="refuse"), KeyValueStore())


def signed(edge: EdgeServer, bundle: str) -> str:
    expires = {"AWS:EpochTime": int(time.time()) + 60}
    url = f"{edge.address}/{bundle}/index.m3u8"
    return SIGNER.custom(url, custom_policy(f"{edge.address}/{bundle}/*", DateLessThan=expires))


async def give_cookies(page: Page, bundle: str, header: str) -> None:
    """As the API's answer would: to nobody's scripts, and for this bundle only."""
    parts = [part.partition("=") for part in header.split("; ")]
    await page.context.add_cookies(
        [
            {"name": name, "value": value, "domain": "127.0.0.1", "path": f"/{bundle}/", "httpOnly": True}
            for name, _, value in parts
        ]
    )


async def play(page: Page, edge: EdgeServer, *, query: str = "", with_cookies: bool = False) -> dict[str, Any]:
    url = f"{edge.address}/{MARKED}/index.m3u8"
    seen: dict[str, Any] = await page.evaluate(PLAY, {"url": url, "query": query, "withCookies": with_cookies})
    return seen


async def test_one_signature_in_each_address_plays_the_stream(page: Page, edge: EdgeServer) -> None:
    seen = await play(page, edge, query=urlsplit(signed(edge, MARKED)).query)
    assert (seen["how"], seen["segments"]) == ("played", SEGMENTS)
    assert seen["seconds"] == pytest.approx(SEGMENTS * SECONDS, abs=1)


async def test_cookies_play_the_stream(page: Page, edge: EdgeServer) -> None:
    await give_cookies(page, MARKED, cookies(signed(edge, MARKED)))
    seen = await play(page, edge, with_cookies=True)
    assert (seen["how"], seen["segments"]) == ("played", SEGMENTS)


async def test_without_either_nothing_plays(page: Page, edge: EdgeServer) -> None:
    assert await play(page, edge) == REFUSED


async def test_cookies_of_another_bundle_play_nothing(page: Page, edge: EdgeServer) -> None:
    await give_cookies(page, OTHER_MARKED, cookies(signed(edge, OTHER_MARKED)))
    await give_cookies(page, MARKED, cookies(signed(edge, OTHER_MARKED)))
    assert await play(page, edge, with_cookies=True) == REFUSED


async def test_a_page_that_was_not_named_plays_nothing(page: Page, pages: str, edge: EdgeServer) -> None:
    await page.goto(pages.replace("127.0.0.1", "localhost"))
    await page.add_script_tag(path=CLIENTS / "node_modules" / "hls.js" / "dist" / "hls.min.js")
    await give_cookies(page, MARKED, cookies(signed(edge, MARKED)))
    assert await play(page, edge, with_cookies=True) == REFUSED
