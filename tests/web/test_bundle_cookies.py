"""Answers set the cookies of a bundle so that browsers keep them for the bundle alone."""

from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import Response

from graphql_api.model.delivery import CookieScope, LinkWish, SameSite
from graphql_api.model.principal import Identity, Permission, Principal
from graphql_api.model.rule import Obligations
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator
from graphql_api.web.bundle_cookies import set_cookies
from graphql_api.web.file_view import FileView
from graphql_api.web.passes import Passes
from tests.services.bundled import bundled
from tests.services.stories import filed, ruled
from tests.web.small_app import client_of
from tests.web.tokens import ISSUER, bearer, secret_policy
from tests.world import SCHEMA, World

PAGES = "https://app.example.com"
MUTATION = """mutation($id: ID!) { createSignedCookies(input: {fileId: $id}) {
  cookies { name value path } userErrors { code } } }"""


async def ada_of(world: World) -> Principal:
    return await world.services.accounts.principal_of(Identity(ISSUER, "ada", "ada"))


def cookies_of(answer: httpx.Response | Response) -> list[tuple[str, Any]]:
    headers = answer.headers
    lines = headers.get_list("set-cookie") if isinstance(headers, httpx.Headers) else headers.getlist("set-cookie")
    return [pair for line in lines for pair in SimpleCookie(line).items()]


@pytest.mark.parametrize("is_secure", [True, False])
@pytest.mark.parametrize("same_site", list(SameSite))
@pytest.mark.parametrize("domain", [None, "example.com"])
async def test_each_cookie_has_the_attributes_that_were_set(
    sqlite_world: World, domain: str | None, same_site: SameSite, is_secure: bool
) -> None:
    world = World(sqlite_world.database, revokes=True)
    ada = await ada_of(world)
    file = await bundled(world, ada)
    _, link = await world.services.bundle_links.sign(ada, file.id, LinkWish(timedelta(hours=1)))
    answer = Response()
    set_cookies(answer, link, CookieScope(domain, same_site, is_secure=is_secure))
    found = cookies_of(answer)
    assert [(name, morsel.value) for name, morsel in found] == [(each.name, each.value) for each in link.cookies]
    for _, morsel in found:
        assert morsel["path"] == urlsplit(link.base_url).path
        assert morsel["domain"] == (domain or "")
        assert morsel["samesite"] == same_site.lower()
        assert (bool(morsel["secure"]), bool(morsel["httponly"])) == (is_secure, True)
        assert morsel["expires"].endswith("GMT")


async def test_the_mutation_and_the_lasting_address_set_them(sqlite_world: World) -> None:
    world = sqlite_world
    ada, authenticator = await ada_of(world), Authenticator(secret_policy(admin_role="admin"), clock=world.clock)
    file = await bundled(world, ada)
    passes = Passes(b"a secret")
    view = FileView(world.services, authenticator, passes, world.clock, session_lifetime=timedelta(hours=1))
    app = create_app(world.services, SCHEMA, authenticator, doors=view.routes(), cors_origins=[PAGES])
    headers = {"authorization": bearer(cast("Any", world.clock))}
    async with client_of(app) as client:
        body = {"query": MUTATION, "variables": {"id": file.id}}
        answer = await client.post("/graphql", json=body, headers=headers)
        told = answer.json()["data"]["createSignedCookies"]["cookies"]
        set_ = [{"name": name, "value": each.value, "path": each["path"]} for name, each in cookies_of(answer)]
        assert set_ == told
        assert len(told) == 4
        refused = await client.post("/graphql", json=body)
        assert refused.json()["data"]["createSignedCookies"]["userErrors"] == [{"code": "NOT_FOUND"}]
        assert "set-cookie" not in refused.headers

        client.cookies.clear()
        page = {**headers, "origin": PAGES}
        answer = await client.post(f"/f/{file.id}/cookies", headers=page)
        assert (answer.status_code, len(cookies_of(answer))) == (200, 4)
        assert answer.json()["mainUrl"].endswith(f"/{file.object_key}")
        assert answer.headers["access-control-allow-origin"] == PAGES
        assert answer.headers["access-control-allow-credentials"] == "true"
        session = {
            "cookie": "file_session="
            + passes.issue("files", str(ada.user_id), expires_at=world.clock.now + timedelta(hours=1))
        }
        for stranger in ({}, session):  # a page of any site can have a browser send cookies
            assert (await client.post(f"/f/{file.id}/cookies", headers=stranger)).status_code == 401
        plain = await filed(world, ada)
        for absent in (plain.id, "file_x", file.id[:-1] + "0"):
            assert (await client.post(f"/f/{absent}/cookies", headers=page)).status_code == 404

        client.cookies.clear()
        answer = await client.get(f"/f/{file.id}", headers=headers)
        assert answer.status_code == 302
        assert answer.headers["location"].partition("?")[0].endswith(f"/{file.object_key}")
        assert len(cookies_of(answer)) == 4
        await ruled(world, "anyone", file.id, Permission.READ, obligations=Obligations(forces_download=True))
        client.cookies.clear()
        assert (await client.get(f"/f/{file.id}")).status_code == 401  # on these terms nobody gets one
