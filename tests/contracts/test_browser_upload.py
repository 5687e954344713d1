"""A page on another origin uploads with fetch and with XMLHttpRequest, as Chromium really does it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from graphql_api.model.parts import StoreUpload
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget, StoreRequestKind
from graphql_api.storage.s3 import S3Store
from tests.browser import blank_pages, running_chromium
from tests.contracts.parts import TAIL, Begun, begun_at, promise_of
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

# Each answers [status, what the page may read of the answer's headers], or ["blocked"].
SEND_PART = """async ({url, headers, body}) => {
    const bytes = Uint8Array.from(atob(body), c => c.charCodeAt(0));
    try {
        const sent = await fetch(url, {method: "PUT", headers, body: new Blob([bytes])});
        return [sent.status, sent.headers.get("ETag"), sent.headers.get("x-amz-checksum-crc64nvme")];
    } catch (error) { return ["blocked"]; }
}"""
SEND_FORM = """async ({url, fields, body}) => {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    form.append("file", new Blob([Uint8Array.from(atob(body), c => c.charCodeAt(0))]));
    try {
        const sent = await fetch(url, {method: "POST", body: form});
        return [sent.status, sent.headers.get("ETag"), sent.headers.get("Location")];
    } catch (error) { return ["blocked"]; }
}"""
SEND_REQUEST = """async ({method, url, headers, body}) => {
    try {
        const sent = await fetch(url, {method, headers, body});
        return [sent.status, await sent.text()];
    } catch (error) { return ["blocked"]; }
}"""


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


@pytest.fixture(params=["seaweed", "mini"])
def store(request: pytest.FixtureRequest) -> S3Store:
    """For what both stores do alike."""
    found: S3Store = request.getfixturevalue(request.param)
    return found


async def test_a_page_can_send_a_part_and_read_what_the_store_says_of_it(page: Page, store: S3Store) -> None:
    begun = await begun_at(store)
    target = await begun.target(1, TAIL)
    sent = {"url": target.url, "headers": dict(target.headers), "body": b64encode(TAIL).decode()}
    status, etag, checksum = await page.evaluate(SEND_PART, sent)
    [part] = await begun.parts()
    assert (status, etag, checksum) == (200, f'"{part.etag}"', dict(target.headers)["x-amz-checksum-crc64nvme"])
    status, etag, _ = await page.evaluate(SEND_PART, sent | {"body": b64encode(TAIL[::-1]).decode()})
    assert 400 <= status < 500
    assert await begun.parts() == [part]


async def test_a_page_can_send_a_form_and_read_where_the_object_is(page: Page, mini: S3Store) -> None:
    """SeaweedFS sends no Location."""
    promise = SAMPLES["jpeg"].promise()
    status, etag, location = await send_form(page, mini, promise)
    found = await mini.find(promise.key)
    assert found
    assert (status, etag) == (201, f'"{found.etag}"')
    assert location.endswith(f"/{promise.key}")


async def test_a_page_can_send_a_form_again(page: Page, seaweed: S3Store) -> None:
    promise = SAMPLES["jpeg"].promise()
    first = await send_form(page, seaweed, promise)
    found = await seaweed.find(promise.key)
    assert found
    assert (found.size, found.sha256) == (promise.size, promise.sha256)
    assert first[:2] == [201, f'"{found.etag}"']
    assert await send_form(page, seaweed, promise) == first


async def send_form(page: Page, store: S3Store, promise: PromisedObject) -> Any:
    target = await store.presign_post(promise, now=datetime.now(UTC), lifetime=timedelta(minutes=5))
    body = b64encode(SAMPLES["jpeg"].content).decode()
    return await page.evaluate(SEND_FORM, {"url": target.url, "fields": [list(f) for f in target.fields], "body": body})


async def test_a_page_can_drive_an_upload_in_parts(page: Page, store: S3Store) -> None:
    """Every request of the protocol passes the browser's preflight."""
    promise = promise_of(len(TAIL))

    async def send(kind: StoreRequestKind, upload_id: str | None = None, body: str | None = None) -> tuple[int, str]:
        request = await store.presign_request(
            kind, promise, upload_id, now=datetime.now(UTC), lifetime=timedelta(minutes=5)
        )
        sent = {"method": request.method, "url": request.url, "headers": dict(request.headers), "body": body}
        status, text = await page.evaluate(SEND_REQUEST, sent)
        return status, text

    status, text = await send(StoreRequestKind.CREATE_MULTIPART)
    assert status == 200
    upload = StoreUpload(promise.key, text.partition("<UploadId>")[2].partition("</UploadId>")[0])
    await Begun(store, upload).send(TAIL)
    status, text = await send(StoreRequestKind.LIST_PARTS, upload.id)
    assert (status, "<PartNumber>1</PartNumber>" in text) == (200, True)
    [part] = await Begun(store, upload).parts()
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    assert (await send(StoreRequestKind.COMPLETE_MULTIPART, upload.id, body))[0] == 200
    assert await store.find(promise.key)
    status, text = await send(StoreRequestKind.CREATE_MULTIPART)
    upload = StoreUpload(promise.key, text.partition("<UploadId>")[2].partition("</UploadId>")[0])
    assert (await send(StoreRequestKind.ABORT_MULTIPART, upload.id))[0] == 204
    assert await store.list_parts(upload) is None
