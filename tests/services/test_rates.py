"""A request is charged once, and what is charged is told; who has all points again is forgotten."""

import pytest

from graphql_api.errors import RateLimited
from graphql_api.limits.memory import MemoryRates
from graphql_api.model.ids import UserId
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.services.rates import BASE_COST, Meter, RateLimits, Rates
from graphql_api.services.turns import Turn
from tests.world import START, UNLIMITED, Clock

ADA = Principal(UserId("user_ada"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    limits = RateLimits(per_viewer=100, per_address=BASE_COST, window=UNLIMITED.window)
    return Rates(MemoryRates(), clock, limits)


async def test_what_was_charged_is_not_charged_again(rates: Rates) -> None:
    meter = rates.meter(ADA)
    assert meter.rate_limit is None
    assert not meter.admitted.is_set()
    await meter.charge(30)
    await meter.settle()
    left = meter.rate_limit
    assert left is not None
    assert (left.cost, left.limit, left.remaining) == (BASE_COST + 30, 100, 70 - BASE_COST)
    assert left.reset_at == START + UNLIMITED.window / 2
    assert meter.admitted.is_set()


async def test_what_was_not_measured_is_charged_as_a_request(rates: Rates) -> None:
    meter = rates.meter(ADA)
    await meter.settle()
    await meter.settle()
    assert meter.rate_limit is not None
    assert meter.rate_limit.remaining == 100 - BASE_COST


async def test_what_was_refused_stays_refused(rates: Rates, clock: Clock) -> None:
    await rates.meter(ANONYMOUS).settle()
    meter = rates.meter(ANONYMOUS)
    with pytest.raises(RateLimited):
        await meter.charge(0)
    clock.advance(hours=1)
    with pytest.raises(RateLimited) as limited:
        await meter.settle()
    assert limited.value.seconds == 60
    assert not meter.admitted.is_set()
    await rates.meter(ANONYMOUS).settle()


async def test_each_event_costs_what_the_operation_does_without_a_request(rates: Rates) -> None:
    meter = rates.meter(ADA)
    await meter.charge(30)
    await meter.charge_event()
    assert meter.rate_limit is not None
    assert (meter.rate_limit.cost, meter.rate_limit.remaining) == (30, 100 - (BASE_COST + 30) - 30)
    with pytest.raises(RateLimited):
        await meter.charge_event()
    await meter.settle()  # what was admitted was
    await Meter().charge_event()


async def test_who_has_all_points_again_is_forgotten(rates: Rates, clock: Clock) -> None:
    await rates.meter(ADA).charge(40)
    await rates.meter(ANONYMOUS).settle()
    assert await rates.turn() == Turn(0, is_more=False)
    clock.advance(minutes=1)
    assert await rates.turn() == Turn(2, is_more=False)
