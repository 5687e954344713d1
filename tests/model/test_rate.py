"""An allowance: so many points at once, and so many in each window."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from graphql_api.model.rate import Allowance

START = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

CHARGES = st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 150)), max_size=40)  # milliseconds later, points


@given(CHARGES)
def test_in_no_span_is_more_spent_than_all_points_and_what_came_back_in_it(charges: list[tuple[int, int]]) -> None:
    allowance = Allowance(100, MINUTE)
    now, restored_at = START, START
    spent: list[tuple[datetime, int]] = []
    for later, points in charges:
        now += timedelta(milliseconds=later)
        if allowance.wait(points, restored_at, now) <= timedelta():
            restored_at = max(restored_at, now) + allowance.time_of(points)
            spent.append((now, min(points, 100)))
    for begin, _ in spent:
        for end, _ in spent:
            within = sum(points for at, points in spent if begin <= at <= end)
            assert within <= 100 + 100 * max(end - begin, timedelta()) / MINUTE + 1e-3


@given(CHARGES)
def test_what_is_said_to_be_left_is_let_through_and_one_more_is_not(charges: list[tuple[int, int]]) -> None:
    allowance = Allowance(100, MINUTE)
    now, restored_at = START, START
    for later, points in charges:
        now += timedelta(milliseconds=later)
        if allowance.wait(points, restored_at, now) <= timedelta():
            restored_at = max(restored_at, now) + allowance.time_of(points)
        left = allowance.left(restored_at, now)
        assert 0 <= left <= 100
        assert allowance.wait(left, restored_at, now) <= timedelta()
        assert left == 100 or allowance.wait(left + 1, restored_at, now) > timedelta()


def test_what_costs_more_than_all_points_costs_all_of_them() -> None:
    allowance = Allowance(100, MINUTE)
    assert allowance.time_of(10**9) == MINUTE
    assert allowance.wait(10**9, START, START) <= timedelta()
    assert allowance.wait(10**9, START + timedelta(seconds=1), START) == timedelta(seconds=1)
