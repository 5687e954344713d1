"""The console works in a real browser, from our own files alone."""

import re

import httpx

from graphql_api.web import console
from graphql_api.web.documents import Documents
from tests.browser import running_chromium
from tests.cli.program import wait_for
from tests.web.small_app import FewServices, app_around, client_of, running, watching
from tests.web.tokens import Clock, bearer

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_browser_is_given_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", headers=PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text


async def test_a_program_is_not(client: httpx.AsyncClient) -> None:
    for accept in ("*/*", "application/json"):
        assert (await client.get("/graphql", headers={"accept": accept})).status_code == 400
    answer = await client.get("/graphql", params={"query": "{ viewer }"}, headers=PAGE)
    assert answer.json() == {"data": {"viewer": None}}


async def test_the_console_can_be_switched_off(services: FewServices, clock: Clock) -> None:
    async with client_of(app_around(services, clock, graphiql=False)) as http:
        assert (await http.get("/graphql", headers=PAGE)).status_code == 400
        assert (await http.get("/graphql/console/console.js")).status_code == 404


async def test_the_files_may_be_kept_and_have_their_types(client: httpx.AsyncClient) -> None:
    page = (await client.get("/graphql", headers=PAGE)).text
    addresses = re.findall(r'(?:src|href)="(graphql/[^"]+)"', page)
    assert len(addresses) == len(console.HASHES)
    for address in addresses:
        answer = await client.get("/" + address)
        assert answer.status_code == 200
        media_type = "text/css" if ".css" in address else "text/javascript"
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_files_from_elsewhere_are_what_the_readme_says() -> None:
    stated = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (console.FOLDER / "README.md").read_text(), re.M))
    ours = {"console.js", "console.css"}
    assert stated == {name: digest for name, digest in console.HASHES.items() if name not in ours}


async def test_every_page_has_a_nonce_of_its_own(client: httpx.AsyncClient) -> None:
    policies = {(await client.get("/graphql", headers=PAGE)).headers["content-security-policy"] for _ in range(3)}
    nonces = {found for policy in policies for found in re.findall(r"'nonce-([\w-]{22})'", policy)}
    assert len(nonces) == 3


async def test_the_console_says_why_it_knows_no_schema_where_only_trusted_documents_are_run(
    services: FewServices, clock: Clock
) -> None:
    documents = Documents({"viewer": "{ viewer }"}, only_trusted=True)
    with running(app_around(services, clock, documents=documents)) as address:
        async with running_chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{address}/graphql")
            await page.locator(".result-window").get_by_text("Only documents that the operator has listed").wait_for()
            await page.locator(".graphiql-query-editor .CodeMirror").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text("{ viewer }")
            await page.get_by_label(re.compile("^Execute query")).click()
            await page.locator(".result-window").get_by_text('"viewer": null').wait_for()


async def test_a_query_runs_in_a_browser_and_nothing_leaves_the_host(services: FewServices, clock: Clock) -> None:
    with running(app_around(services, clock)) as address:
        async with running_chromium() as browser:
            page = await browser.new_page()
            complaints: list[str] = []
            requests: list[str] = []
            page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))

            await page.goto(f"{address}/graphql")
            await page.locator(".graphiql-query-editor .CodeMirror").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text("{ viewer }")
            await page.locator(".graphiql-editor-tool .CodeMirror:visible").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text(f'{{"authorization": "{bearer(clock)}"}}')
            await page.get_by_label(re.compile("^Execute query")).click()
            await page.locator(".result-window").get_by_text("user_ada").wait_for()
            for label in ("Show Documentation Explorer", "Show History", "Open short keys dialog"):
                await page.get_by_label(label).click()
            await page.get_by_role("dialog").wait_for()
            await page.keyboard.press("Escape")
            stored = await page.evaluate("JSON.stringify(localStorage)")
    assert not complaints
    assert requests
    assert [url for url in requests if not url.startswith((address, "data:"))] == []
    assert "{ viewer }" in stored
    assert "Bearer" not in stored  # a token lives no longer than the page


async def test_a_subscription_is_listened_to_until_it_is_stopped(services: FewServices, clock: Clock) -> None:
    with running(app_around(services, clock)) as address:
        async with running_chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{address}/graphql")
            await page.locator(".graphiql-query-editor .CodeMirror").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text("subscription { forever }")
            await page.get_by_label(re.compile("^Execute query")).click()
            await page.locator(".result-window").get_by_text('"forever"').wait_for()
            assert watching.now == 1
            await page.get_by_label(re.compile("^Stop query")).click()
            wait_for(lambda: watching.now == 0)
