"""Links: their lifetime, what they bind, and the header that names the file."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.access import read_grant
from graphql_api.errors import InvalidInput
from graphql_api.model.delivery import ContentDisposition, Link, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.revocation import MAX_MARKS, mark_of, parameter_of
from graphql_api.model.rule import PLAIN, ReadTerms
from graphql_api.services.content_disposition import content_disposition
from graphql_api.services.delivery import Delivery
from graphql_api.services.link_signing import SignerInUse
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring, SigningKey
from tests.world import KEY, REDIRECT_LIFETIME, START, Clock

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
RSA = rsa.generate_private_key(65_537, 2048)
EMOJIS = "😀" * 251 + ".pdf"
# RFC 6266, section 4.1, and RFC 8187, section 3.2.1, as narrow as we write them
HEADER = re.compile(
    r"""(inline|attachment); filename="[ !#-$&-[\]-~]*"(; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*)?"""
)


def grant(name: str = "cat.jpg", terms: ReadTerms = PLAIN, **changes: str) -> ReadGrant:
    values = {"content_type": "image/jpeg", "stored_content_type": "image/jpeg", "object_key": "o/01"} | changes
    file = File(
        id=FileId("file_1"),
        folder_id=FolderId("folder_1"),
        owner_id=UserId("user_alice"),
        name=name,
        size=0,
        content_type=values["content_type"],
        stored_content_type=values["stored_content_type"],
        sha256=None,
        object_key=values["object_key"],
        created_at=START,
        updated_at=START,
        terms=terms,
    )
    found = read_grant(file)
    assert found is not None
    return found


def signed(wish: LinkWish, of: ReadGrant | None = None, clock: Clock | None = None) -> Link:
    signer = CloudFrontSigner("https://cdn.test", Keyring([KEY]))
    delivery = Delivery(
        SignerInUse(signer),
        clock or Clock(),
        max_lifetime=DAY,
        redirect_lifetime=REDIRECT_LIFETIME,
        window=HOUR,
        memory=0,
    )
    [link] = delivery.sign([of or grant()], wish)
    return link


def parameters(link: Link) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(link.url).query).items()}


def policy(link: Link) -> dict[str, dict[str, object]]:
    text = parameters(link)["Policy"].translate(str.maketrans("-_~", "+=/"))
    conditions: dict[str, dict[str, object]] = json.loads(base64.b64decode(text))["Statement"][0]["Condition"]
    return conditions


@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [
        (HOUR, HOUR, 1.5 * HOUR),
        (12 * HOUR, 12 * HOUR, 13 * HOUR),
        (SECOND, SECOND, 2 * SECOND),
        (SECOND / 2, SECOND, 2 * SECOND),
        (timedelta(0), SECOND, 2 * SECOND),
        (-HOUR, SECOND, 2 * SECOND),
        (timedelta.min, SECOND, 2 * SECOND),
        (DAY, DAY - HOUR, DAY),
        (timedelta(days=3650), DAY - HOUR, DAY),
        (timedelta.max, DAY - HOUR, DAY),
    ],
)
def test_a_lifetime_is_clamped_and_rounded_and_the_link_tells(
    wanted: timedelta, least: timedelta, most: timedelta
) -> None:
    clock = Clock()
    clock.now += timedelta(microseconds=999_999)
    link = signed(LinkWish(wanted), clock=clock)
    assert least <= link.expires_at - clock.now <= most
    assert link.expires_at.microsecond == 0
    assert parameters(link)["Expires"] == str(int(link.expires_at.timestamp()))
    assert clock.now < link.refresh_after <= link.expires_at
    assert not link.has_custom_policy


def test_a_link_binds_when_it_opens_and_who_may_use_it() -> None:
    link = signed(LinkWish(HOUR, starts_at=START + timedelta(minutes=5), ip_range="192.0.2.0/24"))
    assert link.has_custom_policy
    assert START + HOUR < link.expires_at <= START + 1.5 * HOUR
    assert policy(link) == {
        "DateLessThan": {"AWS:EpochTime": int(link.expires_at.timestamp())},
        "DateGreaterThan": {"AWS:EpochTime": int((START + timedelta(minutes=5)).timestamp())},
        "IpAddress": {"AWS:SourceIp": "192.0.2.0/24"},
    }
    assert policy(signed(LinkWish(HOUR, ip_range="192.0.2.7")))["IpAddress"] == {"AWS:SourceIp": "192.0.2.7/32"}
    assert signed(LinkWish(HOUR, starts_at=START - HOUR)).has_custom_policy


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        (LinkWish(HOUR, ip_range=""), "ipAddress"),
        (LinkWish(HOUR, ip_range="2001:db8::1"), "ipAddress"),
        (LinkWish(HOUR, ip_range="::ffff:192.0.2.1"), "ipAddress"),
        (LinkWish(HOUR, ip_range="192.0.2.1/24"), "ipAddress"),
        (LinkWish(HOUR, ip_range="192.0.2.0/33"), "ipAddress"),
        (LinkWish(HOUR, ip_range="192.0.2"), "ipAddress"),
        (LinkWish(HOUR, ip_range='192.0.2.1"},"x":{"'), "ipAddress"),
        (LinkWish(HOUR, ip_range="٣.٣.٣.٣"), "ipAddress"),
        (LinkWish(HOUR, ip_range="192.0.2.1\r\n"), "ipAddress"),
        (LinkWish(HOUR, starts_at=START + HOUR), "startsAt"),
        (LinkWish(HOUR, starts_at=START + 2 * HOUR), "startsAt"),
        (LinkWish(HOUR, starts_at=datetime.min.replace(tzinfo=UTC)), "startsAt"),
        (LinkWish(HOUR, starts_at=datetime.max.replace(tzinfo=UTC)), "startsAt"),
    ],
)
def test_what_cannot_be_bound_is_refused_at_its_argument(wish: LinkWish, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        signed(wish)
    assert caught.value.path == (path,)


@pytest.mark.parametrize(
    ("terms", "wanted", "least", "most"),
    [
        (ReadTerms(max_lifetime=HOUR / 12), HOUR, HOUR / 24, HOUR / 12),
        (ReadTerms(max_lifetime=HOUR / 12), HOUR / 60, HOUR / 60, HOUR / 40),
        (ReadTerms(max_lifetime=SECOND), HOUR, SECOND, SECOND),
        (ReadTerms(max_lifetime=timedelta(days=365)), timedelta.max, DAY - HOUR, DAY),
        (ReadTerms(until=START + HOUR / 60), HOUR, HOUR / 60, HOUR / 60),
        (ReadTerms(until=START + 61.9 * SECOND), HOUR, 61 * SECOND, 61 * SECOND),
        (ReadTerms(until=START + DAY), HOUR, HOUR, 1.5 * HOUR),
        (ReadTerms(until=START + SECOND / 2), -SECOND, timedelta(0), timedelta(0)),
        (ReadTerms(HOUR / 12, until=START + HOUR / 60), HOUR, HOUR / 60, HOUR / 60),
        (ReadTerms(until=datetime.max.replace(tzinfo=UTC)), HOUR, HOUR, 1.5 * HOUR),
    ],
)
def test_a_link_lives_no_longer_than_its_rule_says(
    terms: ReadTerms, wanted: timedelta, least: timedelta, most: timedelta
) -> None:
    link = signed(LinkWish(wanted), grant(terms=terms))
    assert least <= link.expires_at - START <= most
    assert int(parameters(link)["Expires"]) <= (START + most).timestamp()


def test_a_link_that_would_open_only_by_rounding_is_refused() -> None:
    for seconds in range(0, 7200, 450):
        clock = Clock()
        clock.advance(seconds=seconds)
        signed(LinkWish(HOUR, starts_at=clock.now + HOUR - SECOND), clock=clock)
        with pytest.raises(InvalidInput):
            signed(LinkWish(HOUR, starts_at=clock.now + HOUR), clock=clock)


def test_a_link_that_would_end_beyond_32_bits_is_refused() -> None:
    clock = Clock()
    clock.now = datetime(2038, 1, 19, 1, tzinfo=UTC)
    assert parameters(signed(LinkWish(HOUR), clock=clock))["Expires"] < "2147483648"
    with pytest.raises(InvalidInput, match="1970 to 2038"):
        signed(LinkWish(3 * HOUR), clock=clock)


def test_a_cache_key_is_of_the_bytes_and_of_nothing_else() -> None:
    one, later = grant(), Clock()
    later.advance(hours=5)
    same = {
        signed(LinkWish(HOUR)).cache_key,
        signed(LinkWish(2 * HOUR, filename="x", disposition=ContentDisposition.ATTACHMENT)).cache_key,
        signed(LinkWish(HOUR), grant("other name", ReadTerms(HOUR, "192.0.2.7/32"))).cache_key,
        signed(LinkWish(HOUR), clock=later).cache_key,
    }
    assert len(same) == 1
    newer = ReadGrant(replace(one.file, object_key="o/02"), PLAIN)
    other = ReadGrant(replace(one.file, id=FileId("file_2"), object_key="o/03"), PLAIN)
    assert len(same | {signed(LinkWish(HOUR), each).cache_key for each in (newer, other)}) == 3


@pytest.mark.parametrize(
    ("wished", "bound"),
    [
        (None, "192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.128/25", "192.0.2.128/25"),
        ("192.0.0.0/16", "192.0.2.0/24"),
        ("0.0.0.0/0", "192.0.2.0/24"),
    ],
)
def test_a_link_that_a_rule_binds_may_be_bound_closer_and_no_wider(wished: str | None, bound: str) -> None:
    link = signed(LinkWish(HOUR, ip_range=wished), grant(terms=ReadTerms(ip_range="192.0.2.0/24")))
    assert policy(link)["IpAddress"] == {"AWS:SourceIp": bound}


@pytest.mark.parametrize("wished", ["192.0.3.7", "198.51.100.0/24", "2001:db8::1", "192.0.2.1/24", "nonsense", ""])
def test_an_address_outside_what_the_rule_binds_is_refused(wished: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        signed(LinkWish(HOUR, ip_range=wished), grant(terms=ReadTerms(ip_range="192.0.2.0/24")))
    assert caught.value.path == ("ipAddress",)


def test_a_rule_can_force_the_download() -> None:
    link = signed(LinkWish(HOUR, disposition=ContentDisposition.INLINE), grant(terms=ReadTerms(forces_download=True)))
    assert parameters(link)["response-content-disposition"] == 'attachment; filename="cat.jpg"'


def test_a_file_that_was_found_without_terms_gives_no_grant() -> None:
    assert read_grant(replace(grant().file, terms=None)) is None


def test_a_changed_type_is_said_in_the_link() -> None:
    assert "response-content-type" not in parameters(signed(LinkWish(HOUR)))
    changed = grant(content_type="text/plain; charset=utf-8", stored_content_type="image/jpeg")
    assert parameters(signed(LinkWish(HOUR), changed))["response-content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("wish", "header"),
    [
        (LinkWish(HOUR), 'inline; filename="cat.jpg"'),
        (LinkWish(HOUR, disposition=ContentDisposition.ATTACHMENT), 'attachment; filename="cat.jpg"'),
        (LinkWish(HOUR, filename="dog.png"), 'inline; filename="dog.png"'),
        (LinkWish(HOUR, filename=""), 'inline; filename="cat.jpg"'),
        (
            LinkWish(HOUR, filename='a"; x="\r\nSet-Cookie: b\\%00'),
            """inline; filename="a_; x=___Set-Cookie: b__00"; """
            "filename*=UTF-8''a%22%3B%20x%3D%22%0D%0ASet-Cookie%3A%20b%5C%2500",
        ),
        (
            LinkWish(HOUR, filename="報告 “最終”.pdf"),
            """inline; filename="__ ____.pdf"; """
            "filename*=UTF-8''%E5%A0%B1%E5%91%8A%20%E2%80%9C%E6%9C%80%E7%B5%82%E2%80%9D.pdf",
        ),
        (
            LinkWish(HOUR, filename="exe\u202efdp.scr"),
            """inline; filename="exe_fdp.scr"; filename*=UTF-8''exe%E2%80%AEfdp.scr""",
        ),
    ],
)
def test_the_header_says_how_to_present_and_what_to_call_it(wish: LinkWish, header: str) -> None:
    assert parameters(signed(wish))["response-content-disposition"] == header


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "text/html; charset=utf-8",
        "image/svg+xml",
        "application/xml",
        "text/xsl",
        "*/*",
        "text/of-tomorrow",
    ],
)
def test_what_a_browser_would_run_is_saved(content_type: str) -> None:
    stored = grant(content_type=content_type, stored_content_type=content_type)
    called = grant(content_type=content_type, stored_content_type="text/plain")
    for each in (stored, called):
        link = signed(LinkWish(HOUR, disposition=ContentDisposition.INLINE), each)
        assert parameters(link)["response-content-disposition"] == 'attachment; filename="cat.jpg"'


@given(st.text(st.characters() | st.sampled_from('\ud800\udfff"\\'), max_size=400))
def test_whatever_the_name_the_header_is_one_safe_line(name: str) -> None:
    for disposition in ContentDisposition:
        header = content_disposition(disposition, name)
        assert HEADER.fullmatch(header), header
        assert len(header) < 2000


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=78))
def test_a_name_that_fits_comes_through_whole(name: str) -> None:
    header = content_disposition(ContentDisposition.INLINE, name)
    plain, encoded = header.removeprefix('inline; filename="').split('"', 1)
    assert (unquote(encoded.removeprefix("; filename*=UTF-8''")) or plain) == name


def test_a_long_name_is_cut_before_its_extension() -> None:
    header = content_disposition(ContentDisposition.INLINE, EMOJIS)
    assert unquote(header).endswith("😀.pdf")


LONGEST_NAMES = {
    "four bytes": EMOJIS,
    "three bytes": "猫" * 255,
    "controls": "\x7f" * 255,
    "quotes": "'%\"" * 85,
    "letters": "a" * 255,
    "spaces": " " * 255,
    "spaces and four bytes": " 😀   " * 51,
    "what only one spelling escapes, and four bytes": "!!😀" * 85,
    "a character that NFC takes apart": "\U0001d160" * 255,
}


@pytest.mark.parametrize("name", LONGEST_NAMES.values(), ids=LONGEST_NAMES)
def test_the_longest_link_is_short_enough(name: str) -> None:
    host = ".".join(["a" * 62] * 4) + ".a"
    assert len(host) == 253
    delivery = Delivery(
        SignerInUse(CloudFrontSigner(f"https://{host}", Keyring([SigningKey("K" * 64, RSA)]))),
        Clock(),
        max_lifetime=DAY,
        redirect_lifetime=REDIRECT_LIFETIME,
        window=HOUR,
        memory=0,
        is_revocable=True,
    )
    of = grant(name, content_type='x/y; a="' + " " * 246 + '"', object_key="o/" + "0" * 26)
    by = parameter_of(10**12, [mark_of(str(number)) for number in range(MAX_MARKS)])
    wish = LinkWish(HOUR, starts_at=START + timedelta(minutes=1), ip_range="203.0.113.255/32")
    [link] = delivery.sign([delivery.revocable(of, by)], wish)
    assert len(link.url) <= 8192


def test_a_name_of_a_megabyte_costs_no_time() -> None:
    for name in ("x" * 1_000_000, "😀" * 1_000_000, "a." + "é" * 1_000_000):
        assert len(content_disposition(ContentDisposition.INLINE, name)) < 2000


def test_a_name_with_half_a_character_is_written_without_it() -> None:
    header = content_disposition(ContentDisposition.INLINE, "a\ud800b.jpg")
    assert header.startswith('inline; filename="a_b.jpg"; ')
