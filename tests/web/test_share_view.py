"""Share links over HTTP: who is sent on, who is asked first, and what the answers give away."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import httpx
import pytest
from sqlalchemy import update

from graphql_api.db.engine import Database
from graphql_api.db.tables import FileRow
from graphql_api.model.file import File
from graphql_api.model.ids import new_file_id
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator
from graphql_api.web.logs import configure_logging
from graphql_api.web.passes import Passes
from graphql_api.web.share_view import MAX_FORM_SIZE, ShareView
from tests.services.sharing import now_of, shared
from tests.services.stories import denied, filed, foldered, ruled, unruled
from tests.web.small_app import SCHEMA, client_of
from tests.web.tokens import secret_policy
from tests.world import START, World

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
DATA = {"accept": "application/json"}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


PASSES = Passes(b"a secret of this service")


def app_of(world: World, passes: Passes = PASSES, **limits: Any) -> Any:
    view = ShareView(
        world.services.visits,
        passes,
        world.clock,
        link_origin="https://cdn.test",
        **limits,
    )
    authenticator = Authenticator(secret_policy(), clock=world.clock)
    return create_app(world.services, SCHEMA, authenticator, doors=view.routes())


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_of(world)) as client:
        yield client


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._here: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._here = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._here is not None:
            self.found.append((data, self._here))
            self._here = None


def links(answer: httpx.Response) -> dict[str, str]:
    """Of a page: where each of its links leads, as a browser would understand it."""
    parser = _Links()
    parser.feed(answer.text)
    return {text: urljoin(str(answer.url), href) for text, href in parser.found}


def check_manners(answer: httpx.Response) -> None:
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["x-content-type-options"] == "nosniff"


def check_page(answer: httpx.Response) -> None:
    check_manners(answer)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in answer.text


def check_sent_on(answer: httpx.Response, file: File, status: int = 302) -> None:
    check_manners(answer)
    assert answer.status_code == status
    assert answer.headers["location"].startswith(f"https://cdn.test/{file.object_key}?")
    assert answer.content == b""


def check_nothing(answer: httpx.Response) -> None:
    check_manners(answer)
    assert answer.status_code == 404


async def ended(world: World, maker: Principal, how: str) -> str:
    """The token of a link that was good, and is no more."""
    file = await filed(world, maker, f"{how}.txt")
    made = await shared(world, maker, file, max_downloads=1, expires_at=START + timedelta(minutes=1))
    match how:
        case "revoked":
            await world.services.share_links.revoke(maker, made.link.id)
        case "expired":
            world.clock.advance(minutes=1)
        case "used up":
            visit = await world.services.visits.begin(maker, made.token)
            await world.services.visits.fetch(visit, file)
        case "denied":
            await denied(world, ANYONE, file.id, Permission.READ)
        case "deleted":
            await world.services.files.delete(maker, [file.id])
    return made.token


# One file


async def test_a_file_is_a_redirect_that_counts(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file)
    for headers in (PAGE, DATA, {}):
        check_sent_on(await client.get(f"/s/{made.token}", headers=headers), file)
    assert (await now_of(world, made.link)).downloads == 3


async def test_the_address_is_sent_as_it_was_signed(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada, "50% 写真.txt"))
    location = (await client.get(f"/s/{made.token}")).headers["location"]
    assert "50%2525%2520%25E5" in location  # encoded for the header, and for the address; not once more


@pytest.mark.parametrize("how", ["revoked", "expired", "used up", "denied", "deleted"])
async def test_a_link_that_has_ended_looks_like_one_that_never_was(
    world: World, client: httpx.AsyncClient, how: str
) -> None:
    token = await ended(world, await world.principal("ada"), how)
    for method in ("GET", "POST", "HEAD"):
        for headers in (PAGE, DATA):
            answers = []
            for path in (token, "x" * 43):
                answer = await client.request(method, f"/s/{path}", headers={**headers, "x-request-id": "same"})
                check_nothing(answer)
                answers.append((answer.content, sorted(answer.headers.items())))
            assert answers[0] == answers[1]


async def test_head_says_whether_there_is_something_and_neither_counts_nor_sends_on(
    world: World, client: httpx.AsyncClient
) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    for wish in ({}, {"max_downloads": 1}, {"password": "correct horse"}):
        made = await shared(world, ada, file, **wish)
        answer = await client.head(f"/s/{made.token}")
        check_manners(answer)
        assert (answer.status_code, answer.headers.get("location")) == (200, None)
        assert (await now_of(world, made.link)).downloads == 0


async def test_head_below_a_folder_with_a_password_tells_nothing_without_the_cookie(
    world: World, client: httpx.AsyncClient
) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    path = f"/s/{(await shared(world, ada, folder, password='correct horse')).token}"
    below = [f"{path}/{id_}" for id_ in (file.id, new_file_id(START))]
    for address in below:
        answer = await client.head(address)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    entered = await client.post(path, data={"password": "correct horse"})
    carried = {"cookie": entered.headers["set-cookie"].split("; ")[0]}
    client.cookies.clear()
    assert [(await client.head(address, headers=carried)).status_code for address in below] == [200, 404]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x-moz": "prefetch"},
        {"x-purpose": "preview"},
    ],
    ids=str,
)
async def test_what_nobody_has_asked_for_yet_is_not_fetched(
    world: World, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    for token in (made.token, "x" * 43):
        answer = await client.get(f"/s/{token}", headers={**PAGE, **headers})
        check_manners(answer)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await now_of(world, made.link)).downloads == 0


async def test_looking_at_a_one_use_link_does_not_use_it_up(world: World, client: httpx.AsyncClient) -> None:
    """A program that makes previews for a chat sends GET and follows redirects; it presses no button."""
    ada = await world.principal("ada")
    file = await filed(world, ada, "offer <1>.txt")
    made = await shared(world, ada, file, max_downloads=1)
    path = f"/s/{made.token}"
    for _ in range(3):
        page = await client.get(path, headers=PAGE)
        check_page(page)
        assert page.status_code == 200
        assert "offer &lt;1&gt;.txt" in page.text
        assert '<form method="post">' in page.text
        data = await client.get(path, headers=DATA)
        assert data.json() == {
            "asksFor": "POST",
            "file": {"id": file.id, "name": file.name, "size": 5, "contentType": "text/plain"},
        }
    check_sent_on(await client.post(path), file, 303)
    check_nothing(await client.post(path))
    check_nothing(await client.get(path))


async def test_of_a_hundred_who_press_the_button_at_once_one_is_sent_on(
    world: World, client: httpx.AsyncClient
) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, max_downloads=1)
    answers = await asyncio.gather(*(client.post(f"/s/{made.token}") for _ in range(100)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(303) == 1
    assert statuses.count(404) == 99
    assert (await now_of(world, made.link)).downloads == 1


# Passwords


async def test_a_password_is_asked_for_and_opens_a_file_each_time(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada, "secret plan.txt")
    made = await shared(world, ada, file, password="correct horse & co", max_downloads=2)
    path = f"/s/{made.token}"
    for answer in (await client.get(path, headers=PAGE), await client.post(path, headers=PAGE)):
        check_page(answer)
        assert answer.status_code == 200
        assert 'type="password"' in answer.text
        assert "secret plan" not in answer.text
        assert "form-action 'self' https://cdn.test" in answer.headers["content-security-policy"]
    assert (await client.get(path, headers=DATA)).json() == {"asksFor": "PASSWORD"}
    wrong = await client.post(path, data={"password": "correct house & co"}, headers=PAGE)
    check_page(wrong)
    assert (wrong.status_code, "That is not the password" in wrong.text) == (403, True)
    told = await client.post(path, data={"password": "correct house & co"}, headers=DATA)
    assert (told.status_code, told.json()["errors"][0]["extensions"]["code"]) == (403, "WRONG_PASSWORD")
    for _ in range(2):
        answer = await client.post(path, data={"password": "correct horse & co"})
        check_sent_on(answer, file, 303)
        assert "set-cookie" not in answer.headers
    check_nothing(await client.post(path, data={"password": "correct horse & co"}))


async def test_a_password_in_the_query_opens_nothing(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse")
    for method in ("GET", "POST"):
        answer = await client.request(method, f"/s/{made.token}?password=correct+horse", headers=DATA)
        assert answer.json() == {"asksFor": "PASSWORD"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"password=",
        b"pass=correct+horse",
        b"\xff\xfe",
        b"password=" + b"x" * (MAX_FORM_SIZE - 9),
        b'{"password": "correct horse"}',
        b"&" * 1_000,
        b"password=%00",
        b"password=%ED%A0%80",
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_whatever_comes_instead_of_a_password_is_answered(
    world: World, client: httpx.AsyncClient, body: bytes
) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse")
    answer = await client.post(f"/s/{made.token}", content=body, headers=PAGE)
    check_page(answer)
    assert answer.status_code in (200, 403)


async def test_a_form_that_is_too_large_is_refused(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse")
    form = b"password=correct+horse&x="
    for size, status in ((MAX_FORM_SIZE, 303), (MAX_FORM_SIZE + 1, 413)):
        answer = await client.post(f"/s/{made.token}", content=form.ljust(size, b"x"), headers=DATA)
        check_manners(answer)
        assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_rights_that_go_while_a_form_is_sent_are_gone(world: World, client: httpx.AsyncClient) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.READ)
    sharing = await ruled(world, bob, file.id, Permission.SHARE)
    made = await shared(world, bob, file, password="correct horse")

    async def form() -> AsyncIterator[bytes]:
        yield b"password=correct"
        await unruled(world, sharing)
        yield b"+horse"

    check_nothing(await client.post(f"/s/{made.token}", content=form()))
    assert (await now_of(world, made.link)).downloads == 0


async def test_a_form_that_does_not_come_to_an_end_is_not_waited_for(world: World) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse")

    async def form() -> AsyncIterator[bytes]:
        yield b"password=correct"
        await asyncio.Event().wait()

    async with client_of(app_of(world, form_patience=timedelta(milliseconds=10))) as client:
        for token in (made.token, "x" * 43):
            answer = await client.post(f"/s/{token}", content=form(), headers=DATA)
            check_manners(answer)
            assert (answer.status_code, answer.headers["connection"]) == (408, "close")
            assert answer.json()["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"


async def test_a_folders_password_is_asked_for_once_an_hour(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    made = await shared(world, ada, folder, password="correct horse")
    path = f"/s/{made.token}"
    below = f"{path}/{file.id}"
    for unknown in (below, f"{path}/{new_file_id(START)}"):
        answer = await client.get(unknown)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    entered = await client.post(path, data={"password": "correct horse"})
    check_manners(entered)
    assert (entered.status_code, entered.headers["location"]) == (303, path)
    cookie, *attributes = entered.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "Max-Age=3600", f"Path={path}", "SameSite=lax", "Secure"}
    client.cookies.clear()
    carried = {"cookie": cookie}
    listed = await client.get(path, headers=DATA | carried)
    assert [entry["path"] for entry in listed.json()["files"]] == ["cat.txt"]
    check_sent_on(await client.get(below, headers=carried), file)
    world.clock.advance(hours=1)
    assert (await client.get(path, headers=DATA | carried)).json() == {"asksFor": "PASSWORD"}


async def test_a_pass_is_good_for_its_own_link_only(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    await filed(world, ada, folder_id=folder.id)
    one, two = [await shared(world, ada, folder, password="correct horse") for _ in range(2)]
    entered = await client.post(f"/s/{one.token}", data={"password": "correct horse"})
    cookie = entered.headers["set-cookie"].split("; ")[0]
    client.cookies.clear()
    assert (await client.get(f"/s/{two.token}", headers=DATA | {"cookie": cookie})).json() == {"asksFor": "PASSWORD"}
    value = cookie.partition("=")[2]
    end, holder, seal = value.split(".")
    later = f"{int(end) + 3600}.{holder}.{seal}"
    other = f"{end}.{two.link.id}.{seal}"
    cut = f"{end}.{holder}.{seal[:-1]}"
    for forged in (later, other, cut, holder, "", "a.b.c", f"{value}x"):
        headers = DATA | {"cookie": f"share_pass={forged}"}
        for made in (one, two):
            assert (await client.get(f"/s/{made.token}", headers=headers)).json() == {"asksFor": "PASSWORD"}
    await world.services.share_links.revoke(ada, one.link.id)
    check_nothing(await client.get(f"/s/{one.token}", headers=DATA | {"cookie": cookie}))


async def test_when_the_secret_is_one_no_longer_no_pass_opens_a_folder_and_none_is_given(world: World) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    made = await shared(world, ada, folder, password="correct horse")
    forged = Passes(b"what leaks").issue("share", made.link.id, expires_at=START + timedelta(days=1))
    carried = DATA | {"cookie": f"share_pass={forged}"}
    is_secret = True
    async with client_of(app_of(world, Passes(b"what leaks", is_secret=lambda: is_secret))) as client:
        assert (await client.get(f"/s/{made.token}", headers=carried)).json()["folder"] == {"name": "photos"}
        is_secret = False
        assert (await client.get(f"/s/{made.token}", headers=carried)).json() == {"asksFor": "PASSWORD"}
        answer = await client.post(f"/s/{made.token}", data={"password": "correct horse"}, headers=DATA)
        assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)


# Folders


async def test_a_folder_is_a_list_whose_links_lead_to_its_files(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos & <more>")
    below = await foldered(world, ada, "rome", folder.id)
    names = {"a \"1\" & 'b'.txt": folder, "z<script>x<script>.txt": below}
    files = {name: await filed(world, ada, name, folder_id=where.id) for name, where in names.items()}
    made = await shared(world, ada, folder, label="not for visitors")
    page = await client.get(f"/s/{made.token}", headers=PAGE)
    check_page(page)
    assert "photos &amp; &lt;more&gt;" in page.text
    assert "not for visitors" not in page.text
    found = links(page)
    assert list(found) == ["a \"1\" & 'b'.txt", "rome/z<script>x<script>.txt"]
    data = (await client.get(f"/s/{made.token}", headers=DATA)).json()
    assert data["folder"] == {"name": "photos & <more>"}
    assert [urljoin(str(page.url), entry["href"]) for entry in data["files"]] == list(found.values())
    for address, file in zip(found.values(), files.values(), strict=True):
        check_sent_on(await client.get(address), file)
    assert (await now_of(world, made.link)).downloads == 2


async def test_a_long_list_comes_in_pages(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    for number in range(101):
        await filed(world, ada, f"{number:03}.txt", folder_id=folder.id)
    made = await shared(world, ada, folder)
    first = await client.get(f"/s/{made.token}", headers=PAGE)
    found = links(first)
    assert len(found) == 101
    second = await client.get(found["More"], headers=PAGE)
    assert list(links(second)) == ["100.txt"]
    data = (await client.get(f"/s/{made.token}", headers=DATA)).json()
    rest = (await client.get(urljoin(str(first.url), data["next"]), headers=DATA)).json()
    assert ([entry["name"] for entry in rest["files"]], rest["next"]) == (["100.txt"], None)
    for cursor in ("x", quote("~AAAA"), "W10="):
        answer = await client.get(f"/s/{made.token}?after={cursor}", headers=DATA)
        check_manners(answer)
        assert answer.status_code == 400


async def test_a_folders_list_goes_on_behind_a_page_of_what_it_does_not_offer(
    world: World, client: httpx.AsyncClient
) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    *altered, good = [await filed(world, ada, f"{number:03}.txt", folder_id=folder.id) for number in range(101)]
    async with world.database.transaction() as connection:
        of_these = update(FileRow).where(FileRow.id.in_([file.id for file in altered]))
        await connection.execute(of_these.values(altered_at=world.clock()))
    made = await shared(world, ada, folder)
    first = (await client.get(f"/s/{made.token}", headers=DATA)).json()
    assert first["files"] == []
    rest = (await client.get(f"/s/{made.token}{first['next']}", headers=DATA)).json()
    assert ([entry["name"] for entry in rest["files"]], rest["next"]) == (["100.txt"], None)
    for method in ("HEAD", "GET"):
        assert (await client.request(method, f"/s/{made.token}/{altered[0].id}")).status_code == 404
    check_sent_on(await client.get(f"/s/{made.token}/{good.id}"), good)


async def test_an_empty_folder_says_so(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await foldered(world, ada, "photos"))
    page = await client.get(f"/s/{made.token}", headers=PAGE)
    check_page(page)
    assert "There are no files here." in page.text
    assert (await client.get(f"/s/{made.token}", headers=DATA)).json()["files"] == []


async def test_a_folder_for_so_many_downloads_asks_for_a_button_at_each_file(
    world: World, client: httpx.AsyncClient
) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    made = await shared(world, ada, folder, max_downloads=1)
    path = f"/s/{made.token}/{file.id}"
    page = await client.get(path, headers=PAGE)
    check_page(page)
    assert '<form method="post">' in page.text
    check_sent_on(await client.post(path), file, 303)
    check_nothing(await client.post(path))
    check_nothing(await client.get(f"/s/{made.token}"))


async def test_no_trick_with_the_path_leads_out_of_what_is_shared(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    inside, outside = await filed(world, ada, "in.txt", folder_id=folder.id), await filed(world, ada, "out.txt")
    to_folder, to_file = await shared(world, ada, folder), await shared(world, ada, inside)
    tricks = [
        f"/s/{to_folder.token}/{outside.id}",
        f"/s/{to_folder.token}/{folder.id}",
        f"/s/{to_folder.token}/..%2F{outside.id}",
        f"/s/{to_folder.token}/{inside.id}%2F..%2F{outside.id}",
        f"/s/{to_folder.token}/{inside.id}/",
        f"/s/{to_folder.token}/{inside.id.upper()}",
        f"/s/{to_folder.token}/{inside.id}%00",
        f"/s/{to_folder.token}%2F{outside.id}",
        f"/s/{to_folder.token}/",
        f"/s//{to_folder.token}",
        f"/s/{to_folder.token[:-1]}",
        f"/s/{to_folder.token}=",
        f"/s/{to_folder.token}%20",
        f"/s/{to_folder.token.swapcase()}",
        f"/s/{to_file.token}/{inside.id}",
        f"/s/{to_file.token}/{outside.id}",
        "/s/",
        "/s/%ff%fe",
        "/s/" + "x" * 5_000,
    ]
    for path in tricks:
        answer = await client.get(httpx.URL(f"http://api.test{path}"), headers=DATA)
        assert answer.status_code == 404, path
    check_sent_on(await client.get(f"/s/{to_folder.token}%2F{inside.id}"), inside)  # is the same address


async def test_other_methods_are_refused(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await client.request(method, f"/s/{made.token}")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


# Guessing, and what is written down


async def test_guessing_ends_with_429_and_when_to_come_back(world: World, client: httpx.AsyncClient) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    for number in range(world.guess_limits.per_address):
        check_nothing(await client.get(f"/s/{number:08}{'x' * 35}"))
    for headers in (PAGE, DATA):
        answer = await client.get(f"/s/{made.token}", headers=headers)
        check_manners(answer)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "12")
    assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_database_that_does_not_answer_is_said(world: World, tmp_path: Path) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    elsewhere = World(Database(f"sqlite:///{tmp_path}/not/there.db"))
    async with client_of(app_of(elsewhere)) as client:
        for headers in (PAGE, DATA):
            answer = await client.get(f"/s/{made.token}", headers=headers)
            check_manners(answer)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert "there.db" not in answer.text
    await elsewhere.database.close()


@pytest.fixture
def log(lines: io.StringIO) -> io.StringIO:
    configure_logging("DEBUG", stream=lines)
    return lines


async def test_no_token_and_no_password_is_logged(world: World, log: io.StringIO) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    made = await shared(world, ada, folder, password="correct horse")
    async with client_of(app_of(world)) as client:
        entered = await client.post(f"/s/{made.token}", data={"password": "correct horse"})
        await client.post(f"/s/{made.token}", data={"password": "wrong horse"})
        cookie = entered.headers["set-cookie"].split("; ")[0]
        sent_on = await client.get(f"/s/{made.token}/{file.id}", headers={"cookie": cookie})
        for path in ("/S/{}", "/s//{}", "//s/{}", "/s/./{}", "/api/s/{}", "/x%2Fs%2F{}", "/{}", "/s/{}x", "/s/{}/a/b"):
            await client.get(httpx.URL("http://api.test" + path.format(made.token)))
    written = log.getvalue()
    assert f"path=/s/[redacted]/{file.id} status=302" in written
    assert f"share_link_used link={made.link.id} file={file.id}" in written
    assert f"share_link_refused link={made.link.id} reason=password" in written
    for secret in (made.token, "horse", cookie.partition("=")[2], sent_on.headers["location"]):
        assert secret not in written
    assert not re.search(made.token[5:30], written)
