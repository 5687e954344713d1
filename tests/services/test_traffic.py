"""Who is shown what was delivered, of which days."""

from datetime import date, timedelta
from typing import Any

import pytest

from graphql_api.errors import Forbidden, InvalidInput
from graphql_api.model.file import File
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ROOT, SIGNED_IN
from graphql_api.model.traffic import TrafficBucket, TrafficInterval, TrafficOrder
from tests.services.stories import delivered, denied, filed, ruled, statements
from tests.world import START, World

TODAY = START.date()
WEEK = [TODAY - timedelta(days=days) for days in range(7)]


async def shown(world: World, principal: Principal, file: File, **days: Any) -> list[tuple[date, int, int]] | None:
    """Day, downloads and bytes."""
    span = world.services.traffic.span(days.get("since"), days.get("until"), days.get("interval", TrafficInterval.DAY))
    found = await world.services.traffic.of_files(principal, span, [file.id])
    return None if file.id not in found else [plain(bucket) for bucket in found[file.id]]


def plain(bucket: TrafficBucket) -> tuple[date, int, int]:
    return bucket.starts_on, bucket.downloads, bucket.delivered_bytes


async def test_the_owner_sees_days_in_order_and_no_empty_ones(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    assert await shown(world, ada, cat) == []
    await delivered(world, {(cat, WEEK[0]): (1, 10), (cat, WEEK[3]): (2, 20)})
    await delivered(world, {(cat, WEEK[0]): (4, 40)})
    assert await shown(world, ada, cat) == [(WEEK[3], 2, 20), (WEEK[0], 5, 50)]


async def test_what_was_delivered_is_for_those_who_may_share_the_file(world: World) -> None:
    ada, bob, eve = [await world.principal(name) for name in ("ada", "bob", "eve")]
    admin = await world.principal("admin", is_admin=True)
    cat = await filed(world, ada)
    await delivered(world, {(cat, TODAY): (1, 10)})
    await ruled(world, bob, cat.id, Permission.READ, Permission.WRITE, Permission.DELETE)
    await ruled(world, eve, cat.id, Permission.READ, Permission.SHARE)
    for principal in (ada, admin, eve):
        assert await shown(world, principal, cat) == [(TODAY, 1, 10)]
    assert await shown(world, bob, cat) is None
    assert await shown(world, await world.principal("stranger"), cat) is None
    assert await shown(world, ANONYMOUS, cat) is None


async def test_an_auditor_sees_it_of_what_they_may_read(world: World) -> None:
    ada, eve = await world.principal("ada"), await world.principal("eve")
    cat, dog = await filed(world, ada, "cat"), await filed(world, ada, "dog")
    await delivered(world, {(cat, TODAY): (1, 10), (dog, TODAY): (2, 20)})
    await ruled(world, eve, ROOT, Permission.AUDIT)
    await ruled(world, eve, cat.id, Permission.READ)
    assert await shown(world, eve, cat) == [(TODAY, 1, 10)]
    assert await shown(world, eve, dog) is None
    span = world.services.traffic.span(None, None)
    [busy] = await world.services.traffic.busiest(eve, span, TrafficOrder.DOWNLOADS, 10)
    assert busy.file.id == cat.id


async def test_days_begin_with_since_and_end_before_until(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    await delivered(world, {(cat, day): (1, 1) for day in WEEK})
    some = await shown(world, ada, cat, since=WEEK[4], until=WEEK[2])
    assert some is not None
    assert [day for day, *_ in some] == [WEEK[4], WEEK[3]]


async def test_the_last_thirty_days_are_shown_if_nothing_is_said(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    days = [TODAY + timedelta(days=offset) for offset in (-30, -29, 0, 1)]
    await delivered(world, {(cat, day): (1, 1) for day in days})
    assert await shown(world, ada, cat) == [(day, 1, 1) for day in days[1:3]]
    assert await shown(world, ada, cat, until=TODAY) == [(day, 1, 1) for day in days[:2]]


async def test_months_are_summed_as_far_as_they_are_asked_for(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    november, october = date(2026, 11, 1), date(2026, 10, 1)
    first, last = date(2026, 10, 30), date(2026, 10, 31)
    await delivered(
        world, {(cat, first): (1, 10), (cat, last): (2, 20), (cat, november): (4, 40), (cat, TODAY): (8, 80)}
    )
    month = TrafficInterval.MONTH
    assert await shown(world, ada, cat, interval=month) == [(october, 3, 30), (november, 12, 120)]
    assert await shown(world, ada, cat, since=last, until=TODAY, interval=month) == [
        (october, 2, 20),
        (november, 4, 40),
    ]


@pytest.mark.parametrize(
    ("since", "until", "fault"),
    [
        (TODAY, TODAY, "until must be after since"),
        (TODAY, TODAY - timedelta(days=1), "until must be after since"),
        (TODAY + timedelta(days=1), None, "until must be after since"),
        (TODAY - timedelta(days=367), TODAY, "at most 366 days at a time"),
        (date.min, date.max, "at most 366 days at a time"),
        (None, date.min, "is before all days"),
    ],
)
async def test_days_that_are_none_or_too_many_are_refused(
    sqlite_world: World, since: date | None, until: date | None, fault: str
) -> None:
    with pytest.raises(InvalidInput, match=fault):
        sqlite_world.services.traffic.span(since, until)


async def test_a_leap_year_can_be_asked_for(sqlite_world: World) -> None:
    span = sqlite_world.services.traffic.span(date(2028, 1, 1), date(2029, 1, 1))
    assert (span.until - span.since).days == 366


async def test_a_viewer_sees_all_that_was_theirs_and_nobody_elses(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    cat, dog, owl = await filed(world, ada, "cat"), await filed(world, ada, "dog"), await filed(world, bob, "owl")
    await delivered(
        world, {(cat, TODAY): (1, 10), (dog, TODAY): (2, 20), (owl, TODAY): (9, 90), (cat, WEEK[1]): (1, 1)}
    )
    await world.services.files.delete(ada, [dog.id])
    span = world.services.traffic.span(None, None)
    mine = await world.services.traffic.of_viewer(ada, span)
    assert [plain(bucket) for bucket in mine] == [(WEEK[1], 1, 1), (TODAY, 3, 30)]
    assert await world.services.traffic.of_viewer(ANONYMOUS, span) == ()


async def named(world: World, principal: Principal, order: TrafficOrder, limit: int = 10) -> list[tuple[str, int, int]]:
    """Own files, the busiest first."""
    span = world.services.traffic.span(WEEK[6], None)
    found = await world.services.traffic.busiest_own(principal, span, order, limit)
    return [(busy.file.name, busy.downloads, busy.delivered_bytes) for busy in found]


async def test_the_busiest_files_come_first_in_the_order_that_is_asked_for(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    cat, dog, elk = [await filed(world, ada, name) for name in ("cat", "dog", "elk")]
    owl, _ = await filed(world, bob, "owl"), await filed(world, ada, "never asked for")
    await delivered(
        world,
        {
            (cat, TODAY): (1, 10),
            (cat, WEEK[6]): (1, 10),
            (cat, TODAY - timedelta(days=7)): (1000, 1000),
            (dog, TODAY): (1, 500),
            (elk, TODAY): (0, 30),
            (owl, TODAY): (9, 9),
        },
    )
    downloads, size = TrafficOrder.DOWNLOADS, TrafficOrder.DELIVERED_BYTES
    assert await named(world, ada, downloads) == [("cat", 2, 20), ("dog", 1, 500)]
    assert await named(world, ada, size) == [("dog", 1, 500), ("elk", 0, 30), ("cat", 2, 20)]
    assert await named(world, ada, size, 2) == [("dog", 1, 500), ("elk", 0, 30)]
    admin = await world.principal("admin", is_admin=True)
    everyones = await world.services.traffic.busiest(admin, world.services.traffic.span(None, None), downloads, 2)
    assert [busy.file.name for busy in everyones] == ["cat", "owl"]


async def test_what_a_rule_hides_from_its_owner_is_not_among_the_busiest(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    await delivered(world, {(cat, TODAY): (1, 10)})
    await denied(world, SIGNED_IN, cat.id, Permission.READ)
    assert await named(world, ada, TrafficOrder.DOWNLOADS) == []


async def test_files_that_may_not_be_seen_take_no_places_among_the_busiest(world: World) -> None:
    ada, eve = await world.principal("ada"), await world.principal("eve")
    await ruled(world, eve, ROOT, Permission.AUDIT)
    cats = [await filed(world, ada, f"cat {number}") for number in range(7)]
    await delivered(world, {(cat, TODAY): (10 - number, 1) for number, cat in enumerate(cats)})
    for number in (2, 4, 6):
        await ruled(world, eve, cats[number].id, Permission.READ)
    for number in (0, 1, 3):
        await denied(world, ada, cats[number].id, Permission.READ)
    span = world.services.traffic.span(None, None)
    for limit in range(1, 5):
        for principal, of in (
            (eve, world.services.traffic.busiest),
            (ada, world.services.traffic.busiest_own),
        ):
            busiest = await of(principal, span, TrafficOrder.DOWNLOADS, limit)
            expected = [2, 4, 6] if principal is eve else [2, 4, 5, 6]
            assert [busy.file.id for busy in busiest] == [cats[number].id for number in expected[:limit]]


async def test_the_busiest_of_all_are_for_auditors(world: World) -> None:
    span = world.services.traffic.span(None, None)
    for principal in (await world.principal("ada"), ANONYMOUS):
        with pytest.raises(Forbidden) as refusal:
            await world.services.traffic.busiest(principal, span, TrafficOrder.DOWNLOADS, 10)
        assert refusal.value.required_permission == Permission.AUDIT
    assert await world.services.traffic.busiest_own(ANONYMOUS, span, TrafficOrder.DOWNLOADS, 10) == ()


@pytest.mark.parametrize("limit", [0, -1, 101])
async def test_at_most_a_hundred_are_listed(sqlite_world: World, limit: int) -> None:
    admin = await sqlite_world.principal("admin", is_admin=True)
    services = sqlite_world.services.traffic
    for ask in (services.busiest, services.busiest_own):
        with pytest.raises(InvalidInput, match="from 1 to 100"):
            await ask(admin, services.span(None, None), TrafficOrder.DOWNLOADS, limit)


async def test_a_hundred_files_cost_as_many_statements_as_one(world: World) -> None:
    ada = await world.principal("ada")
    cats = [await filed(world, ada, f"cat {number}") for number in range(5)]
    await delivered(world, {(cat, TODAY): (1, 1) for cat in cats})
    span = world.services.traffic.span(None, None)
    costs = []
    for asked in (cats[:1], cats):
        with statements(world) as run:
            found = await world.services.traffic.of_files(ada, span, [cat.id for cat in asked])
        assert len(found) == len(asked)
        costs.append(len(run))
    assert costs[0] == costs[1]
