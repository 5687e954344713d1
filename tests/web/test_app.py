"""Every answer of the HTTP face is JSON with a code, names its request, and is stored by no cache."""

import gzip
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from graphql_api.errors import ConfigurationError
from graphql_api.web.graphql_view import MAX_BODY_SIZE
from graphql_api.web.middleware import LastResort
from tests.web.small_app import FewServices, app_around, client_of, running
from tests.web.tokens import Clock, bearer

JSON = {"content-type": "application/json"}


def check_manners(answer: httpx.Response) -> None:
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def check_refusal(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    check_manners(answer)
    [error] = answer.json()["errors"]
    assert error["message"]
    assert error["extensions"] == {"code": code, "requestId": answer.headers["x-request-id"]}
    assert "data" not in answer.json()


async def test_a_query_is_answered(client: httpx.AsyncClient, clock: Clock) -> None:
    answer = await client.post(
        "/graphql", json={"query": "{ viewer requestId }"}, headers={"authorization": bearer(clock)}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    check_manners(answer)
    assert answer.json() == {"data": {"viewer": "user_ada", "requestId": answer.headers["x-request-id"]}}


async def test_no_token_is_the_anonymous_viewer(client: httpx.AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": "{ viewer }"})
    assert answer.json() == {"data": {"viewer": None}}


async def test_a_query_may_come_by_get(client: httpx.AsyncClient) -> None:
    parameters = {"query": "query Q($t: String!) { echo(text: $t) }", "variables": '{"t": "ü"}', "operationName": "Q"}
    answer = await client.get("/graphql", params=parameters)
    assert answer.json() == {"data": {"echo": "ü"}}
    check_manners(answer)


async def test_a_mutation_comes_by_post_only(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphql", params={"query": "mutation { touch }"})
    check_refusal(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"
    answer = await client.post("/graphql", json={"query": "mutation { touch }"})
    assert answer.json() == {"data": {"touch": True}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/graphql")
    check_refusal(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1",
        b'"x"',
        b"null",
        b"true",
        b"[]",
        b"[1]",
        b'[{"query": "{ viewer }"}]',
        b"{",
        b"{}",
        b"NaN",
        b'{"query": NaN}',
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": ["{ viewer }"]}',
        b'{"query": "{ viewer }", "variables": []}',
        b'{"query": "{ viewer }", "variables": "{}"}',
        b'{"query": "{ viewer }", "extensions": 1}',
        b'{"query": "{ viewer }", "operationName": 1}',
        b'{"query": "{ viewer }", "operationName": "Unknown"}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        '{"query": "{ viewer }"}'.encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"query": "{ viewer }"}',
        b"9" * 5000,
        b"[" * 45_000 + b"]" * 45_000,
        b'{"variables":' * 5000,
        b'{"query": "{ viewer }", "variables": {"n": ' + b"9" * 5000 + b"}}",
        b'{"query": "{ viewer }", "variables": {"n": NaN}}',
        b'{"query": "{ viewer }", "variables": {"n": 1e999}}',
        b'{"query": "{ viewer }", "variables": {"t": "\\udfff"}}',
        b'{"query": "{ viewer }"} {}',
        b'{"query": "{ viewer }"}\0',
        b'{"query": "\xc0\xaf"}',
        '{"query": "{ viewer }"}'.encode("utf-16-le"),
        '{"query": "{ viewer }"}'.encode("utf-32"),
        gzip.compress(b'{"query": "{ viewer }"}', mtime=0),
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_malformed_body_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    check_refusal(await client.post("/graphql", content=body, headers=JSON), 400, "BAD_REQUEST")


@pytest.mark.parametrize("query", ["", "?variables=1", "?query={viewer}&variables=1", "?query={viewer}&variables={"])
async def test_a_malformed_get_is_refused(client: httpx.AsyncClient, query: str) -> None:
    check_refusal(await client.get("/graphql" + query), 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "text/plain; application/json"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
    ids=str,
)
async def test_only_plain_json_is_read(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/graphql", content=b'{"query": "{ viewer }"}', headers=headers)
    check_refusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_json_with_its_charset_named_is_read(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    answer = await client.post("/graphql", content=b'{"query": "{ viewer }"}', headers=headers)
    assert answer.status_code == 200


async def test_a_body_up_to_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = b'{"query": "{ viewer }"}'.ljust(MAX_BODY_SIZE)
    assert (await client.post("/graphql", content=body, headers=JSON)).status_code == 200
    check_refusal(await client.post("/graphql", content=body + b" ", headers=JSON), 413, "PAYLOAD_TOO_LARGE")


def test_a_body_that_names_no_length_is_cut_off_at_the_limit(services: FewServices, clock: Clock) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b" " * 10_000

    # The server may hang up while we are still sending.
    with running(app_around(services, clock)) as address, httpx.Client() as http, suppress(httpx.WriteError):
        answer = http.post(f"{address}/graphql", content=chunks(), headers=JSON)
        check_refusal(answer, 413, "PAYLOAD_TOO_LARGE")
    assert sent < 10_000


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic YWRhOnNlY3JldA=="])
async def test_bad_credentials_are_refused_rather_than_ignored(client: httpx.AsyncClient, header: str) -> None:
    for answer in (
        await client.post("/graphql", json={"query": "{ viewer }"}, headers={"authorization": header}),
        await client.get("/graphql", params={"query": "{ viewer }"}, headers={"authorization": header}),
    ):
        check_refusal(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_two_tokens_are_refused(client: httpx.AsyncClient, clock: Clock) -> None:
    headers = [("authorization", bearer(clock)), ("authorization", bearer(clock, sub="bob"))]
    answer = await client.post("/graphql", json={"query": "{ viewer }"}, headers=headers)
    check_refusal(answer, 401, "UNAUTHENTICATED")


async def test_an_account_that_cannot_be_looked_up_is_a_503(
    client: httpx.AsyncClient, services: FewServices, clock: Clock
) -> None:
    services.accounts.is_down = True
    answer = await client.post("/graphql", json={"query": "{ viewer }"}, headers={"authorization": bearer(clock)})
    check_refusal(answer, 503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("document", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query Q($t: String!) { echo(text: $t) }", {"t": 7}, "BAD_USER_INPUT"),
    ],
)
async def test_a_mistake_in_the_operation_has_a_code_and_the_request_id(
    client: httpx.AsyncClient, document: str, variables: dict[str, object], code: str
) -> None:
    answer = await client.post("/graphql", json={"query": document, "variables": variables})
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": code, "requestId": answer.headers["x-request-id"]}


async def test_a_bug_outside_the_schema_shows_nothing_but_the_request_id(
    client: httpx.AsyncClient, services: FewServices, clock: Clock
) -> None:
    services.accounts.error = RuntimeError("password=hunter2")
    answer = await client.post("/graphql", json={"query": "{ viewer }"}, headers={"authorization": bearer(clock)})
    check_refusal(answer, 500, "INTERNAL_SERVER_ERROR")
    assert "hunter2" not in answer.text


async def test_a_client_that_leaves_while_sending_gets_no_answer(services: FewServices, clock: Clock) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"query":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "client": None}
    headers = [(b"content-type", b"application/json"), (b"host", b"api.test")]
    await app_around(services, clock)({**scope, "headers": headers}, receive, send)
    assert sent == []


async def test_a_bug_after_the_answer_began_is_left_to_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(LastResort(app))) as http:
            await http.get("http://api.test/")


@pytest.mark.parametrize("path", ["/", "/graphql/", "/nothing", "/graphql/console", "/graphql/console/__init__.py"])
async def test_other_paths_are_not_found(client: httpx.AsyncClient, path: str) -> None:
    check_refusal(await client.get(path), 404, "NOT_FOUND")
    assert (await client.post(path)).status_code in (404, 405)


async def test_the_process_is_live_whatever_else_fails(client: httpx.AsyncClient, services: FewServices) -> None:
    services.health.failing = ("database", "store")
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    check_manners(answer)


async def test_readiness_names_the_parts_that_fail(client: httpx.AsyncClient, services: FewServices) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    services.health.failing = ("database", "store")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"status": "unavailable", "failing": ["database", "store"]},
    )
    check_manners(answer)


@pytest.mark.parametrize("offered", ["a", "0193-b_C", "x" * 64])
async def test_a_sane_request_id_is_kept(client: httpx.AsyncClient, offered: str) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": offered})
    assert answer.headers["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\tb", "ä", "a;b", "../a"])
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, offered: str) -> None:
    answer = await client.get("/healthz", headers={b"x-request-id": offered.encode()})
    assert len(answer.headers["x-request-id"]) == 32


async def test_each_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(10)}
    assert len(ids) == 10


async def test_the_client_address_is_seen_through_trusted_proxies_only(services: FewServices, clock: Clock) -> None:
    app = app_around(services, clock, trusted_proxies=[ip_network("10.0.0.0/8")])
    for peer, expected in (("10.0.0.1", "198.51.100.1"), ("203.0.113.7", "203.0.113.7")):
        async with client_of(app, client=(peer, 4711)) as http:
            answer = await http.post(
                "/graphql", json={"query": "{ clientAddress }"}, headers={"x-forwarded-for": "1.1.1.1, 198.51.100.1"}
            )
        assert answer.json() == {"data": {"clientAddress": expected}}


async def test_the_principal_knows_from_where_and_in_which_request_it_asks(services: FewServices, clock: Clock) -> None:
    for peer, expected in (
        ("203.0.113.7", "IPv4Address('203.0.113.7')"),
        ("::ffff:203.0.113.7", "IPv4Address('203.0.113.7')"),  # or no rule about IPv4 would apply
        ("2001:db8::1", "IPv6Address('2001:db8::1')"),
        ("a unix socket", "None"),
    ):
        async with client_of(app_around(services, clock), client=(peer, 4711)) as http:
            for credentials in ({}, {"authorization": bearer(clock)}):
                headers = {"x-request-id": "req-7", **credentials}
                answer = await http.post("/graphql", json={"query": "{ whence }"}, headers=headers)
                assert answer.json() == {"data": {"whence": [expected, "req-7"]}}


ORIGIN = "https://app.example.com"


async def test_a_listed_origin_may_call_and_read_the_request_id(services: FewServices, clock: Clock) -> None:
    async with client_of(app_around(services, clock, cors_origins=[ORIGIN])) as http:
        answer = await http.options(
            "/graphql",
            headers={
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, content-type",
            },
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in answer.headers
        answer = await http.post("/graphql", json={"query": "{ viewer }"}, headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-expose-headers"] == "x-request-id, retry-after"
        assert answer.headers["vary"] == "Accept, Origin"


async def test_a_page_of_a_listed_origin_can_read_failures_too(services: FewServices, clock: Clock) -> None:
    services.accounts.error = RuntimeError("bug")
    async with client_of(app_around(services, clock, cors_origins=[ORIGIN])) as http:
        headers = {"origin": ORIGIN, "authorization": bearer(clock)}
        answer = await http.post("/graphql", json={"query": "{ viewer }"}, headers=headers)
    check_refusal(answer, 500, "INTERNAL_SERVER_ERROR")
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "https://app.example.com.evil.com"])
async def test_another_origin_may_not_call(services: FewServices, clock: Clock, origin: str) -> None:
    async with client_of(app_around(services, clock, cors_origins=[ORIGIN])) as http:
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        answer = await http.options("/graphql", headers=preflight)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
        answer = await http.post("/graphql", json={"query": "{ viewer }"}, headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers


def test_any_origin_is_no_origin_to_list(services: FewServices, clock: Clock) -> None:
    with pytest.raises(ConfigurationError):
        app_around(services, clock, cors_origins=["*"])
