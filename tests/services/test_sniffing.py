"""First bytes prove a type or nothing; only a proven other type is a lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.services.sniffing import contradicts, recognised_type

SIGNATURES = {
    "image/jpeg": bytes.fromhex("ffd8ffe000104a46494600010101004800480000"),
    "image/png": bytes.fromhex("89504e470d0a1a0a0000000d49484452"),
    "image/gif": b"GIF89a\x01\0\x01\0\x80\0\0",
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "application/zip": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(40),
    "text/html": b"<!DOCTYPE html><html><head></head><body></body></html>",
}


@given(st.binary(max_size=200))
def test_any_bytes_are_recognised_or_not_and_never_fail(content: bytes) -> None:
    recognised = recognised_type(content)
    assert not contradicts("application/octet-stream", recognised)
    if recognised is not None:
        assert not contradicts(recognised, recognised)


@pytest.mark.parametrize("signature", SIGNATURES)
@given(st.binary(max_size=50))
def test_a_signature_is_recognised_whatever_follows(signature: str, rest: bytes) -> None:
    recognised = recognised_type(SIGNATURES[signature] + rest)
    assert recognised is not None
    assert not contradicts(signature, recognised)
    assert contradicts("video/x-none", recognised)


@pytest.mark.parametrize("content", [b"", b"B", b"BM", b"MZ begins a letter", b"a,b\n1,2\n", b"{}", b"\xef\xbb\xbfa"])
def test_texts_prove_nothing(content: bytes) -> None:
    assert recognised_type(content) is None


@pytest.mark.parametrize(
    ("promised", "recognised"),
    [
        ("image/jpg", "image/jpeg"),
        ("application/epub+zip", "application/zip"),
        ("application/java-archive", "application/zip"),
        ("image/x-canon-cr2", "image/tiff"),
        ("audio/mp4", "video/mp4"),
        ("image/heic", "video/mp4"),
        ("application/xhtml+xml; charset=utf-8", "text/html"),
        ("application/octet-stream", "application/vnd.microsoft.portable-executable"),
        ("text/csv", None),
    ],
)
def test_a_relative_of_what_was_recognised_is_honest(promised: str, recognised: str | None) -> None:
    assert not contradicts(promised, recognised)


@pytest.mark.parametrize(
    ("promised", "recognised"),
    [
        ("application/pdf", "application/zip"),
        ("image/png", "image/jpeg"),
        ("image/png", "text/html"),
        ("image/svg+xml", "application/pdf"),
        ("text/plain", "application/pdf"),
        ("image/jpeg; x=image/png", "image/png"),
        ("video/mp4", "application/vnd.microsoft.portable-executable"),
    ],
)
def test_another_family_is_a_lie(promised: str, recognised: str) -> None:
    assert contradicts(promised, recognised)
