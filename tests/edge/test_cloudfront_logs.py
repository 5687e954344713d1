"""What is made of CloudFront's logs, line by line."""

import gzip
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.edge.cloudfront_logs import FIELDS, CloudFrontLogs
from graphql_api.edge.log_lines import CHUNK, MAX_LINE, LogLines
from graphql_api.errors import UnreadableLog
from graphql_api.model.traffic import MAX_BYTES, LoggedRequest
from tests.edge.examples import FIELDS as ALL_FIELDS
from tests.edge.examples import LEGACY, TRANSFORMED, V2_JSON
from tests.edge.logs import LINE, SIGNATURE, as_json, name, packed, values, w3c

TODAY = date(2026, 11, 22)
KEY = "o/01jd9x2q6c8s5v7e0k3m4n5p6r"
BUNDLE = "b/01jd9x2q6c8s5v7e0k3m4n5p6r"
COPIES: Final = (".gz.bak", ".bak", ".1", ".gz.1", ".part", ".gz.part", ".gz.gz", ".gz.old", ".json", ".", ".gz.", "~")
WRONG_SIZES: Final[Sequence[object]] = (None, 1.5, True, [], {}, 2**70, -1)


def read(content: bytes, *, piece: int = 1 << 20) -> tuple[list[LoggedRequest], int]:
    """The requests, and how many lines make no sense."""
    reader = CloudFrontLogs().reader(latest=TODAY)
    pieces = [content[start : start + piece] for start in range(0, len(content), piece)]
    found = [request for each in pieces for request in reader.feed(each)]
    return found + list(reader.finish()), reader.malformed


def only(content: bytes) -> LoggedRequest:
    [request], malformed = read(content)
    assert malformed == 0
    return request


def refused(content: bytes) -> str:
    with pytest.raises(UnreadableLog) as error:
        read(content)
    return error.value.message


@pytest.mark.parametrize("content", [LEGACY, gzip.compress(LEGACY)], ids=["plain", "gzip"])
def test_amazons_example_of_the_legacy_form_is_read(content: bytes) -> None:
    hit = LoggedRequest(date(2019, 12, 4), "index.html", 392, True)
    error = date(2019, 12, 13)
    assert read(content) == (
        [
            *(hit, hit, hit),
            LoggedRequest(error, "favicon.ico", 900, False),
            LoggedRequest(error, "", 900, False),
            LoggedRequest(error, "", 900, False),
        ],
        0,
    )


def test_a_published_line_of_v2_in_json_is_read() -> None:
    assert only(V2_JSON) == LoggedRequest(date(2026, 4, 4), "feed.xml", 1068, False)


def test_numbers_in_json_may_be_numbers() -> None:
    assert only(TRANSFORMED) == LoggedRequest(date(2019, 12, 4), "index.html", 392, True)


def test_v2_may_be_told_to_write_what_is_needed_only() -> None:
    chosen = {field: values()[field] for field in reversed(FIELDS)}
    expected = LoggedRequest(TODAY, KEY, 512, True)
    assert only(w3c(chosen, fields=" ".join(chosen))) == only(as_json(chosen)) == expected


@pytest.mark.parametrize(
    ("changes", "is_download"),
    [
        ({}, True),
        ({"x_edge_result_type": "Error"}, True),  # broken off; the rest may come as a range
        ({"sc_status": "206", "sc_range_start": "0", "sc_range_end": "1048575"}, True),
        ({"sc_status": "206", "sc_range_start": "1048576", "sc_range_end": "2097151"}, False),
        ({"sc_status": "206", "sc_range_start": "0", "sc_range_end": "1"}, False),  # a player that tries ranges out
        ({"sc_status": "206", "sc_range_start": "0", "sc_range_end": "0"}, False),  # a signing key that is tried
        ({"sc_status": "206", "sc_range_start": "0", "sc_range_end": "2"}, True),
        ({"sc_status": "206"}, False),  # several ranges at once
        ({"cs_method": "HEAD"}, False),
        ({"cs_method": "OPTIONS"}, False),
        ({"sc_status": "304"}, False),
        ({"sc_status": "403"}, False),
        ({"sc_status": "416"}, False),
        ({"sc_status": "000"}, False),
    ],
    ids=str,
)
def test_a_download_is_an_answer_that_begins_at_the_first_byte(changes: dict[str, str], is_download: bool) -> None:
    assert only(w3c(values(**changes))) == LoggedRequest(TODAY, KEY, 512, is_download)
    assert only(as_json(values(**changes))) == LoggedRequest(TODAY, KEY, 512, is_download)


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("/o/01jd9x2q6c8s5v7e0k3m4n5p6r", KEY),
        ("/o/%252501", "o/%01"),  # the viewer sent %2501, and the log encodes its percent sign
        ("/a%2520b", "a b"),
        ("/%25E6%2597%25A5", "日"),
        ("/%25FF", "\ufffd"),
        ("//o/x", "/o/x"),
        ("/", ""),
    ],
)
def test_a_key_is_decoded_twice(stem: str, key: str) -> None:
    assert only(w3c(values(cs_uri_stem=stem))).key == key


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        (f"/{BUNDLE}/low/1.ts", f"{BUNDLE}/low/1.ts"),
        (f"/{BUNDLE}.7.AAAAAAAAAAA-.AAAAAAAAAAA_/low/1.ts", f"{BUNDLE}/low/1.ts"),
        (f"/{BUNDLE}.7.%2541/1.ts", f"{BUNDLE}/1.ts"),
        (f"/{BUNDLE}.7.AAAAAAAAAAA-", f"{BUNDLE}.7.AAAAAAAAAAA-"),
        (f"/{BUNDLE}./1.ts", f"{BUNDLE}./1.ts"),
        (f"/{BUNDLE}~7.AAAAAAAAAAA-/1.ts", f"{BUNDLE}~7.AAAAAAAAAAA-/1.ts"),
        (f"/o/{BUNDLE}.7/1.ts", f"o/{BUNDLE}.7/1.ts"),
    ],
)
def test_by_what_a_link_can_be_revoked_is_no_part_of_the_key(stem: str, key: str) -> None:
    assert only(w3c(values(cs_uri_stem=stem))).key == key


