"""What the CDN answers, told as it is, and nothing of the address that was asked for."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.edge import EdgeAnswer
from graphql_api.edge.cloudfront import CloudFrontEdge
from graphql_api.errors import Unavailable
from graphql_api.localcloud.origin import OriginRequest, OriginResponse
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring, SigningKey
from tests.localcloud.server import EdgeServer
from tests.store import free_port

KEY = SigningKey("KTEST", ec.generate_private_key(ec.SECP256R1()))


@dataclass
class Byte:
    left: bytes = b"x"

    def read(self, size: int) -> bytes:
        given, self.left = self.left, b""
        return given

    def close(self) -> None:
        pass


class OneByte:
    """An origin that holds a byte for whoever asks for the first, and not more."""

    def fetch(self, request: OriginRequest) -> OriginResponse:
        assert request.headers["range"] == "bytes=0-0"
        return OriginResponse(206, (("content-length", "1"),), Byte())


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeServer]:
    with EdgeServer({"KTEST": KEY.public_pem()}, OneByte()) as server:
        yield server


def link(edge: EdgeServer, key: SigningKey = KEY) -> str:
    signer = CloudFrontSigner(edge.address, Keyring([key]))
    return signer.sign("/o/1", expires_at=datetime.now(UTC) + timedelta(minutes=5)).url


async def test_what_is_let_through_is_a_file(edge: EdgeServer) -> None:
    answer = await CloudFrontEdge().open(link(edge))
    assert answer == EdgeAnswer(206)
    assert answer.is_let_through


async def test_a_refusal_comes_in_the_edge_s_own_words(edge: EdgeServer) -> None:
    stranger = SigningKey("KOTHER", KEY.private_key)
    assert await CloudFrontEdge().open(link(edge, stranger)) == EdgeAnswer(403, "InvalidKey", "Unknown Key")
    assert await CloudFrontEdge().open(link(edge) + "x") == EdgeAnswer(403, "AccessDenied", "Access denied")


@dataclass
class Odd:
    """A server that answers whatever a test wants."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    address: str = ""


@pytest.fixture
def odd() -> Iterator[Odd]:
    answer = Odd()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    answer.address = f"http://127.0.0.1:{server.server_port}"
    yield answer
    server.shutdown()
    server.server_close()


async def test_a_redirect_is_no_file(odd: Odd) -> None:
    odd.status, odd.headers = 302, {"Location": odd.address}
    assert not (await CloudFrontEdge().open(odd.address)).is_let_through


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Code>",
        b"<Code>\x00\n</Code>",
        b"<Message>" + b"x" * 10_000,
        b"<Code>" + b"x" * 201 + b"</Code>",
        b"\xff",
    ],
)
async def test_what_is_no_error_of_a_cdn_s_is_left_out(odd: Odd, body: bytes) -> None:
    odd.status, odd.body = 403, body
    assert await CloudFrontEdge().open(odd.address) == EdgeAnswer(403)


async def test_silence_is_unavailable_and_shows_no_signature(
    edge: EdgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "graphql_api")
    nobody = link(edge).replace(edge.address, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="edge") as raised:
        await CloudFrontEdge().open(nobody)
    assert raised.value.__cause__ is None
    assert caplog.messages == ["edge_unavailable error=ConnectError"]
