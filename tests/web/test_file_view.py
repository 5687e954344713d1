"""``/f/{id}`` and its session: a lasting address for those who may read a file, and nothing for others to learn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.file import File
from graphql_api.model.ids import new_file_id, new_user_id
from graphql_api.model.principal import Identity, Permission, Principal
from graphql_api.model.rule import ANYONE, Obligations
from graphql_api.model.signing_key import HashAlgorithm
from graphql_api.services.link_signing import RemoteSigner
from graphql_api.signing.cloudfront import CloudFrontWriter
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator
from graphql_api.web.file_view import FileView
from graphql_api.web.passes import Passes
from tests.schema.test_signing_keys import Elsewhere
from tests.services.revoking import Edge
from tests.services.stories import denied, filed, foldered, ruled
from tests.web.small_app import SCHEMA, client_of
from tests.web.tokens import ISSUER, bearer, secret_policy
from tests.world import CDN, REDIRECT_LIFETIME, START, Clock, World

LIFETIME = timedelta(hours=1)
PAGES = "https://app.example.com"
PASSES = Passes(b"a secret of this service")


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


@asynccontextmanager
async def client_for(world: World, passes: Passes = PASSES) -> AsyncIterator[httpx.AsyncClient]:
    services = world.services
    authenticator = Authenticator(secret_policy(admin_role="admin"), clock=world.clock)
    view = FileView(services, authenticator, passes, world.clock, session_lifetime=LIFETIME)
    app = create_app(services, SCHEMA, authenticator, doors=view.routes(), cors_origins=[PAGES])
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(world) as client:
        yield client


def token(clock: Clock, **changes: object) -> dict[str, str]:
    return {"authorization": bearer(cast("Any", clock), **changes)}


async def ada_of(world: World) -> Principal:
    """As the tokens of these tests name her."""
    return await world.services.accounts.principal_of(Identity(ISSUER, "ada", "ada"))


async def cookie_of(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    answer = await client.post("/f/session", headers=headers)
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    return {"cookie": answer.headers["set-cookie"].split("; ")[0]}


def check_manners(answer: httpx.Response) -> None:
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"] == "noindex"


def check_sent_on(answer: httpx.Response, file: File) -> None:
    check_manners(answer)
    assert answer.status_code == 302
    location = httpx.URL(answer.headers["location"])
    assert (location.host, location.path) == ("cdn.test", f"/{file.object_key}")


async def test_a_viewer_is_sent_on_by_token_and_by_cookie(world: World, client: httpx.AsyncClient) -> None:
    ada = await ada_of(world)
    file = await filed(world, ada)
    cookie = await cookie_of(client, token(world.clock))
    for headers in (token(world.clock), cookie):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, f"/f/{file.id}", headers=headers)
            check_sent_on(answer, file)
    expires = int(httpx.URL(answer.headers["location"]).params["Expires"])
    assert START.timestamp() < expires <= (START + REDIRECT_LIFETIME).timestamp()


async def test_where_links_can_be_revoked_an_address_leads_to_one_that_can(database: Database) -> None:
    world = World(database, revokes=True)
    edge, ada = Edge(world), await ada_of(world)
    file = await filed(world, ada)
    async with client_for(world) as client:
        urls = []
        for _ in range(2):
            answer = await client.get(f"/f/{file.id}", headers=token(world.clock))
            check_sent_on(answer, file)
            urls.append(answer.headers["location"])
            await world.services.revocations.revoke_file(ada, file.id)
            await edge.told()
        assert [edge.store.refuses(url) for url in urls] == [True, True]
        assert urls[0] != urls[1]


async def test_the_cookie_is_for_this_place_only(world: World, client: httpx.AsyncClient) -> None:
    headers = token(world.clock, exp=int(START.timestamp()) + 90_000)
    answer = await client.post("/f/session", headers=headers)
    check_manners(answer)
    assert answer.json() == {"expiresAt": "2026-11-22T13:00:00Z"}
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "Max-Age=3600", "Path=/f/", "SameSite=lax", "Secure"}
    assert not [part for part in headers["authorization"].removeprefix("Bearer ").split(".") if part in cookie]
    client.cookies.clear()
    answer = await client.post("/graphql", json={"query": "{ viewer }"}, headers={"cookie": cookie})
    assert answer.json() == {"data": {"viewer": None}}


async def test_a_session_ends_with_the_token_it_was_made_with(world: World, client: httpx.AsyncClient) -> None:
    ada = await ada_of(world)
    file = await filed(world, ada)
    headers = token(world.clock, exp=int(START.timestamp()) + 600)
    answer = await client.post("/f/session", headers=headers)
    leeway = timedelta(seconds=30)  # as long as the token itself is accepted
    assert answer.json() == {"expiresAt": "2026-11-22T12:10:30Z"}
    cookie = await cookie_of(client, headers)
    world.clock.now = START + timedelta(minutes=10) + leeway - timedelta(seconds=1)
    check_sent_on(await client.get(f"/f/{file.id}", headers=cookie), file)
    world.clock.advance(seconds=1)
    assert (await client.get(f"/f/{file.id}", headers=cookie)).status_code == 401


async def test_a_session_is_ended_by_who_has_it(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/f/session")
    check_manners(answer)
    assert answer.status_code == 204
    assert set(answer.headers["set-cookie"].split("; ")) >= {'file_session=""', "Max-Age=0", "Path=/f/"}


async def test_hidden_and_absent_files_look_alike(world: World, client: httpx.AsyncClient) -> None:
    bob = await world.principal("bob")
    hidden = await filed(world, bob)
    folder = await foldered(world, bob, "photos")
    await ada_of(world)
    cookie = await cookie_of(client, token(world.clock))
    for headers, status in ((token(world.clock), 404), (cookie, 404), ({}, 401)):
        seen = set()
        for id_ in (hidden.id, new_file_id(START), folder.id, "session", "x", hidden.id + "%2F..", "..%2F" + hidden.id):
            answer = await client.get(f"/f/{id_}", headers={**headers, "x-request-id": "same"})
            if "%2F" in id_:
                assert answer.status_code == 404
                continue
            check_manners(answer)
            assert answer.status_code == status
            seen.add((answer.content, *answer.headers.items()))
        assert len(seen) == 1


async def test_a_page_is_told_in_html(world: World, client: httpx.AsyncClient) -> None:
    for headers, status in (({}, 401), (token(world.clock), 404)):
        answer = await client.get(f"/f/{new_file_id(START)}", headers={**headers, "accept": "text/html"})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_what_everybody_may_read_needs_no_session(world: World, client: httpx.AsyncClient) -> None:
    bob = await world.principal("bob")
    file = await filed(world, bob)
    await ruled(world, ANYONE, file.id, Permission.READ)
    check_sent_on(await client.get(f"/f/{file.id}"), file)


async def test_rules_hold_at_each_visit_and_so_do_their_obligations(world: World, client: httpx.AsyncClient) -> None:
    ada, bob = await ada_of(world), await world.principal("bob")
    file = await filed(world, bob)
    await ruled(
        world, ada, file.id, Permission.READ, obligations=Obligations(timedelta(seconds=5), forces_download=True)
    )
    cookie = await cookie_of(client, token(world.clock))
    answer = await client.get(f"/f/{file.id}", headers=cookie)
    check_sent_on(answer, file)
    parameters = httpx.URL(answer.headers["location"]).params
    assert int(parameters["Expires"]) == START.timestamp() + 5
    assert parameters["response-content-disposition"].startswith("attachment")
    await denied(world, ada, file.id, Permission.READ)
    assert (await client.get(f"/f/{file.id}", headers=cookie)).status_code == 404


async def test_a_session_has_the_groups_and_the_role_of_the_last_token(world: World, client: httpx.AsyncClient) -> None:
    bob, admin = await world.principal("bob"), await world.principal("boss", is_admin=True)
    one, two = await filed(world, bob, "1.txt"), await filed(world, bob, "2.txt")
    group = await world.services.groups.create(admin, "readers", claim="readers")
    await ruled(world, group.id, one.id, Permission.READ)

    async def statuses(**claims: object) -> list[int]:
        cookie = await cookie_of(client, token(world.clock, **claims))
        return [(await client.get(f"/f/{file.id}", headers=cookie)).status_code for file in (one, two)]

    assert await statuses() == [404, 404]
    assert await statuses(groups=["readers"]) == [302, 404]
    assert await statuses(roles=["admin"]) == [302, 302]
    assert await statuses() == [404, 404]


async def test_a_bad_token_makes_no_session_and_opens_nothing(world: World, client: httpx.AsyncClient) -> None:
    bob = await world.principal("bob")
    file = await filed(world, bob)
    await ruled(world, ANYONE, file.id, Permission.READ)
    cookie = await cookie_of(client, token(world.clock))
    bad = [{"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}, token(world.clock, exp=1)]
    for headers in bad:
        assert (await client.get(f"/f/{file.id}", headers=headers)).status_code == 401
    for headers in (*bad, {}, cookie):
        answer = await client.post("/f/session", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "set-cookie" not in answer.headers


async def test_a_cookie_cannot_be_made_up(world: World, client: httpx.AsyncClient) -> None:
    ada = await ada_of(world)
    file = await filed(world, ada)
    value = (await cookie_of(client, token(world.clock)))["cookie"].partition("=")[2]
    end, holder, seal = value.split(".")
    assert holder == ada.user_id
    later = START + timedelta(minutes=30)
    forged = [
        f"{int(end) + 1}.{holder}.{seal}",
        f"{end}.{new_user_id(START)}.{seal}",
        f"{end}.{holder}.{seal[::-1]}",
        PASSES.issue("share", holder, expires_at=later),
        PASSES.issue("files", new_user_id(START), expires_at=later),
        Passes(b"another secret of this length").issue("files", holder, expires_at=later),
        f" {value}",
        f"{value}=",
        value.upper(),
        "",
    ]
    for text in forged:
        answer = await client.get(f"/f/{file.id}", headers={"cookie": f'file_session="{text}"'})
        assert answer.status_code == 401, text
    check_sent_on(await client.get(f"/f/{file.id}", headers={"cookie": f"file_session={value}"}), file)


async def test_a_viewer_is_sent_on_by_a_key_that_is_elsewhere(world: World, client: httpx.AsyncClient) -> None:
    file, key = await filed(world, await ada_of(world)), Elsewhere()
    world.in_use.use(RemoteSigner(CloudFrontWriter(CDN, "KR", HashAlgorithm.SHA256), key), until=None)
    world.edge.group["KR"] = key.public_pem
    answer = await client.get(f"/f/{file.id}", headers=token(world.clock))
    check_sent_on(answer, file)
    location = answer.headers["location"]
    assert world.edge.judge(location).is_let_through
    assert httpx.URL(location).params["Key-Pair-Id"] == "KR"
    assert int(httpx.URL(location).params["Expires"]) <= (START + REDIRECT_LIFETIME).timestamp()
    key.fault = Unavailable("key source")
    world.clock.advance(minutes=5)
    silent = await client.get(f"/f/{file.id}", headers=token(world.clock))
    assert (silent.status_code, silent.headers["retry-after"]) == (503, "5")


async def test_when_the_secret_is_one_no_longer_cookies_end_and_none_are_given_but_tokens_count(world: World) -> None:
    ada = await ada_of(world)
    file = await filed(world, ada)
    is_secret = True
    async with client_for(world, Passes(b"what leaks", is_secret=lambda: is_secret)) as client:
        cookie = await cookie_of(client, token(world.clock))
        forged = Passes(b"what leaks").issue("files", str(ada.user_id), expires_at=START + timedelta(days=3650))
        headers = (cookie, {"cookie": f"file_session={forged}"})
        for each in headers:
            check_sent_on(await client.get(f"/f/{file.id}", headers=each), file)
        is_secret = False
        for each in headers:
            assert (await client.get(f"/f/{file.id}", headers=each)).status_code == 401
        check_sent_on(await client.get(f"/f/{file.id}", headers=token(world.clock)), file)
        answer = await client.post("/f/session", headers=token(world.clock))
        assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)
        assert answer.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("origin", [PAGES, "https://evil.example"])
async def test_only_pages_of_named_origins_make_sessions(client: httpx.AsyncClient, origin: str) -> None:
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    answer = await client.options("/f/session", headers={"origin": origin, **wish})
    if origin == PAGES:
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGES
        assert answer.headers["access-control-allow-credentials"] == "true"
    else:
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/graphql", "/f/file_1", "/f/session/", "//f/session"])
async def test_nothing_else_is_offered_with_cookies(client: httpx.AsyncClient, path: str) -> None:
    wish = {"origin": PAGES, "access-control-request-method": "GET"}
    answer = await client.options(httpx.URL(f"http://api.test{path}"), headers=wish)
    assert "access-control-allow-credentials" not in answer.headers
