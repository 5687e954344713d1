"""clamd, the real one; and servers on its port that say what it never would."""

import asyncio
import io
import logging
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from graphql_api.errors import Unavailable
from graphql_api.model.scan import ScanResult, ScanVerdict
from graphql_api.scanning import Scanner
from graphql_api.scanning.clamd import CHUNK, MAX_ANSWER, MAX_QUOTED, ClamdScanner
from tests.clamd import EICAR, FILE_LIMIT, HARMLESS_THREAT, STREAM_LIMIT, Clamd

CLEAN = ScanVerdict(ScanResult.CLEAN)
UNSCANNABLE = ScanVerdict(ScanResult.UNSCANNABLE)
SHORT = 0.3  # seconds: for those that will never answer

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["tcp", "name", "unix"])
def scanner(request: pytest.FixtureRequest, clamd: Clamd) -> Scanner:
    """By name: the machine may try IPv6 first, where this clamd does not listen."""
    addresses = {
        "tcp": clamd.tcp_address,
        "name": clamd.tcp_address.replace("127.0.0.1", "localhost"),
        "unix": clamd.unix_address,
    }
    return ClamdScanner(addresses[request.param])


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter.txt", content)
    return buffer.getvalue()


async def test_a_clean_text_is_clean(scanner: Scanner) -> None:
    assert await scanner.scan(chunks(b"a letter")) == CLEAN


async def test_what_a_signature_matches_is_infected_and_named(scanner: Scanner) -> None:
    found = await scanner.scan(chunks(b"before ", HARMLESS_THREAT, b" after"))
    assert found == ScanVerdict(ScanResult.INFECTED, "Test.Harmless.UNOFFICIAL")
    assert await scanner.scan(chunks(EICAR)) == ScanVerdict(ScanResult.INFECTED, "Test.Eicar.UNOFFICIAL")


async def test_a_threat_inside_a_zip_is_found(scanner: Scanner) -> None:
    content = zipped(b"text " * 1000 + HARMLESS_THREAT)
    assert HARMLESS_THREAT not in content
    assert (await scanner.scan(chunks(content))).result == ScanResult.INFECTED


async def test_a_threat_that_is_cut_in_two_is_found(scanner: Scanner) -> None:
    content = bytes(CHUNK - 10) + HARMLESS_THREAT
    assert (await scanner.scan(chunks(content))).result == ScanResult.INFECTED
    assert (await scanner.scan(chunks(content[:CHUNK], b"", content[CHUNK:]))).result == ScanResult.INFECTED


async def test_nothing_is_clean(scanner: Scanner) -> None:
    assert await scanner.scan(chunks()) == CLEAN
    assert await scanner.scan(chunks(b"")) == CLEAN


async def test_what_fills_the_limit_is_scanned_to_its_last_byte(scanner: Scanner) -> None:
    content = bytes(FILE_LIMIT - len(HARMLESS_THREAT)) + HARMLESS_THREAT
    assert (await scanner.scan(chunks(content))).result == ScanResult.INFECTED


async def test_what_clamd_takes_but_does_not_scan_whole_is_unscannable(scanner: Scanner) -> None:
    assert await scanner.scan(chunks(bytes(FILE_LIMIT + 1))) == UNSCANNABLE


@pytest.mark.parametrize("size", [STREAM_LIMIT + 1, STREAM_LIMIT + CHUNK, 16 * STREAM_LIMIT])
async def test_more_than_clamd_takes_is_unscannable(scanner: Scanner, size: int) -> None:
    assert await scanner.scan(chunks(bytes(size))) == UNSCANNABLE


async def test_no_more_is_read_once_clamd_has_hung_up(scanner: Scanner) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += CHUNK
            yield bytes(CHUNK)

    assert await scanner.scan(endless()) == UNSCANNABLE
    assert read < 16 * STREAM_LIMIT  # what the kernel's buffers take is clamd's no more


async def test_scans_side_by_side_do_not_mix(scanner: Scanner) -> None:
    contents = [b"a letter", HARMLESS_THREAT, bytes(FILE_LIMIT + 1)] * 6
    verdicts = await asyncio.gather(*(scanner.scan(chunks(content)) for content in contents))
    assert [verdict.result for verdict in verdicts] == [
        ScanResult.CLEAN,
        ScanResult.INFECTED,
        ScanResult.UNSCANNABLE,
    ] * 6


async def test_a_store_that_fails_half_way_is_not_the_scanners_fault(scanner: Scanner) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a let"
        raise Unavailable("store")

    with pytest.raises(Unavailable) as caught:
        await scanner.scan(failing())
    assert caught.value.part == "store"
    assert await scanner.scan(chunks(b"a letter")) == CLEAN


