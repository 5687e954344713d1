"""A store that gives every request the same answer, and our side of it."""

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from graphql_api.storage.s3 import S3Store
from graphql_api.storage.s3_connection import AddressingStyle


def store_at(
    endpoint_url: str | None = None,
    *,
    bucket: str = "bucket",
    region: str = "eu-central-1",
    style: AddressingStyle = "virtual",
) -> S3Store:
    return S3Store(
        bucket=bucket,
        region=region,
        endpoint_url=endpoint_url,
        addressing_style=style,
        access_key_id="AKIDEXAMPLE",
        secret_access_key="the-secret",
    )


class Answer(ThreadingHTTPServer):
    """Gives every request the same answer; ``requests`` are their methods and paths."""

    status = 200
    headers: tuple[tuple[str, str], ...] = ()
    body = b""
    ahead = 0.0  # seconds, of its clock
    dates = True  # whether an answer has the time of its own accord

    def __init__(self) -> None:
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), AnswerHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class AnswerHandler(BaseHTTPRequestHandler):
    server: Answer

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(f"{self.command} {self.path}")
        if self.server.dates:
            self.send_response(self.server.status)
        else:
            self.send_response_only(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.server.body)

    do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815  # the names that http.server looks for

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.server.ahead)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""
