"""When links end: on a grid, never past a bound, never before the wish without a bound's saying so."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import prod

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graphql_api import setting_values
from graphql_api.model.ids import new_file_id
from graphql_api.services.windows import LinkTimes, Windows
from tests.world import START

NOW = int(START.timestamp())
HALF_HOUR, HOUR, DAY, YEAR = 1800, 3600, 86_400, 31_536_000
FILE = "file_01kaqz6c4m0000000000000000"


@dataclass(frozen=True)
class Asked:
    """What somebody may ask for. ``until`` and ``signer_until``: seconds after ``now``."""

    window: int
    lifetime: int
    longest: int
    until: int | None
    now: int
    file_id: str
    signer_until: int | None = None

    def times(self, later: int = 0, lifetime: int | None = None) -> LinkTimes:
        return Windows(timedelta(seconds=self.window)).times(
            self.now + later,
            lifetime=self.lifetime if lifetime is None else lifetime,
            longest=self.longest,
            until=self.ends,
            signer_until=None if self.signer_until is None else self.now + self.signer_until,
            file_id=self.file_id,
        )

    @property
    def ends(self) -> int | None:
        return None if self.until is None else self.now + self.until


def widest(window: int, lifetime: int) -> float:
    """Seconds between two points of the grid, at most: what rounding can add or take."""
    return min(window, max(1, lifetime / 2))


NO_BOUND = 100 * YEAR
windows = st.integers(1, DAY) | st.sampled_from([HALF_HOUR, HOUR, 7919])  # a prime, too
moments = st.integers(1_700_000_000, 2_100_000_000)
spans = st.integers(1, 100) | st.integers(1, 2 * DAY) | st.integers(1, YEAR)


@st.composite
def wishes(draw: st.DrawFn, *, may_end: bool = True) -> Asked:
    longest = draw(spans)
    return Asked(
        window=draw(windows),
        lifetime=draw(st.integers(1, longest)),
        longest=longest,
        until=draw(st.none() | spans) if may_end else None,
        now=draw(moments),
        file_id=draw(st.sampled_from([FILE, "file_1", "file_2", ""])),
    )


@given(wishes())
def test_a_link_never_ends_after_what_bounds_it_and_never_at_once(asked: Asked) -> None:
    times = asked.times()
    assert asked.now < times.expires_at <= asked.now + asked.longest
    assert asked.ends is None or times.expires_at <= asked.ends


@given(windows, spans, moments)
def test_without_a_bound_a_link_lives_as_long_as_was_wished_and_at_most_a_window_longer(
    window: int, lifetime: int, now: int
) -> None:
    times = Asked(window, lifetime, NO_BOUND, None, now, FILE).times()
    # Somebody asks within the second ``now``: from its very end on, the link still lives for what was wished.
    assert now + 1 + lifetime <= times.expires_at <= now + lifetime + widest(window, lifetime)


@given(wishes(may_end=False))
@example(Asked(HALF_HOUR, 300, 300, None, NOW, FILE))
@example(Asked(HALF_HOUR, HALF_HOUR, HALF_HOUR, None, NOW, FILE))
def test_who_wishes_for_more_than_is_allowed_gets_more_than_half_of_what_is(asked: Asked) -> None:
    left = asked.times(lifetime=asked.longest).expires_at - asked.now
    assert asked.longest - widest(asked.window, asked.longest) < left <= asked.longest


@given(wishes())
def test_a_fixed_end_is_used_to_the_second(asked: Asked) -> None:
    times = asked.times()
    unbounded = Asked(asked.window, asked.lifetime, asked.longest, None, asked.now, asked.file_id).times()
    assert times.expires_at == min(unbounded.expires_at, asked.ends or unbounded.expires_at)


@given(wishes(), st.data())
def test_asking_again_gives_the_same_until_it_changes_and_then_a_later_end(asked: Asked, data: st.DataObject) -> None:
    times = asked.times()
    left = times.changes_at - asked.now
    assert left > 0
    assert asked.times(data.draw(st.integers(0, left - 1))) == times
    if times.expires_at != asked.ends:
        assert asked.times(left).expires_at > times.expires_at


@given(wishes(), st.integers(0, 2 * DAY))
def test_who_asks_later_never_gets_an_earlier_end(asked: Asked, later: int) -> None:
    assert asked.times(later).expires_at >= asked.times().expires_at


@given(wishes(), st.data())
def test_who_wishes_for_more_never_gets_less(asked: Asked, data: st.DataObject) -> None:
    more = data.draw(st.integers(asked.lifetime, asked.longest))
    assert asked.times(lifetime=more).expires_at >= asked.times().expires_at


@given(wishes(), st.integers(0, DAY))
def test_the_time_to_refresh_is_to_come_and_brings_a_later_end_if_there_can_be_one(asked: Asked, later: int) -> None:
    times = asked.times()
    assert asked.now < times.refresh_after <= times.expires_at
    if times.expires_at == asked.ends:
        assert times.refresh_after == times.expires_at
    else:
        assert times.expires_at - times.refresh_after <= asked.longest // 5
        assert asked.times(times.refresh_after - asked.now + later).expires_at > times.expires_at


@given(wishes(), spans, st.data())
def test_who_is_bound_by_the_signers_end_is_told_to_ask_before_it(
    asked: Asked, signer_until: int, data: st.DataObject
) -> None:
    times, bound = asked.times(), replace(asked, signer_until=signer_until).times()
    end = asked.now + signer_until
    if end >= times.expires_at:
        assert bound == times
        return
    assert bound.expires_at == end
    assert asked.now < bound.refresh_after == bound.changes_at
    assert end - bound.refresh_after <= 600
    if signer_until > 1:
        assert bound.refresh_after < end
    later = data.draw(st.integers(0, bound.changes_at - asked.now - 1))
    until = None if asked.until is None else asked.until - later
    assert replace(asked, now=asked.now + later, until=until, signer_until=signer_until - later).times() == bound


@given(windows, spans, moments, st.data())
def test_wishes_end_together_if_and_only_if_they_end_in_the_same_window(
    window: int, more: int, now: int, data: st.DataObject
) -> None:
    one = 2 * window + more
    two = one + data.draw(st.integers(0, 2 * window))
    first, second = (Asked(window, each, NO_BOUND, None, now, FILE).times() for each in (one, two))
    assert (second.expires_at - first.expires_at) % window == 0
    assert (first.expires_at == second.expires_at) == (now + two < first.expires_at)


@given(st.lists(st.sampled_from([2, 3, 5, 7])).map(prod).filter(lambda window: window <= DAY), spans, moments)
def test_a_window_that_may_be_set_is_divided_in_steps_that_keep_links_for_a_fourteenth_of_their_lifetime(
    window: int, lifetime: int, now: int
) -> None:
    first = Asked(window, lifetime, NO_BOUND, None, now, FILE)
    changes_at = first.times().changes_at
    second = Asked(window, lifetime, NO_BOUND, None, changes_at, FILE)
    kept = second.times().changes_at - changes_at
    assert kept == window or kept > lifetime // 2 // 7
    assert setting_values.window(timedelta(seconds=window)) == timedelta(seconds=window)


def test_the_files_of_a_page_end_all_over_the_window() -> None:
    windows = Windows(timedelta(seconds=HALF_HOUR))
    made_at = datetime(2026, 11, 22, tzinfo=UTC)
    ids = [new_file_id(made_at + timedelta(milliseconds=number)) for number in range(10_000)]
    ends = [
        windows.times(NOW, lifetime=HOUR, longest=DAY, until=None, signer_until=None, file_id=each).expires_at
        for each in ids
    ]
    assert NOW + HOUR < min(ends) <= max(ends) <= NOW + HOUR + HALF_HOUR
    tenths = Counter((end - NOW - HOUR - 1) * 10 // HALF_HOUR for end in ends)
    assert sorted(tenths) == list(range(10))
    assert all(800 < files < 1200 for files in tenths.values()), tenths


@pytest.mark.parametrize(
    ("left", "refresh"),
    [(HOUR, HOUR - 600), (601, 1), (600, 300), (301, 1), (300, 150), (2, 1), (1, 1)],
)
def test_a_signer_that_is_not_replaced_in_time_is_asked_for_again_by_halves(left: int, refresh: int) -> None:
    found = Asked(HALF_HOUR, DAY, DAY, None, NOW, FILE, signer_until=left).times()
    assert (found.expires_at - NOW, found.refresh_after - NOW, found.changes_at - NOW) == (left, refresh, refresh)


@pytest.mark.parametrize(
    ("window", "lifetime", "longest", "until", "expires", "refresh", "changes"),
    [
        (HALF_HOUR, HOUR, DAY, None, HOUR + 805, HOUR + 805 - 720, 805),
        (HALF_HOUR, DAY, DAY, None, DAY - 995, DAY - 995 - 17_280, 805),
        (HALF_HOUR, 300, DAY, None, 300 + 55, 295, 55),  # the window is 75 seconds
        (HALF_HOUR, 1, 1, None, 1, 1, 1),
        (HALF_HOUR, HOUR, DAY, 60, 60, 60, 60),
        (1, HOUR, DAY, None, HOUR + 1, HOUR + 1 - 720, 1),
    ],
)
def test_known_times(
    window: int, lifetime: int, longest: int, until: int | None, expires: int, refresh: int, changes: int
) -> None:
    """In seconds after ``NOW``. They must not change: processes of two releases run side by side."""
    found = Asked(window, lifetime, longest, until, NOW, FILE).times()
    assert (found.expires_at - NOW, found.refresh_after - NOW, found.changes_at - NOW) == (expires, refresh, changes)