async def test_a_scanner_that_answers_is_well(scanner: Scanner) -> None:
    await scanner.check()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "unix:///nowhere/clamd.sock", "tcp://localhost:1"])
async def test_a_scanner_that_is_not_there_is_unavailable(address: str) -> None:
    scanner = ClamdScanner(address)
    for answer in (scanner.scan(chunks(b"a letter")), scanner.check()):
        with pytest.raises(Unavailable) as caught:
            await answer
        assert caught.value.part == "scanner"


@pytest.mark.parametrize("size", [0, 32 * 1024**2])  # one waits for the verdict, one for room to send
async def test_a_frozen_scanner_is_unavailable_and_works_again_once_thawed(own_clamd: Clamd, size: int) -> None:
    scanner = ClamdScanner(own_clamd.tcp_address, timeout=SHORT)
    own_clamd.freeze()
    for answer in (scanner.scan(chunks(bytes(size))), scanner.check()):
        with pytest.raises(Unavailable):
            await answer
    own_clamd.thaw()
    assert await ClamdScanner(own_clamd.tcp_address).scan(chunks(b"a letter")) == CLEAN


@pytest.mark.parametrize("address", [lambda clamd: clamd.tcp_address, lambda clamd: clamd.unix_address])
async def test_a_scanner_killed_in_the_middle_gives_no_verdict(
    own_clamd: Clamd, address: Callable[[Clamd], str]
) -> None:
    async def deadly() -> AsyncIterator[bytes]:
        yield bytes(CHUNK)
        own_clamd.kill()
        for _ in range(8):
            yield bytes(CHUNK)

    with pytest.raises(Unavailable):
        await ClamdScanner(address(own_clamd)).scan(deadly())


@asynccontextmanager
async def imposter(answer: bytes, *, listens: bool = True) -> AsyncIterator[str]:
    """The address of a server that hears the content out, or does not, and then says ``answer`` and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if listens:
            received = b""
            while not received.endswith(bytes(4)) and received != b"zPING\0":
                received += await reader.read(CHUNK)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


GARBAGE = {
    "silence": b"",
    "no end": b"stream: OK",
    "an end only": b"\0",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "another command": b"PONG\0",
    "more than OK": b"stream: OK FINE\0",
    "less than OK": b"OK\0",
    "not text": bytes(range(128, 256)) + b"\0",
    "no name": b"stream:  FOUND\0",
    "an error": b"stream: Can't allocate memory ERROR\0",
    "a flood": b"x" * (MAX_ANSWER * 100),
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
async def test_an_answer_that_is_no_verdict_is_unavailable(answer: bytes) -> None:
    async with imposter(answer) as address:
        with pytest.raises(Unavailable):
            await ClamdScanner(address).scan(chunks(b"a letter"))


async def test_a_scanner_that_did_not_hear_everything_cannot_call_it_clean() -> None:
    async with imposter(b"stream: OK\0", listens=False) as address:
        with pytest.raises(Unavailable):
            await ClamdScanner(address).scan(chunks(*[bytes(CHUNK)] * 512))


async def test_a_check_wants_the_one_right_answer() -> None:
    async with imposter(b"stream: OK\0") as address:
        with pytest.raises(Unavailable):
            await ClamdScanner(address).check()
    async with imposter(b"PONG\0") as address:
        await ClamdScanner(address).check()


async def test_a_threats_name_is_made_fit_for_logs_and_people() -> None:
    name = b"Win.\nTrojan \xff<FOUND>" + b"x" * 1000
    async with imposter(b"stream: " + name + b" FOUND\0") as address:
        found = await ClamdScanner(address).scan(chunks(b"a letter"))
    assert found.result == ScanResult.INFECTED
    assert found.threat == ("Win._Trojan__<FOUND>" + "x" * 1000)[:MAX_QUOTED]


async def test_the_log_repeats_clamds_errors_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def causes(answer: bytes) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            async with imposter(answer) as address:
                with pytest.raises(Unavailable):
                    await ClamdScanner(address).scan(chunks(b"a letter"))
        return [record.getMessage() for record in caplog.records if record.name == "graphql_api.scanning.clamd"]

    assert await causes(b"COMMAND READ TIMED OUT ERROR\0") == ["scanner_unavailable error=COMMAND_READ_TIMED_OUT_ERROR"]
    assert await causes(b"zINSTREAM a letter\0") == ["scanner_unavailable error=unexpected_answer"]
    assert await causes(b"") == ["scanner_unavailable error=hung_up"]
