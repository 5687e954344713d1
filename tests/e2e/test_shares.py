"""Share links and lasting addresses of the running stack, followed by programs and by a browser to the bytes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request

from tests.cli.program import DevStack
from tests.e2e.client import Client
from tests.e2e.test_page import png

CREATE = """mutation ($input: CreateShareLinkInput!) { createShareLink(input: $input) {
  shareLink { id } url token userErrors { message } } }"""
REVOKE = """mutation ($id: ID!) { revokeShareLink(input: {shareLinkId: $id}) {
  shareLink { state downloads } userErrors { message } } }"""
USE = "query ($id: ID!) { node(id: $id) { ... on ShareLink { downloads state } } }"
HOME = "{ viewer { homeFolder { id } } }"
FOLDER = """mutation ($in: ID!, $name: String!) { createFolder(input: {parentId: $in, name: $name}) {
  folder { id } userErrors { message } } }"""
MOVE = "mutation ($ids: [ID!]!, $to: ID!) { moveFiles(input: {fileIds: $ids, folderId: $to}) { userErrors { code } } }"
PICTURE = png(64, 48)


def shared(client: Client, resource: dict[str, str], **wish: Any) -> dict[str, Any]:
    made: dict[str, Any] = client.ask(CREATE, input={"resource": resource, **wish})["createShareLink"]
    assert made["userErrors"] == []
    return made


def folder_with(client: Client, name: str, **files: bytes) -> str:
    """A new folder with these files in it."""
    home = client.ask(HOME)["viewer"]["homeFolder"]["id"]
    folder = client.ask(FOLDER, **{"in": home, "name": name})["createFolder"]["folder"]["id"]
    made = [client.upload(f"{name} {each}", "application/octet-stream", content) for each, content in files.items()]
    client.ask(MOVE, ids=[file["id"] for file in made], to=folder)
    return str(folder)


@pytest.fixture
def visitor() -> Iterator[httpx.Client]:
    """Somebody without any credentials."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    opened = await browser.new_context()
    yield opened
    await opened.close()


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


def test_a_visitor_follows_a_link_to_the_bytes(alice: Client, visitor: httpx.Client, dev_stack: DevStack) -> None:
    file = alice.upload("shared.bin", "application/octet-stream", PICTURE)
    made = shared(alice, {"fileId": file["id"]})
    assert made["url"] == f"{dev_stack.api}/s/{made['token']}"
    answer = visitor.get(made["url"], follow_redirects=True)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert str(answer.url).startswith(dev_stack.edge)
    changed = str(answer.url).replace("Signature=", "Signature=AA")
    assert visitor.get(changed).status_code == 403  # which the edge has verified
    assert alice.ask(USE, id=made["shareLink"]["id"])["node"] == {"downloads": 1, "state": "OPEN"}
    revoked = alice.ask(REVOKE, id=made["shareLink"]["id"])["revokeShareLink"]["shareLink"]
    assert revoked == {"downloads": 1, "state": "REVOKED"}
    assert visitor.get(made["url"]).status_code == 404


def test_who_may_not_share_makes_no_link(alice: Client, bob: Client) -> None:
    file = alice.upload("private.bin", "application/octet-stream", PICTURE)
    refused = bob.ask(CREATE, input={"resource": {"fileId": file["id"]}})["createShareLink"]
    assert refused["url"] is None
    assert refused["userErrors"] == [{"message": "no such file"}]


async def test_of_a_hundred_visitors_at_once_one_gets_the_bytes(alice: Client) -> None:
    file = alice.upload("once.bin", "application/octet-stream", PICTURE)
    made = shared(alice, {"fileId": file["id"]}, maxDownloads=1)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as visitors:
        answers = await asyncio.gather(*(visitors.post(made["url"]) for _ in range(100)))
        [sent_on] = [answer for answer in answers if answer.status_code == 303]
        assert (await visitors.get(sent_on.headers["location"])).content == PICTURE
    assert {answer.status_code for answer in answers} == {303, 404}


def test_a_program_walks_a_folder(bob: Client, visitor: httpx.Client) -> None:
    folder = folder_with(bob, "walked", one=b"first", two=b"second")
    made = shared(bob, {"folderId": folder}, password="correct horse")
    url = made["url"]
    asked = visitor.get(url, headers={"accept": "application/json"})
    assert asked.json() == {"asksFor": "PASSWORD"}
    entered = visitor.post(url, data={"password": "correct horse"})
    carried = {"cookie": entered.headers["set-cookie"].split(";")[0], "accept": "application/json"}
    listed = visitor.get(urljoin(url, entered.headers["location"]), headers=carried).json()
    found = {}
    for entry in listed["files"]:
        sent_on = visitor.get(urljoin(url, entry["href"]), headers=carried)
        assert sent_on.status_code == 302
        found[entry["path"]] = visitor.get(sent_on.headers["location"]).content
    assert found == {"walked one": b"first", "walked two": b"second"}


