"""Which texts are media types, types or families."""

import pytest

from graphql_api.model.media_type import essence, is_inert, is_type_or_family, normalized_media_type


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("text/plain; charset=UTF-8", "text/plain; charset=UTF-8"),
        ("text/plain \t; charset=utf-8", "text/plain; charset=utf-8"),
        ('text/plain;charset="utf-8"', 'text/plain;charset="utf-8"'),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",) * 2,
        ("image/svg+xml", "image/svg+xml"),
        ("a/" + "b" * 253, "a/" + "b" * 253),
    ],
)
def test_a_media_type_is_kept_with_its_type_in_lower_case(text: str, kept: str) -> None:
    assert normalized_media_type(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image",
        "image/",
        "/jpeg",
        "image/jpeg/png",
        "image /jpeg",
        " image/jpeg",
        "image/jpeg ",
        "image/jpeg\r\nX-Amz-Acl: public-read",
        "image/jpeg\n",
        "text/plain; charset=utf-8\r\nx: y",
        'text/plain; charset="a\r\nb"',
        'text/plain; charset="a"b"',
        "text/plain;",
        "text/plain; charset",
        "image/jpeg\0",
        "imäge/jpeg",
        "image/\ud800",
        "a/" + "b" * 254,
    ],
)
def test_what_is_no_media_type_is_refused(text: str) -> None:
    assert normalized_media_type(text) is None


def test_a_long_hostile_text_is_refused_at_once() -> None:
    assert normalized_media_type("a/b" + " ;\ta=b" * 100_000 + "!") is None
    assert normalized_media_type("a/b" + "; \t" * 100_000) is None


def test_the_essence_has_no_parameters() -> None:
    assert essence("text/plain ; charset=utf-8") == "text/plain"
    assert essence("image/png") == "image/png"


@pytest.mark.parametrize("text", ["image/png", "image/*", "application/vnd.ms-excel", "image/svg+xml"])
def test_a_filter_takes_types_and_families(text: str) -> None:
    assert is_type_or_family(text)


@pytest.mark.parametrize("text", ["", "image", "*", "*/*", "*/png", "image/*png", "image/p*", "a/b; c=d", "image/\n"])
def test_a_filter_takes_nothing_else(text: str) -> None:
    assert not is_type_or_family(text)


@pytest.mark.parametrize(
    "text",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "text/csv",
        "text/javascript",
        "image/png",
        "image/vnd.adobe.photoshop",
        "audio/mpeg",
        "video/mp2t",
        "font/woff2",
        "application/pdf",
        "application/json",
        "application/geo+json",
        "application/vnd.apple.mpegurl",
    ],
)
def test_what_a_browser_shows_without_running_anything_may_be_shown(text: str) -> None:
    assert is_inert(text)


@pytest.mark.parametrize(
    "text",
    [
        "text/html",
        "text/html;charset=utf-8",
        "image/svg+xml",
        "image/svg",
        "application/xhtml+xml",
        "text/xml",
        "application/xml",
        "text/xsl",  # XML to Chromium and WebKit
        "text/rdf",  # and to Firefox
        "application/x+xml",
        "video/x+xml",
        "multipart/x-mixed-replace; boundary=x",
        "multipart/related; boundary=x",
        "message/rfc822",
        "*/*",  # these three are what they look like
        "unknown/unknown",
        "application/unknown",
        "image/png,text/html",
        "text/plainer",
        "application/octet-stream",
        "application/what-browsers-will-show-in-ten-years",
        "",
    ],
)
def test_what_is_not_known_to_be_inert_is_not(text: str) -> None:
    assert not is_inert(text)