@pytest.mark.parametrize(
    "changes",
    [
        {"date": "2026-02-30"},
        {"date": "2026-W01-1"},
        {"date": "20261122"},
        {"date": "-"},
        {"date": "2026-11-23"},
        {"date": "٢٠٢٦-11-22"},
        {"sc_bytes": "-1"},
        {"sc_bytes": "9223372036854775808"},
        {"sc_bytes": str(MAX_BYTES + 1)},
        {"sc_bytes": "1e3"},
        {"sc_bytes": "٣"},
        {"sc_bytes": ""},
        {"sc_status": "OK"},
        {"sc_status": "2000"},
    ],
    ids=str,
)
def test_a_line_that_makes_no_sense_is_counted_and_left_out(changes: dict[str, str]) -> None:
    good = values()
    for content in (w3c(good, values(**changes), good), as_json(good, values(**changes), good)):
        requests, malformed = read(content)
        assert (len(requests), malformed) == (2, 1)


@pytest.mark.parametrize(
    "line",
    [
        "nothing",
        "\t" * 40,
        "\t".join(["x"] * 33) + "\tone too many",
        "\t".join(list(values().values())[:-1]),
        "\0" * 10,
        "2026-11-22\t" + "x" * (MAX_LINE + 10),
        "2026-11-22\t" + "x" * (3 * MAX_LINE),
    ],
    ids=lambda line: f"{line[:12]!r}",
)
def test_a_hostile_line_is_one_malformed_line(line: str) -> None:
    requests, malformed = read(w3c(values(), line, values()), piece=1000)
    assert (len(requests), malformed) == (2, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"date": "2026-11-22"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"sc-bytes": NaN}',
        b"#Fields: date",
        b"\xff\xfe{}",
        *(as_json(values() | {"sc-bytes": wrong}).strip() for wrong in WRONG_SIZES),
    ],
    ids=lambda line: repr(line[:24]),
)
def test_a_hostile_line_of_json_is_one_malformed_line(line: bytes) -> None:
    good = as_json(values())
    requests, malformed = read(good + line + b"\n" + good)
    assert (len(requests), malformed) == (2, 1)


def test_other_fields_may_hold_anything() -> None:
    line = w3c(values()).replace(b"Mozilla", b"\xff\x00\xc3(")
    assert only(line) == LoggedRequest(TODAY, KEY, 512, True)


def test_line_ends_of_windows_blank_lines_and_no_last_end_do_no_harm() -> None:
    content = w3c(values(), values()).replace(b"\n", b"\r\n\r\n")
    assert len(read(content)[0]) == 2
    assert len(read(packed(content.rstrip()))[0]) == 2


def test_a_second_head_holds_from_there_on() -> None:
    chosen = {field: values()[field] for field in FIELDS}
    assert len(read(w3c(values()) + w3c(chosen, fields=" ".join(chosen)))[0]) == 2


def test_files_one_after_the_other_in_one_gzip_file_are_read() -> None:
    assert len(read(packed(w3c(values())) + packed(w3c(values())))[0]) == 2


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_it_does_not_matter_how_a_file_is_cut(piece: int) -> None:
    for content in (LEGACY, gzip.compress(LEGACY), V2_JSON * 3):
        assert read(content, piece=piece) == read(content)