async def test_a_person_opens_a_locked_folder_and_saves_a_file(alice: Client, page: Page) -> None:
    folder = folder_with(alice, "locked", file=PICTURE)
    made = shared(alice, {"folderId": folder}, password="correct horse")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    await page.goto(made["url"])
    await page.get_by_label("Password").fill("wrong horse")
    await page.get_by_role("button").click()
    assert "That is not the password" in await page.inner_text("main")
    problems.clear()  # of the status 403
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button").click()
    assert await page.inner_text("h1") == "locked"
    assert urlsplit(page.url).path == f"/s/{made['token']}"
    assert await page.evaluate("getComputedStyle(document.querySelector('li')).borderTopWidth") == "1px"
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="locked file").click()
    assert await saved(await saving.value) == PICTURE
    assert problems == []


async def test_a_person_uses_a_one_use_link_by_pressing_its_button(alice: Client, page: Page) -> None:
    file = alice.upload("one use.bin", "application/octet-stream", PICTURE)
    made = shared(alice, {"fileId": file["id"]}, maxDownloads=1, password="correct horse")
    await page.goto(made["url"])
    await page.get_by_label("Password").fill("correct horse")
    async with page.expect_download() as saving:  # the policy lets the form lead to the edge
        await page.get_by_role("button").click()
    assert await saved(await saving.value) == PICTURE
    await page.goto(made["url"])
    assert await page.inner_text("h1") == "There is nothing here, or not any more."
    unlocked = shared(alice, {"fileId": file["id"]}, maxDownloads=1)
    for _ in range(2):
        await page.goto(unlocked["url"])
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Download").click()
    assert await saved(await saving.value) == PICTURE


async def saved(download: Any) -> bytes:
    path = await download.path()
    with open(path, "rb") as file:  # noqa: ASYNC230 -- a few bytes
        return file.read()


SHOW = """async ([address]) => {
    const image = document.createElement("img");
    image.src = address;
    document.body.append(image);
    try { await image.decode(); } catch { return null; }
    return [image.naturalWidth, image.naturalHeight];
}"""
SESSION = """async ([session, method, token]) => {
    const headers = token === null ? {} : {Authorization: `Bearer ${token}`};
    const answer = await fetch(session, {method, headers, credentials: "include"});
    return answer.status;
}"""


async def test_an_image_stands_at_a_lasting_address(alice: Client, page: Page, pages: str, dev_stack: DevStack) -> None:
    file = alice.upload("lasting.png", "image/png", PICTURE)
    address, session = f"{dev_stack.api}/f/{file['id']}", f"{dev_stack.api}/f/session"
    told: list[Request] = []
    page.on("request", lambda request: told.append(request) if dev_stack.edge in request.url else None)
    await page.goto(pages)
    assert await page.evaluate(SHOW, [address]) is None
    assert await page.evaluate(SESSION, [session, "POST", dev_stack.token("alice")]) == 200
    assert await page.evaluate(SHOW, [address + "?again"]) == [64, 48]
    [request] = told
    headers = await request.all_headers()
    assert "cookie" not in headers
    assert "referer" not in headers
    [cookie] = await page.context.cookies(address)
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/f/")
    assert await page.context.cookies(dev_stack.graphql) == []
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate(SESSION, [session, "DELETE", None]) == 204
    assert await page.evaluate(SHOW, [address + "?once more"]) is None


async def test_pages_of_other_sites_can_neither_make_a_session_nor_use_one(
    alice: Client, page: Page, pages: str, dev_stack: DevStack
) -> None:
    file = alice.upload("not for others.png", "image/png", PICTURE)
    address, session = f"{dev_stack.api}/f/{file['id']}", f"{dev_stack.api}/f/session"
    await page.goto(pages)
    assert await page.evaluate(SESSION, [session, "POST", dev_stack.token("alice")]) == 200
    await page.goto(pages.replace("127.0.0.1", "localhost"))
    assert await page.evaluate(SHOW, [address]) is None  # SameSite
    failing = f"({SESSION})(['{session}', 'POST', 'x']).catch(() => 'blocked')"
    assert await page.evaluate(failing) == "blocked"


async def test_a_mail_leads_a_person_with_a_session_to_the_bytes(
    alice: Client, page: Page, pages: str, dev_stack: DevStack
) -> None:
    file = alice.upload("mailed.png", "image/png", PICTURE)
    address, session = f"{dev_stack.api}/f/{file['id']}", f"{dev_stack.api}/f/session"
    await page.goto(pages)
    await page.evaluate(SESSION, [session, "POST", dev_stack.token("alice")])
    await page.goto(pages.replace("127.0.0.1", "localhost"))  # where the mail is read
    await page.evaluate("address => { location.href = address }", address)
    await page.wait_for_url(f"{dev_stack.edge}/**")
    answer = await page.goto(address)
    assert answer is not None
    assert (answer.status, await answer.body()) == (200, PICTURE)
