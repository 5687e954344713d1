"""What is kept in memory is bounded, and who is forgotten has all points again."""

from datetime import timedelta

from graphql_api.limits import Buckets, address_key
from graphql_api.model.rate import Allowance
from graphql_api.web.client_address import parse_address
from tests.world import START

TEN = Allowance(10, timedelta(minutes=1))


def test_of_too_many_keys_those_that_spent_longest_ago_are_forgotten() -> None:
    buckets = Buckets(max_kept=3)
    for key in ("a", "b", "c"):
        buckets.take(key, 10, TEN, START)
    buckets.learn("a", START)  # asks again, and is known to have spent more
    buckets.take("d", 10, TEN, START)
    full = {key for key in "abcd" if buckets.wait(key, 10, TEN, START) <= timedelta()}
    assert full == {"b"}


def test_an_attacker_of_many_networks_takes_no_more_memory_than_there_is() -> None:
    buckets = Buckets(max_kept=100)
    for number in range(10_000):
        buckets.take(f"2001:db8:{number:x}::/64", 1, TEN, START)
    assert buckets.forget_restored(START + timedelta(minutes=1)) == 100


def test_addresses_of_one_subscriber_count_together() -> None:
    keys = {address_key(parse_address(text)) for text in ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")}
    assert keys == {"2001:db8::/64"}
    assert address_key(parse_address("2001:db8:0:1::1")) not in keys
    assert address_key(parse_address("::ffff:192.0.2.1")) == address_key(parse_address("192.0.2.1")) == "192.0.2.1"
    assert address_key(None) == "None"