@given(st.binary(max_size=200), st.booleans(), st.integers(1, 50))
def test_whatever_comes_is_read_or_refused(content: bytes, is_packed: bool, piece: int) -> None:
    content = w3c() + content
    with suppress(UnreadableLog):  # a second head
        requests, malformed = read(gzip.compress(content) if is_packed else content, piece=piece)
        assert len(requests) + malformed <= content.count(b"\n")


@given(st.binary(max_size=200))
def test_whatever_comes_first_is_read_or_refused(content: bytes) -> None:
    with suppress(UnreadableLog):
        read(content)


@pytest.mark.parametrize("kept", [3, 10, 100, -8, -1])
def test_a_gzip_file_that_is_cut_off_is_refused(kept: int) -> None:
    assert refused(packed(LEGACY)[:kept]) == "it ends too early: not all of it is there"


@pytest.mark.parametrize("kept", [-1, -2, -10])
def test_plain_text_that_is_cut_off_within_a_line_is_refused(kept: int) -> None:
    for content in (w3c(values()), as_json(values())):
        assert refused(content[:kept]) == "it ends too early: its last line has no end"


def test_a_gzip_file_that_is_damaged_is_refused() -> None:
    content = bytearray(packed(LEGACY))
    content[-6] ^= 1  # of the checksum
    assert "damaged" in refused(bytes(content))
    assert "damaged" in refused(packed(LEGACY) + b"\x00rest")


def test_what_is_no_log_is_refused_by_name() -> None:
    assert "Parquet" in refused(b"PAR1\x15\x04\x15\x10\n")
    assert "Parquet" in refused(b"PAR1" + b"\0" * (2 * MAX_LINE))
    assert "neither" in refused(b"2026-11-22 GET /index.html\n")
    assert "neither" in refused(b"\n\n<html>")
    assert "#Fields" in refused(b"#Version: 1.0\n" + b"2026-11-22\tx\n")
    for nothing in (b"", b"\n", packed(b"")):
        assert refused(nothing) == "it is empty"


def test_a_log_without_what_is_needed_says_what() -> None:
    fields = ALL_FIELDS.replace(" sc-range-start sc-range-end", "")
    assert refused(w3c(values(), fields=fields)) == "its lines lack sc-range-start, sc-range-end"
    some = {field: value for field, value in values().items() if field != "sc-bytes"}
    assert refused(as_json(some)) == "its lines lack sc-bytes"


def test_a_gzip_bomb_is_refused_after_little_work() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(b"x" * 50_000_000) + packer.flush()
    assert len(bomb) < 50_000
    lines = LogLines(max_size=1_000_000)
    with pytest.raises(UnreadableLog, match="more than 1000000 bytes"):
        list(lines.feed(bomb))


def test_the_size_that_is_allowed_is_read() -> None:
    content = (b"x" * 99 + b"\n") * 10_000
    for whole in (content, packed(content)):
        lines = LogLines(max_size=len(content))
        assert len([*lines.feed(whole), *lines.finish()]) == 10_000


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_nothing_is_left_inside_when_a_piece_is_unpacked(size: int) -> None:
    content = bytes(range(32, 127)) * (size // 95 + 1)
    content = content[:size]
    lines = LogLines()
    assert list(lines.feed(packed(content))) == []
    assert b"".join(lines.finish()) == content


def test_nothing_secret_is_in_a_refusal() -> None:
    bad = w3c(values(), fields="cs-uri-query").replace(b"#Fields: cs-uri-query", b"")
    assert SIGNATURE.encode() in bad
    assert SIGNATURE not in refused(bad)
    assert LINE["c-ip"] not in refused(bad)


@pytest.mark.parametrize(
    ("key", "known_as"),
    [
        ("example-prefix/EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz", "EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9"),
        ("EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9", "EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9"),
        ("AWSLogs/111122223333/CloudFront/E1.2025-09-23-08.abcdef01.gz", "E1.2025-09-23-08.abcdef01"),
        ("year=2025/E1.2025-09-23-08.abcdef01.parquet", "E1.2025-09-23-08.abcdef01.parquet"),
        ("README.md", None),
        *((f"EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9{end}", None) for end in COPIES),
        (".EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz.new", None),
        ("EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz/", None),
        ("EMLARXS9EXAMPLE.2019-11-14-20.\n.gz", None),
        ("EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz\n", None),
        ("ÉMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz", None),
        ("", None),
    ],
)
def test_a_log_is_known_by_its_name_wherever_it_lies(key: str, known_as: str | None) -> None:
    assert CloudFrontLogs().name_of(key) == known_as


def test_the_name_of_tests_is_one() -> None:
    assert CloudFrontLogs().name_of(name()) is not None
