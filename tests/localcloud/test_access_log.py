"""The local edge's log: CloudFront's fields, one line for each request, whatever the viewer sends."""

import asyncio
import gzip
import logging
import re
import stat
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from graphql_api.edge.cloudfront_logs import CloudFrontLogs
from graphql_api.localcloud.access_log import FIELDS, AccessLog, LoggedEdge
from tests.edge.examples import FIELDS as PUBLISHED

NOW = datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC)
PATH = b"/o/01jd9x2q6c8s5v7e0k3m4n5p6r"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Answering:
    """An edge that gives one answer: after a second its head, after another each piece of its body."""

    def __init__(
        self, clock: Clock, status: int, headers: Mapping[str, str], *pieces: bytes, ends: bool = True
    ) -> None:
        self._clock = clock
        self._status = status
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._pieces = pieces
        self._ends = ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._clock.advance(1)
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        for piece in self._pieces:
            self._clock.advance(1)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if self._ends:
            await send({"type": "http.response.body", "body": b""})


def request(method: str = "GET", path: bytes = PATH, query: bytes = b"", **headers: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "raw_path": path,
        "query_string": query,
        "http_version": "1.1",
        "client": ("192.0.2.7", 40_000),
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
    }


async def asked(edge: LoggedEdge, scope: Scope) -> list[Message]:
    """What the viewer got."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await edge(scope, receive, send)
    return sent


def lines(folder: Path) -> list[dict[str, str]]:
    """All that is in the log, by field."""
    found = []
    for path in sorted(folder.glob("*.gz")):
        version, fields, *records = gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
        assert version == "#Version: 1.0"
        names = fields.removeprefix("#Fields: ").split(" ")
        for record in records:
            assert record.count("\t") == len(names) - 1
            found.append(dict(zip(names, record.split("\t"), strict=True)))
    return found


async def logged(folder: Path, scope: Scope, status: int, headers: Mapping[str, str], *body: bytes) -> dict[str, str]:
    """The line that one request leaves."""
    clock = Clock()
    log = AccessLog(folder, clock)
    await asked(LoggedEdge(Answering(clock, status, headers, *body), log), scope)
    log.close()
    [line] = lines(folder)
    return line


def test_the_fields_are_those_of_amazons_example() -> None:
    assert " ".join(FIELDS) == PUBLISHED


async def test_a_line_says_what_was_asked_and_answered(tmp_path: Path) -> None:
    scope = request(
        query=b"Expires=1&Signature=a~b_&response-content-disposition=inline%3B%20x",
        host="127.0.0.1:8001",
        user_agent='Mozilla/5.0 ("x")\t',
        referer="http://www.example.com/",
        cookie="session=secret",
    )
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "5",
        "x-cache": "Miss from cloudfront",
        "x-amz-cf-id": "abc==",
    }
    line = await logged(tmp_path, scope, 200, headers, b"hel", b"lo")
    sent = len("HTTP/1.1 200 OK\r\n\r\n") + sum(len(f"{name}: {value}\r\n") for name, value in headers.items()) + 5
    received = len(f"GET {PATH.decode()}?{scope['query_string'].decode()} HTTP/1.1\r\n\r\n")
    received += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    assert line == {
        "date": "2026-11-23",  # when the answer ended
        "time": "00:00:01",
        "x-edge-location": "LOCAL1",
        "sc-bytes": str(sent),
        "c-ip": "192.0.2.7",
        "cs-method": "GET",
        "cs(Host)": "127.0.0.1:8001",
        "cs-uri-stem": PATH.decode(),
        "sc-status": "200",
        "cs(Referer)": "http://www.example.com/",
        "cs(User-Agent)": "Mozilla/5.0%20(%22x%22)%09",
        "cs-uri-query": "Expires=1&Signature=a%7Eb_&response-content-disposition=inline%253B%2520x",
        "cs(Cookie)": "-",
        "x-edge-result-type": "Miss",
        "x-edge-request-id": "abc==",
        "x-host-header": "127.0.0.1:8001",
        "cs-protocol": "http",
        "cs-bytes": str(received),
        "time-taken": "3.000",
        "x-forwarded-for": "-",
        "ssl-protocol": "-",
        "ssl-cipher": "-",
        "x-edge-response-result-type": "Miss",
        "cs-protocol-version": "HTTP/1.1",
        "fle-status": "-",
        "fle-encrypted-fields": "-",
        "c-port": "40000",
        "time-to-first-byte": "1.000",
        "x-edge-detailed-result-type": "Miss",
        "sc-content-type": "text/plain;%20charset=utf-8",
        "sc-content-len": "5",
        "sc-range-start": "-",
        "sc-range-end": "-",
    }


async def test_a_range_is_told(tmp_path: Path) -> None:
    headers = {"content-range": "bytes 10-14/100", "x-cache": "Hit from cloudfront"}
    line = await logged(tmp_path, request(), 206, headers, b"hello")
    told = ("sc-status", "sc-range-start", "sc-range-end", "x-edge-result-type")
    assert [line[name] for name in told] == ["206", "10", "14", "Hit"]


async def test_an_error_is_one(tmp_path: Path) -> None:
    line = await logged(tmp_path, request(), 403, {"x-cache": "Error from cloudfront"}, b"<Error/>")
    told = ("sc-status", "x-edge-result-type", "x-edge-response-result-type", "x-edge-detailed-result-type")
    assert [line[name] for name in told] == ["403", "Error", "Error", "Error"]


async def test_what_a_viewer_breaks_off_ends_as_an_error_with_the_bytes_sent_so_far(tmp_path: Path) -> None:
    clock = Clock()
    log = AccessLog(tmp_path, clock)
    headers = {"x-cache": "Miss from cloudfront"}
    await asked(LoggedEdge(Answering(clock, 200, headers, b"x" * 1000, ends=False), log), request())
    log.close()
    [line] = lines(tmp_path)
    told = ("sc-status", "x-edge-result-type", "x-edge-response-result-type", "x-edge-detailed-result-type")
    assert [line[name] for name in told] == ["200", "Error", "Miss", "ClientCommError"]
    assert 1000 < int(line["sc-bytes"]) < 1100


async def test_a_request_that_fails_is_logged_and_fails(tmp_path: Path) -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a bug")

    log = AccessLog(tmp_path, Clock())
    with pytest.raises(RuntimeError, match="a bug"):
        await asked(LoggedEdge(failing, log), request("HEAD"))
    log.close()
    [line] = lines(tmp_path)
    assert (line["cs-method"], line["sc-status"], line["x-edge-result-type"]) == ("HEAD", "000", "Error")


async def test_an_address_that_is_too_long_cannot_be_logged(tmp_path: Path) -> None:
    clock = Clock()
    log = AccessLog(tmp_path, clock)
    sent = await asked(LoggedEdge(Answering(clock, 413, {}), log), request(path=b"/" + b"x" * 9000))
    log.close()
    assert sent[0]["status"] == 413
    assert names(tmp_path) == []


def record(path: str = "/o/x") -> list[str]:
    return [path if name == "cs-uri-stem" else "-" for name in FIELDS[2:]]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_files_are_named_as_cloudfront_names_them_one_for_each_hour(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "logs", Clock())
    for seconds in (0, 1, 2, 3):
        log.write(record(), NOW + timedelta(seconds=seconds))
    log.close()
    log.close()
    of_hours = ["2026-11-22-23", "2026-11-23-00"]
    for name, hour in zip(names(tmp_path / "logs"), of_hours, strict=True):
        assert re.fullmatch(rf"ELOCALEDGE0000\.{hour}\.[A-Z0-9]{{11}}\.gz", name)
        assert CloudFrontLogs().name_of(name) == name.removesuffix(".gz")
    assert [line["time"] for line in lines(tmp_path / "logs")] == ["23:59:58", "23:59:59", "00:00:00", "00:00:01"]
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


async def test_a_file_is_written_when_it_is_long_enough(tmp_path: Path) -> None:
    log = AccessLog(tmp_path, Clock(), max_records=2)
    for _ in range(5):
        log.write(record(), NOW)
    assert len(lines(tmp_path)) == 4
    log.close()
    assert (len(names(tmp_path)), len(lines(tmp_path))) == (3, 5)


async def test_a_file_is_written_after_a_while_without_being_told(tmp_path: Path) -> None:
    log = AccessLog(tmp_path, Clock(), max_wait=0)
    for number in (1, 2):
        log.write(record(), NOW)
        while len(names(tmp_path)) < number:  # noqa: ASYNC110 -- nothing tells that a file is there
            await asyncio.sleep(0)
    log.close()
    assert (len(names(tmp_path)), len(lines(tmp_path))) == (2, 2)


async def test_what_cannot_be_written_is_lost_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = AccessLog(tmp_path / "logs", Clock())
    log.write(record("/secret"), NOW)
    with caplog.at_level(logging.WARNING):
        log.close()
    assert caplog.messages == ["edge_log_lost error=File exists"]


ANY_BYTES = st.binary(max_size=40)
ANY_TEXT = st.text(st.characters(max_codepoint=255), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=ANY_BYTES, query=ANY_BYTES, header=ANY_TEXT)
def test_whatever_a_viewer_sends_is_one_line_that_our_reader_understands(
    tmp_path: Path, path: bytes, query: bytes, header: str
) -> None:
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    scope = request(path=b"/" + path, query=query, user_agent=header, host=header)
    line = asyncio.run(logged(folder, scope, 200, {"x-cache": "Miss from cloudfront"}, b"hello"))
    [written] = folder.glob("*.gz")
    reader = CloudFrontLogs().reader(latest=date.max)
    requests = [*reader.feed(written.read_bytes()), *reader.finish()]
    assert reader.malformed == 0
    [read] = requests
    if path.isascii():  # other bytes are no text, which is all that a key can be
        assert read.key == unquote(path.decode())
    assert (read.begins_download, str(read.size)) == (True, line["sc-bytes"])
