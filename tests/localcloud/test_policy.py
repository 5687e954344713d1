"""Which addresses a resource names, and which texts are policies at all."""

import json

import pytest

from graphql_api.localcloud.policy import Policy, ViewerUrl, matches
from graphql_api.localcloud.refusal import MalformedPolicy
from tests.localcloud.viewer import EPOCH, NOW, request


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("*", "https://d.example/a?b=c"),
        ("https://d.example/a", "https://d.example/a"),
        ("*://d.example/a", "http://d.example/a"),
        ("*d.example/a", "https://cdn.d.example/a"),
        ("https://*.example/a", "https://d.example/a"),
        ("https://d.example/a/*", "https://d.example/a/"),
        ("https://d.example/a/*", "https://d.example/a/b/c.jpg"),
        ("https://d.example/a*", "https://d.example/a?size=large"),
        (r"https://d.example/a*\?*", "https://d.example/abc"),
        (r"https://d.example/a*\?*", "https://d.example/a?size=large"),
        ("https://d*", "https://d.example/a?b=c"),
        ("https://d.example/?.jpg", "https://d.example/x.jpg"),
        (r"https://d.example/a\?b=c", "https://d.example/a?b=c"),
        (r"https://d.example/a\?b=*", "https://d.example/a?b=anything&c=d"),
        (r"https://d.example/a\?b=?", "https://d.example/a?b=c"),
        ("https://d.example/a[1](2).jpg", "https://d.example/a[1](2).jpg"),
    ],
)
def test_a_pattern_names_an_address(pattern: str, url: str) -> None:
    assert matches(pattern, request(url).url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("https://d.example/a", "http://d.example/a"),
        ("https://d.example/a", "https://d.example/ab"),
        ("https://d.example/a", "https://d.example/a?b=c"),
        ("https://d.example/a", "https://e.example/a"),
        ("https://d.example/a/*", "https://d.example/b/c"),
        ("https://d.example/*.jpg", "https://d.example/a.png?x=.jpg"),  # `*` does not cross into the query
        ("https://*/a", "https://d.example/b/a"),  # nor from the domain into the path
        ("https://d.example", "https://d.example/a"),
        ("https://d.example/?.jpg", "https://d.example/.jpg"),
        ("https://d.example/?.jpg", "https://d.example/xx.jpg"),
        ("https://d.example/a?b=c", "https://d.example/a?b=c"),  # unescaped, `?` is a wildcard of the path
        (r"https://d.example/a\?b=c", "https://d.example/aXb=c"),
        (r"https://d.example/a\?b=c", "https://d.example/a"),
        ("https://d.example/a.jpg", "https://d.example/aXjpg"),
        ("https://d.example/a b", "https://d.example/a%20b"),
        ("https://d.example/a/b", "https://d.example/a%2Fb"),
        ("d.example/a", "https://d.example/a"),
        ("ftp://d.example/a", "ftp://d.example/a"),
        ("", "https://d.example/"),
    ],
)
def test_a_pattern_does_not_name_an_address(pattern: str, url: str) -> None:
    assert not matches(pattern, request(url).url)


def policy(**changes: object) -> str:
    statement: dict[str, object] = {"Resource": "*", "Condition": {"DateLessThan": {"AWS:EpochTime": EPOCH + 1}}}
    return json.dumps({"Statement": [statement | changes]})


def conditions(**changes: object) -> str:
    return policy(Condition={"DateLessThan": {"AWS:EpochTime": EPOCH + 1}} | changes)


SOMEWHERE = ViewerUrl("https", "d.example", "/a", "")


def test_a_statement_may_stand_alone_or_in_an_array() -> None:
    in_array = policy()
    alone = json.dumps({"Statement": json.loads(in_array)["Statement"][0]})
    assert Policy.read(in_array.encode()) == Policy.read(alone.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "not json",
        "[" * 5000,
        '{"Statement":[]}',
        json.dumps({"Statement": json.loads(policy())["Statement"] * 2}),
        json.dumps({"Statement": "x"}),
        policy(Condition={}),
        policy(Condition=[]),
        policy(Resource=["https://d.example/*"]),
        policy(Effect="Allow"),
        policy().replace('"Resource"', '"Resource": "x", "Resource"'),
        conditions(DateLessThan={"AWS:EpochTime": "2000000000"}),
        conditions(DateLessThan={"AWS:EpochTime": True}),
        conditions(DateLessThan={"AWS:EpochTime": 2e9}),
        conditions(DateLessThan={"AWS:EpochTime": EPOCH * 1000}),
        conditions(DateLessThan={"AWS:EpochTime": 0}),
        conditions(DateLessThan={"AWS:EpochTime": -1}),
        conditions(DateLessThan={}),
        conditions(DateGreaterThan={"AWS:EpochTime": EPOCH * 1000}),
        conditions(IpAddress={"AWS:SourceIp": "2001:db8::/32"}),
        conditions(IpAddress={"AWS:SourceIp": "192.0.2.0/255.255.255.0"}),
        conditions(IpAddress={"AWS:SourceIp": "192.0.2.0/33"}),
        conditions(IpAddress={"AWS:SourceIp": "192.0.2.1/24"}),
        conditions(IpAddress={"AWS:SourceIp": ["192.0.2.1"]}),
        conditions(StringLike={"aws:UserAgent": "*"}),
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        Policy.read(text.encode())


def test_bytes_that_are_no_text_are_no_policy() -> None:
    with pytest.raises(MalformedPolicy):
        Policy.read(b"\xff\xfe")


def test_a_policy_without_a_resource_is_for_every_address() -> None:
    text = json.dumps({"Statement": [{"Condition": {"DateLessThan": {"AWS:EpochTime": EPOCH + 1}}}]})
    assert Policy.read(text.encode()).permits(SOMEWHERE, None, NOW)


@pytest.mark.parametrize(("before", "is_permitted"), [(EPOCH + 1, True), (EPOCH, False), (EPOCH - 1, False)])
def test_the_second_of_expiry_is_too_late(before: int, is_permitted: bool) -> None:
    read = Policy.read(conditions(DateLessThan={"AWS:EpochTime": before}).encode())
    assert read.permits(SOMEWHERE, None, NOW) is is_permitted


@pytest.mark.parametrize(("after", "is_permitted"), [(EPOCH - 1, True), (EPOCH, False), (EPOCH + 1, False)])
def test_the_second_of_the_start_is_too_early(after: int, is_permitted: bool) -> None:
    read = Policy.read(conditions(DateGreaterThan={"AWS:EpochTime": after}).encode())
    assert read.permits(SOMEWHERE, None, NOW) is is_permitted


@pytest.mark.parametrize(
    ("source", "address", "is_permitted"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7/32", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("0.0.0.0/0", "203.0.113.9", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.7", "192.0.2.8", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("0.0.0.0/0", None, False),
    ],
)
def test_the_viewers_address_decides(source: str, address: str | None, is_permitted: bool) -> None:
    read = Policy.read(conditions(IpAddress={"AWS:SourceIp": source}).encode())
    assert read.permits(SOMEWHERE, address, NOW) is is_permitted
