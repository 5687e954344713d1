"""The edge in front of a real store: what a viewer gets, and what it is told when it gets nothing."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import ASGIApp

from graphql_api.errors import Unavailable
from graphql_api.localcloud.edge import CHUNK_SIZE, create_edge
from graphql_api.localcloud.function import EdgeFunction
from graphql_api.localcloud.key_value_store import KeyValueStore
from graphql_api.localcloud.origin import OriginRequest, OriginResponse, S3Origin
from graphql_api.localcloud.refusal import AccessDenied, MissingKey
from graphql_api.localcloud.store import SeaweedStore, connect
from tests.localcloud.conftest import BUCKET, free_port
from tests.localcloud.server import EdgeServer
from tests.localcloud.viewer import BASE_URL, EPOCH, NOW, URL, Signer, cookies, custom_policy

SIGNER = Signer("KEDGE", ec.generate_private_key(ec.SECP256R1()), is_sha256=True)
TRUSTED = {"KEDGE": SIGNER.public_pem}

KEY = "o/01jd9x2q6c8s5v7e0k3m4n5p6r"
BODY = b"0123456789" * 10


@pytest.fixture(scope="module")
def origin(store: SeaweedStore) -> Iterator[S3Origin]:
    with closing(connect(store.endpoint_url, store.api)) as client:
        client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ContentType="text/plain; charset=utf-8")
        client.put_object(Bucket=BUCKET, Key="o/empty", Body=b"", ContentType="image/png")
    with closing(S3Origin(store.endpoint_url, BUCKET, store.edge)) as running:
        yield running


@pytest.fixture
async def viewer(origin: S3Origin) -> AsyncIterator[httpx.AsyncClient]:
    async with viewer_of(create_edge(BASE_URL, TRUSTED, origin, lambda: NOW)) as client:
        yield client


def viewer_of(edge: ASGIApp, address: str = "192.0.2.7") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge, client=(address, 40_000)))


def assert_edge_error(response: httpx.Response, body: bytes) -> None:
    assert response.status_code == 403
    assert response.content == body
    assert response.headers["Server"] == "CloudFront"
    assert response.headers["X-Cache"] == "Error from cloudfront"
    assert response.headers["Content-Type"] == "text/xml"
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["Via"].endswith(".cloudfront.net (CloudFront)")
    assert len(response.headers["X-Amz-Cf-Id"]) == 56


async def test_a_signed_url_gives_the_bytes_as_stored(viewer: httpx.AsyncClient) -> None:
    response = await viewer.get(SIGNER.canned(URL))
    assert response.status_code == 200
    assert response.content == BODY
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Length"] == "100"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"]
    assert response.headers["Last-Modified"]
    assert response.headers["X-Cache"] == "Miss from cloudfront"
    assert not [name for name in response.headers if "seaweed" in name.lower()]
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_cookies_open_what_they_name(viewer: httpx.AsyncClient) -> None:
    header = {"Cookie": cookies(SIGNER.custom(URL, custom_policy(BASE_URL + "/o/*")))}
    assert (await viewer.get(URL, headers=header)).content == BODY


async def test_without_a_signature_nobody_passes(viewer: httpx.AsyncClient) -> None:
    response = await viewer.get(URL)
    assert_edge_error(response, MissingKey().body)
    assert response.headers["Content-Length"] == "146"
    assert_edge_error(await viewer.get(SIGNER.canned(URL, EPOCH)), AccessDenied().body)
    assert_edge_error(await viewer.get(SIGNER.canned(URL).replace("/o/0", "/o/1")), AccessDenied().body)


async def test_a_link_for_one_network_opens_from_there_only(origin: S3Origin) -> None:
    edge = create_edge(BASE_URL, TRUSTED, origin, lambda: NOW)
    signed = SIGNER.custom(URL, custom_policy(URL, IpAddress={"AWS:SourceIp": "198.51.100.0/24"}))
    async with viewer_of(edge, "198.51.100.3") as inside, viewer_of(edge, "192.0.2.7") as outside:
        assert (await inside.get(signed)).status_code == 200
        assert_edge_error(await outside.get(signed), AccessDenied().body)
        assert_edge_error(await outside.get(signed, headers={"X-Forwarded-For": "198.51.100.3"}), AccessDenied().body)


async def test_head_tells_about_the_bytes_without_sending_them(viewer: httpx.AsyncClient) -> None:
    response = await viewer.head(SIGNER.canned(URL))
    assert (response.status_code, response.content, response.headers["Content-Length"]) == (200, b"", "100")
    refused = await viewer.head(URL)
    assert (refused.status_code, refused.content, refused.headers["Content-Length"]) == (403, b"", "146")


async def test_an_empty_file_is_empty(viewer: httpx.AsyncClient) -> None:
    response = await viewer.get(SIGNER.canned(f"{BASE_URL}/o/empty"))
    assert (response.status_code, response.content, response.headers["Content-Length"]) == (200, b"", "0")


async def test_ranges(viewer: httpx.AsyncClient) -> None:
    response = await viewer.get(SIGNER.canned(URL), headers={"Range": "bytes=5-9"})
    assert (response.status_code, response.content) == (206, b"56789")
    assert response.headers["Content-Range"] == "bytes 5-9/100"
    assert response.headers["Content-Length"] == "5"
    outside = await viewer.get(SIGNER.canned(URL), headers={"Range": "bytes=500-"})
    assert outside.status_code == 416
    assert outside.headers["Content-Range"] == "bytes */100"
    assert b"<Code>InvalidRange</Code>" in outside.content


async def test_conditions(viewer: httpx.AsyncClient) -> None:
    first = await viewer.get(SIGNER.canned(URL))
    for header in ({"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}):
        again = await viewer.get(SIGNER.canned(URL), headers=header)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["X-Cache"] == "Hit from cloudfront"
    changed = await viewer.get(SIGNER.canned(URL), headers={"If-Match": '"another"'})
    assert changed.status_code == 412
    assert (await viewer.get(SIGNER.canned(URL), headers={"If-Modified-Since": "lately"})).status_code == 200


async def test_name_and_type_of_a_download_are_part_of_the_signed_url(viewer: httpx.AsyncClient) -> None:
    disposition = "attachment; filename=\"a b.txt\"; filename*=UTF-8''caf%C3%A9%20%2B.txt"
    query = f"response-content-disposition={quote(disposition, safe='')}&response-content-type=text%2Fcsv"
    signed = SIGNER.canned(f"{URL}?{query}")
    for response in (await viewer.get(signed), await viewer.head(signed)):
        assert response.headers["Content-Disposition"] == disposition
        assert response.headers["Content-Type"] == "text/csv"
    assert_edge_error(await viewer.get(signed.replace("a%20b", "a%20c")), AccessDenied().body)


async def test_other_parameters_do_not_reach_the_origin() -> None:
    origin = FakeOrigin()
    async with viewer_of(create_edge(BASE_URL, TRUSTED, origin, lambda: NOW)) as viewer:
        await viewer.get(SIGNER.canned(f"{URL}?versionId=1&response-cache-control=public&response-content-type=a%2Fb"))
    assert origin.asked[0].query == {"response-content-type": "a/b"}


async def test_a_browser_may_read_what_it_fetches(viewer: httpx.AsyncClient) -> None:
    header = {"Origin": "http://127.0.0.1:8000"}
    assert (await viewer.get(SIGNER.canned(URL), headers=header)).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "POST", "DELETE", "PATCH"])
async def test_only_reading_is_allowed(viewer: httpx.AsyncClient, method: str) -> None:
    response = await viewer.request(method, SIGNER.canned(URL))
    assert response.status_code == 403
    assert "only cachable requests" in response.text
    assert response.headers["Content-Type"] == "text/html"


async def test_an_unknown_method_is_refused(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.request("TRACE", SIGNER.canned(URL))).status_code == 405


async def test_another_host_is_no_distribution(viewer: httpx.AsyncClient) -> None:
    for host in ("localhost:8001", "127.0.0.1", ""):
        response = await viewer.get(SIGNER.canned(URL), headers={"Host": host})
        assert response.status_code == 403
        assert "The request could not be satisfied" in response.text


async def test_an_endless_url_is_refused(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get(f"{BASE_URL}/{'a' * 8192}")).status_code == 413


async def test_a_request_of_a_byte_too_many_is_refused(viewer: httpx.AsyncClient) -> None:
    url = SIGNER.canned(URL)
    bare = viewer.build_request("GET", url)
    length = len(f"GET {bare.url.raw_path.decode()} HTTP/1.1\r\n\r\n")
    length += sum(len(name + value) + 4 for name, value in bare.headers.raw)
    for name in ("x-pad", "cookie"):
        padding = "a" * (20_480 - length - len(name) - 4)
        assert (await viewer.get(url, headers={name: padding})).status_code == 200
        assert (await viewer.get(url, headers={name: padding + "a"})).status_code == 413


async def test_a_get_with_a_body_is_refused(viewer: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    url = SIGNER.canned(URL)
    for content in (b"0123456789", pieces()):
        assert (await viewer.request("GET", url, content=content)).status_code == 403
    assert (await viewer.get(url, headers={"Content-Length": "0"})).status_code == 200


async def test_an_absent_file_looks_like_a_private_one(viewer: httpx.AsyncClient) -> None:
    for path in ("/o/absent", "/", "/o/%ff"):
        response = await viewer.get(SIGNER.canned(BASE_URL + path))
        assert response.status_code == 403
        assert "<Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>" in response.text
        assert response.headers["Content-Type"] == "application/xml"
        assert response.headers["X-Cache"] == "Error from cloudfront"
        assert response.headers["Server"] == "AmazonS3"
    head = await viewer.head(SIGNER.canned(BASE_URL + "/o/absent"))
    assert (head.status_code, head.content) == (403, b"")


async def test_a_store_that_is_down_is_a_502(store: SeaweedStore) -> None:
    with closing(S3Origin(f"http://127.0.0.1:{free_port()}", BUCKET, store.edge)) as nobody:
        async with viewer_of(create_edge(BASE_URL, TRUSTED, nobody, lambda: NOW)) as viewer:
            response = await viewer.get(SIGNER.canned(URL))
    assert response.status_code == 502
    assert "wasn't able to connect to the origin" in response.text
    assert response.headers["X-Cache"] == "Error from cloudfront"


# ---- streaming, over a socket


@dataclass
class FakeBody:
    """Endless unless told its ``size`` in bytes; counts what was taken."""

    size: int | None = None
    taken: int = 0
    is_closed: threading.Event = field(default_factory=threading.Event)

    def read(self, size: int) -> bytes:
        if self.size is not None and self.taken >= self.size:
            raise Unavailable("store")
        self.taken += size
        return bytes(size)

    def close(self) -> None:
        self.is_closed.set()


@dataclass
class FakeOrigin:
    body: FakeBody | None = None
    length: int = 0
    asked: list[OriginRequest] = field(default_factory=list)

    def fetch(self, request: OriginRequest) -> OriginResponse:
        self.asked.append(request)
        return OriginResponse(200, (("content-length", str(self.length)),), self.body)


REFUSES = (
    "import cf from 'cloudfront';\nasync function handler(event) { const why = await cf.kvs().get('why'); "
    "return { statusCode: 403, headers: { 'content-type': { value: 'text/plain' } }, body: why }; }"
)
THROWS = "import cf from 'cloudfront';\nasync function handler(event) { return await cf.kvs().get('absent'); }"


def deployed(text: str) -> EdgeFunction:
    store = KeyValueStore()
    store.change({"why": "because"}, set())
    return EdgeFunction(text, store)


async def test_a_function_answers_in_the_place_of_the_origin() -> None:
    origin = FakeOrigin()
    edge = create_edge(BASE_URL, TRUSTED, origin, lambda: NOW, deployed(REFUSES))
    async with viewer_of(edge) as viewer:
        answer = await viewer.get(SIGNER.canned(URL))
        head = await viewer.head(SIGNER.canned(URL))
    assert (answer.status_code, answer.text) == (403, "because")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["X-Cache"] == "FunctionGeneratedResponse from cloudfront"
    assert (head.status_code, head.content) == (403, b"")
    assert origin.asked == []


async def test_a_function_is_not_asked_about_what_is_not_signed() -> None:
    edge = create_edge(BASE_URL, TRUSTED, FakeOrigin(), lambda: NOW, deployed(REFUSES))
    async with viewer_of(edge) as viewer:
        assert_edge_error(await viewer.get(URL), MissingKey().body)


async def test_a_function_that_fails_opens_nothing() -> None:
    origin = FakeOrigin()
    edge = create_edge(BASE_URL, TRUSTED, origin, lambda: NOW, deployed(THROWS))
    async with viewer_of(edge) as viewer:
        answer = await viewer.get(SIGNER.canned(URL))
    assert answer.status_code == 503
    assert origin.asked == []


class Server(EdgeServer):
    """Trusts our signer."""

    def __init__(self, origin: FakeOrigin | S3Origin) -> None:
        super().__init__(TRUSTED, origin)
        self.url = f"{self.address}/{KEY}"

    def signed(self) -> str:
        return SIGNER.canned(self.url, int(time.time()) + 60)

    def signed_for(self, network: str) -> str:
        expires = {"AWS:EpochTime": int(time.time()) + 60}
        return SIGNER.custom(
            self.url, custom_policy(self.url, DateLessThan=expires, IpAddress={"AWS:SourceIp": network})
        )


def test_over_a_socket_there_is_one_server_header(origin: S3Origin) -> None:
    with Server(origin) as server:
        assert httpx.get(server.signed()).headers.get_list("Server") == ["AmazonS3"]
        assert httpx.get(server.url).headers.get_list("Server") == ["CloudFront"]


def test_over_a_socket_the_peer_is_the_viewer(origin: S3Origin) -> None:
    with Server(origin) as server:
        header = {"X-Forwarded-For": "198.51.100.3"}
        assert httpx.get(server.signed_for("127.0.0.0/8"), headers=header).status_code == 200
        assert httpx.get(server.signed_for("198.51.100.3"), headers=header).status_code == 403


def test_a_viewer_that_leaves_lets_go_of_the_origin() -> None:
    body = FakeBody()
    with Server(FakeOrigin(body, length=2**40)) as server, httpx.stream("GET", server.signed()) as response:
        chunks = response.iter_raw()  # held: a dropped iterator closes the response
        next(chunks)
        assert not body.is_closed.is_set()
        response.close()
        assert body.is_closed.wait(5)


def test_a_slow_viewer_does_not_fill_the_memory() -> None:
    body = FakeBody()
    with Server(FakeOrigin(body, length=2**40)) as server, httpx.stream("GET", server.signed()):
        taken = -1
        while taken != body.taken < 64 * CHUNK_SIZE:  # until the sockets hold all they can, and the edge waits
            taken = body.taken
            time.sleep(0.5)
        assert body.taken < 64 * CHUNK_SIZE


def test_an_origin_that_breaks_off_breaks_off_the_download() -> None:
    body = FakeBody(size=CHUNK_SIZE)
    with Server(FakeOrigin(body, length=4 * CHUNK_SIZE)) as server:
        with pytest.raises(httpx.RemoteProtocolError), httpx.stream("GET", server.signed()) as response:
            response.read()
        assert body.is_closed.wait(5)


def test_bytes_of_the_request_line_are_compared_undecoded(origin: S3Origin) -> None:
    with Server(origin) as server:
        signed = server.signed()
        for sent, status in ((signed, b"200"), (signed.replace("/o/", "/%6F/"), b"403")):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                path = sent.removeprefix(f"http://127.0.0.1:{server.port}")
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
                assert connection.recv(65536).split(b" ")[1] == status


async def test_downloads_run_side_by_side(viewer: httpx.AsyncClient) -> None:
    bodies: list[bytes] = []

    async def download() -> None:
        bodies.append((await viewer.get(SIGNER.canned(URL))).content)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(download)
    assert bodies == [BODY] * 20
