"""What is remembered of links: bounded in bytes as Python counts them, and the least useful goes first."""

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from graphql_api.model.delivery import Link
from graphql_api.services.link_memo import Kept, LinkKey, LinkMemo
from tests.world import START

KIB, MIB = 1024, 1024**2
LINKS_IN_A_MIB = 700  # at least, with texts of usual length


def key(number: int, name: str = "Site survey {} final.pdf") -> LinkKey:
    return (f"K1 1:00:00 INLINE {number % 7}", f"o/01kaqz6c4m{number:016}", name.format(number), f"text/x-{number}")


def kept(number: int, length: int = 350) -> Kept:
    """A link made anew, with a URL of ``length``; nothing in it is shared with another."""
    seconds = int(START.timestamp()) + number
    ends = datetime.fromtimestamp(seconds, UTC)
    url = f"https://cdn.test/{number}?".ljust(length, "x")
    return Kept(Link(url, ends, ends - timedelta(minutes=1), f"file_{number}/o/{number}", "K1", False), 0, seconds)


def test_what_is_remembered_is_recalled() -> None:
    memo = LinkMemo(MIB)
    memo.remember(key(1), one := kept(1))
    assert memo.recall(key(1)) is one
    assert memo.young[key(1)] is one
    assert memo.recall(key(2)) is None
    memo.remember(key(1), two := kept(1))
    assert memo.recall(key(1)) is two


@pytest.mark.parametrize(
    ("name", "length"),
    [("{}", 330), ("Site survey {} final.pdf", 350), ("猫" * 250 + "{}", 2400), ("😀" * 240 + "{}", 8192)],
)
def test_the_memory_is_bounded_whatever_the_names(name: str, length: int) -> None:
    memo = LinkMemo(2 * MIB)
    tracemalloc.start()
    try:
        before, peak = tracemalloc.get_traced_memory()[0], 0
        for number in range(6000):
            memo.remember(key(number, name), kept(number, length))
            if number % 50 == 0:
                peak = max(peak, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert MIB < peak <= 2 * MIB + 64 * KIB  # what is being made is not in it yet


def test_one_link_under_one_key_is_counted_once() -> None:
    memo = LinkMemo(MIB)
    memo.remember(key(0), kept(0))
    for _ in range(10 * LINKS_IN_A_MIB):
        memo.remember(key(1), kept(1))
    assert memo.recall(key(0)) is not None


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    memo = LinkMemo(MIB)
    memo.remember(key(-1), kept(-1))
    memo.remember(key(-2), kept(-2))
    for number in range(5000):
        memo.remember(key(number), kept(number))
        if number % (LINKS_IN_A_MIB // 2) == 0:
            assert memo.recall(key(-1)) is not None
    assert memo.recall(key(-2)) is None
    assert all(memo.recall(key(number)) is not None for number in range(5000 - LINKS_IN_A_MIB // 2, 5000))


def test_what_would_take_half_of_the_memory_is_not_kept_and_drives_nothing_out() -> None:
    memo = LinkMemo(MIB)
    memo.remember(key(1), kept(1))
    memo.remember(key(2, "x" * MIB), kept(2))
    assert memo.recall(key(1)) is not None
    assert memo.recall(key(2, "x" * MIB)) is None


def test_without_memory_nothing_is_remembered() -> None:
    memo = LinkMemo(0)
    memo.remember(key(1), kept(1))
    assert memo.recall(key(1)) is None
