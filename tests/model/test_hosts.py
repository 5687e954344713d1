"""Which hosts are this machine."""

import pytest

from graphql_api.model.hosts import is_loopback, is_on_this_machine


@pytest.mark.parametrize("host", ["localhost", "store.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_these_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "example.com", "localhost.example.com", "notlocalhost", "10.0.0.1", "::2"])
def test_these_are_not(host: str) -> None:
    assert not is_loopback(host)


def test_an_address_is_where_its_host_is() -> None:
    assert is_on_this_machine("http://[::1]:9000/queue")
    assert is_on_this_machine("http://s3.localhost:9000")
    assert not is_on_this_machine("https://s3.amazonaws.com")
    assert not is_on_this_machine(None)
