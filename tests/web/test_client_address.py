from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.web.client_address import client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        pytest.param("203.0.113.7", [], "203.0.113.7", id="no proxy"),
        pytest.param("203.0.113.7", ["198.51.100.1"], "203.0.113.7", id="a stranger's header is not believed"),
        pytest.param("10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="a proxy's header is"),
        pytest.param("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1", id="what the client claims is not"),
        pytest.param("10.0.0.1", ["198.51.100.1, 10.0.0.2,10.0.0.3"], "198.51.100.1", id="a chain of proxies"),
        pytest.param("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1", id="several headers"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy itself"),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="only proxies"),
        pytest.param("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1", id="what is no address ends the walk"),
        pytest.param("10.0.0.1", ["198.51.100.1, rubbish, 10.0.0.2"], "10.0.0.2", id="rubbish behind a proxy"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty header"),
        pytest.param("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1", id="with a port"),
        pytest.param("fd00::1", ["2001:db8::1"], "2001:db8::1", id="IPv6"),
        pytest.param("fd00::1", ["[2001:DB8:0::1]:4711"], "2001:db8::1", id="IPv6 with a port, canonical form"),
        pytest.param("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1", id="IPv4 in IPv6 clothes"),
        pytest.param("fe80::1%eth0", [], "fe80::1", id="a zone"),
        pytest.param(None, ["198.51.100.1"], None, id="a peer without address, such as a Unix socket"),
        pytest.param("testclient", ["198.51.100.1"], None, id="a peer whose address is none"),
    ],
)
def test_the_nearest_untrusted_address_is_the_clients(
    peer: str | None, forwarded_for: list[str], expected: str | None
) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == expected


@given(st.lists(st.text()))
def test_no_header_makes_it_fail(forwarded_for: list[str]) -> None:
    assert client_address("10.0.0.1", forwarded_for, TRUSTED)


@given(st.text())
def test_no_header_of_a_stranger_matters(forwarded_for: str) -> None:
    assert client_address("203.0.113.7", [forwarded_for], TRUSTED) == "203.0.113.7"
