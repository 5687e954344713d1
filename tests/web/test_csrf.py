"""What a page of another site can make a browser send without asking first: nothing of it is executed.

The page cannot tell: an image of JSON looks broken whether or not the query ran. So the server is looked at.
"""

import json
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Browser, Page

from graphql_api.web.graphql_view import PREFLIGHT
from tests.web.small_app import FewServices, app_around, executed, running
from tests.web.tokens import Clock


@pytest.fixture(scope="module")
def api(pages: str) -> Iterator[str]:
    """It lets pages of 127.0.0.1 in, but not of localhost, which is another site."""
    with running(app_around(FewServices(), Clock(), cors_origins=[pages.rstrip("/")])) as address:
        yield address


@pytest.fixture
async def page(browser: Browser, pages: str) -> AsyncIterator[Page]:
    """Of another site."""
    opened = await browser.new_page()
    await opened.goto(pages.replace("127.0.0.1", "localhost"))
    yield opened
    await opened.close()


QUERY = '{ echo(text: "read") }'
MUTATION = 'mutation { touch(text: "written") }'
PATIENCE = "new Promise(end => setTimeout(end, 1000))"  # some of these ways never tell that they have come to an end
ENDED = "new Promise(end => {{ const it = {0}; it.onload = it.onerror = end; {1} }})"
IN_FRAME = """new Promise(end => {
    const frame = document.body.appendChild(document.createElement('iframe'));
    frame.name = 'there';
    const form = document.body.appendChild(document.createElement('form'));
    Object.assign(form, {target: 'there', method: METHOD, action: URL_, enctype: KIND});
    for (const [name, value] of Object.entries(FIELDS)) {
        Object.assign(form.appendChild(document.createElement('input')), {type: 'hidden', name, value});
    }
    frame.onload = end;
    form.submit();
})"""


def form(method: str, url: str, kind: str, fields: str) -> str:
    return (
        IN_FRAME.replace("METHOD", repr(method))
        .replace("URL_", repr(url))
        .replace("KIND", repr(kind))
        .replace("FIELDS", fields)
    )


def ways(api: str) -> dict[str, str]:
    """Programs of the page, by what they use."""
    url, socket = f"{api}/graphql", f"{api.replace('http', 'ws')}/graphql"
    read, body = f"{url}?query={quote(QUERY)}", repr(json.dumps({"query": MUTATION}))
    anyway = ".then(() => 0, () => 0)"
    return {
        "an image": ENDED.format("new Image()", f"it.src = {read!r}"),
        "a script": ENDED.format("document.createElement('script')", f"it.src = {read!r}; document.head.append(it)"),
        "a style sheet": ENDED.format(
            "document.createElement('link')", f"it.rel = 'stylesheet'; it.href = {read!r}; document.head.append(it)"
        ),
        "a frame": ENDED.format("document.createElement('iframe')", f"it.src = {read!r}; document.body.append(it)"),
        "a form that is read": form("get", url, "", f"{{query: {QUERY!r}}}"),
        "a form that is sent": form("post", url, "application/x-www-form-urlencoded", f"{{query: {MUTATION!r}}}"),
        "a form in parts": form("post", url, "multipart/form-data", f"{{query: {MUTATION!r}}}"),
        "a form of text": form("post", url, "text/plain", '{\'{"query": "mutation { touch }", "a\': \'": 1}\'}'),
        "fetch without leave": f"fetch({read!r}, {{mode: 'no-cors'}}){anyway}",
        "fetch of text": f"fetch({url!r}, {{method: 'POST', mode: 'no-cors', body: {body}}}){anyway}",
        "fetch with leave": f"fetch({read!r}){anyway}",
        "fetch of JSON": f"fetch({url!r}, {{method: 'POST', headers: {{'content-type': 'application/json'}}, "
        f"body: {body}}}){anyway}",
        "a beacon": f"(navigator.sendBeacon({url!r}, {body}), new Promise(end => setTimeout(end, 200)))",
        "a stream": f"new Promise(end => {{ const it = new EventSource({read!r}); "
        "it.onerror = () => { it.close(); end(); }; it.onmessage = it.onerror; })",
        "a socket": f"new Promise(end => {{ const it = new WebSocket({socket!r}, 'graphql-transport-ws'); "
        "it.onopen = () => it.send(JSON.stringify({type: 'connection_init'})); "
        "it.onmessage = () => { it.send(JSON.stringify({type: 'subscribe', id: '1', "
        "payload: {query: 'subscription { told(text: \"told\") }'}})); setTimeout(end, 200); }; it.onclose = end; })",
    }


@pytest.mark.parametrize("way", list(ways("")))
async def test_a_page_of_another_site_runs_nothing(page: Page, api: str, way: str) -> None:
    executed.clear()
    await page.evaluate(f"() => Promise.race([{ways(api)[way]}, {PATIENCE}]).then(() => null)")
    assert executed == []


async def test_a_page_that_may_runs_what_it_asks_for(browser: Browser, pages: str, api: str) -> None:
    page = await browser.new_page()
    await page.goto(pages)
    executed.clear()
    read = f"{api}/graphql?query={quote(QUERY)}"
    answer = await page.evaluate(
        f"() => fetch({read!r}, {{headers: {{{PREFLIGHT!r}: '1'}}}}).then(answer => answer.status)"
    )
    await page.close()
    assert (answer, executed) == (200, ["read"])


async def test_a_link_from_another_site_opens_the_console_and_runs_nothing(client: httpx.AsyncClient) -> None:
    executed.clear()
    navigation = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "accept": "text/html,*/*;q=0.8"}
    answer = await client.get("/graphql", headers=navigation)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    query = {"query": '{ echo(text: "read") }'}
    assert (await client.get("/graphql", params=query, headers=navigation)).status_code == 403
    assert executed == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # no browser
        ({"sec-fetch-site": "none"}, 200),  # somebody typed it
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "Cross-Site"}, 403),
        ({"sec-fetch-site": "cross-site", PREFLIGHT: "1"}, 200),
        ({"sec-fetch-site": "cross-site", "apollo-require-preflight": "true"}, 200),
    ],
)
async def test_a_header_that_is_asked_about_before_says_that_a_page_may(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.get("/graphql", params={"query": "{ viewer }"}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["errors"][0]["extensions"]["code"] == "CSRF_PREVENTION"
