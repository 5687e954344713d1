"""A page on another origin uploads with fetch and with XMLHttpRequest, as Chromium really does it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from graphql_api.model.stored_object import PutUploadTarget
from graphql_api.storage.s3 import S3Store
from tests.browser import blank_pages, running_chromium
from tests.contracts.samples import SAMPLES, Sample

pytestmark = pytest.mark.anyio

# Each answers [status, the error code in the store's answer], or ["blocked"] if the browser does not let the page see.
PROGRAMS = {
    "fetch": """async ({url, headers, body}) => {
        const bytes = Uint8Array.from(atob(body), c => c.charCodeAt(0));
        try {
            const sent = await fetch(url, {method: "PUT", headers, body: new Blob([bytes])});
            return [sent.status, ((await sent.text()).match(/<Code>(.*)<.Code>/) || ["", ""])[1]];
        } catch (error) { return ["blocked"]; }
    }""",
    "xhr": """({url, headers, body}) => new Promise(resolve => {
        const bytes = Uint8Array.from(atob(body), c => c.charCodeAt(0));
        const request = new XMLHttpRequest();
        request.open("PUT", url);
        for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
        request.onload = () =>
            resolve([request.status, (request.responseText.match(/<Code>(.*)<.Code>/) || ["", ""])[1]]);
        request.onerror = () => resolve(["blocked"]);
        request.send(new Blob([bytes]));
    })""",
}


@pytest.fixture(scope="module", autouse=True)
def pages(pages_port: int) -> Iterator[None]:
    with blank_pages(pages_port):
        yield


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as launched:
        yield launched


@pytest.fixture
async def page(browser: Browser, pages_port: int) -> AsyncIterator[Page]:
    opened = await browser.new_page()
    await opened.goto(f"http://127.0.0.1:{pages_port}/")
    yield opened
    await opened.close()


async def target_for(store: S3Store, sample: Sample) -> PutUploadTarget:
    return await store.presign_put(sample.promise(), now=datetime.now(UTC), lifetime=timedelta(minutes=5))


async def send(page: Page, how: str, target: PutUploadTarget, content: bytes, **changed: str) -> Any:
    headers = dict(target.headers) | changed
    body = b64encode(content).decode()
    return await page.evaluate(PROGRAMS[how], {"url": target.url, "headers": headers, "body": body})


@pytest.mark.parametrize("how", PROGRAMS)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_page_can_upload_once(page: Page, seaweed: S3Store, how: str, sample: Sample) -> None:
    promise = sample.promise()
    target = await seaweed.presign_put(promise, now=datetime.now(UTC), lifetime=timedelta(minutes=5))
    assert await send(page, how, target, sample.content) == [200, ""]
    assert await send(page, how, target, sample.content) == [412, "PreconditionFailed"]
    found = await seaweed.find(promise.key)
    assert found
    assert (found.size, found.content_type, found.sha256) == (promise.size, promise.content_type, promise.sha256)


@pytest.mark.parametrize("how", PROGRAMS)
async def test_a_page_can_read_why_the_store_refused(page: Page, seaweed: S3Store, how: str) -> None:
    sample = SAMPLES["jpeg"]
    target = await target_for(seaweed, sample)
    assert await send(page, how, target, sample.content + b"x") == [403, "SignatureDoesNotMatch"]
    assert (await send(page, how, target, sample.content[:-1] + b"x"))[0] == 400
    assert (await send(page, how, target, sample.content, **{"Content-Type": "text/html"}))[0] == 403


@pytest.mark.parametrize("how", PROGRAMS)
async def test_a_page_of_another_origin_is_blocked(
    browser: Browser, pages_port: int, seaweed: S3Store, how: str
) -> None:
    page = await browser.new_page()
    await page.goto(f"http://localhost:{pages_port}/")
    promise = SAMPLES["jpeg"].promise()
    target = await seaweed.presign_put(promise, now=datetime.now(UTC), lifetime=timedelta(minutes=5))
    assert await send(page, how, target, SAMPLES["jpeg"].content) == ["blocked"]
    assert await seaweed.find(promise.key) is None
    await page.close()
