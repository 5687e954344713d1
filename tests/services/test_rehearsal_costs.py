"""A rehearsal costs what it may cost: so many decisions, outside of the database, and few at a time."""

import asyncio
from collections import Counter
from collections.abc import Set
from datetime import datetime, timedelta
from math import prod
from threading import Barrier, Lock
from typing import Any

import pytest

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.model.ids import new_file_id, new_rule_id, new_user_id
from graphql_api.model.preview import Preview
from graphql_api.model.principal import Address, Permission, Principal
from graphql_api.model.rule import ROOT, SIGNED_IN, AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.model.rule_change import CreateRule, ProposedChange
from graphql_api.services import compared_people, previews
from graphql_api.services.comparison import Person, Thing, bearable, evenly, fitted, lines_of, situations_of
from graphql_api.services.policies import MAX_REHEARSALS
from tests.services.rulings import stocked, wish
from tests.services.stories import filed, foldered
from tests.world import START, World

DAY = timedelta(days=1)
RANGES = tuple(f"10.{number}.0.0/16" for number in range(50))


class CountedStanding(Standing):
    decisions: Counter[str] = Counter()  # noqa: RUF012 -- the one count of all of them

    def may(self, permission: Permission, scopes: Set[str]) -> bool:
        self.decisions["made"] += 1
        return super().may(permission, scopes)


class CountedBook(Rulebook):
    def standing(self, now: datetime, address: Address | None) -> Standing:
        found = super().standing(now, address)
        return CountedStanding(found.user_id, found.is_token_admin, found.rules)


def terms(number: int, ip_ranges: tuple[str, ...] = ()) -> RuleTerms:
    ends_at = START + number * DAY
    resource = Scope(new_file_id(START))
    return RuleTerms(
        Effect.ALLOW, frozenset({Permission.READ}), SIGNED_IN, resource, ends_at=ends_at, ip_ranges=ip_ranges
    )


def person(rules: int, ip_ranges: tuple[str, ...] = ()) -> Person:
    made = [terms(number, ip_ranges) for number in range(1, rules + 1)]
    kept = tuple(AccessRule(new_rule_id(START), each, 1, None, START, START) for each in made)
    user_id = new_user_id(START)
    book = CountedBook(user_id, is_admin=False)
    return Person(Subject(user_id), book, CountedBook(user_id, is_admin=False, rules=kept))


def test_the_largest_counts_are_cut_until_the_product_fits() -> None:
    assert fitted([200, 2_000, 24], 9_600_000) == [200, 2_000, 24]
    assert fitted([0, 3], 100) == [1, 3]
    assert fitted([5, 5], 1) == [1, 1]
    for counts, most in (([200, 2_000, 24], 500_000), ([200, 500, 24], 83_333), ([1, 10_000, 1], 7), ([3, 3, 3], 26)):
        cut = fitted(counts, most)
        assert prod(cut) <= most
        assert all(1 <= less <= count for less, count in zip(cut, counts, strict=True))
        assert 2 * prod(cut) > most or max(cut) == 1  # no more than has to be


def test_no_more_is_decided_than_people_things_situations_and_permissions_twice() -> None:
    CountedStanding.decisions.clear()
    people = [person(3) for _ in range(4)]
    resources = [rule.terms.resource for one in people for rule in one.after.rules]
    things = [Thing(resource, frozenset({resource, ROOT})) for resource in resources]
    situations, _ = situations_of([terms(1), terms(2)], START, 24)
    permissions = frozenset({Permission.READ, Permission.WRITE})
    lines = lines_of(people, things, permissions, situations)
    assert [line.files for line in lines] == [3] * 4
    most = len(people) * len(things) * len(situations) * len(permissions) * 2
    assert 0 < CountedStanding.decisions["made"] <= most


def test_rules_and_their_ranges_are_looked_at_so_often_only() -> None:
    situations, _ = situations_of([terms(number) for number in range(30)], START, 24)
    people = [person(10, RANGES) for _ in range(20)]
    assert people[0].weight == 10 * 51
    same, all_of_them = bearable(people, situations, 10**9)
    assert (len(same), len(all_of_them)) == (20, 24)
    fewer, few = bearable(people, situations, 20_000)
    assert 0 < sum(one.weight for one in fewer) * len(few) <= 20_000
    one, now = bearable(people, situations, 1)
    assert (len(one), now) == (1, [(START, now[0][1])])


def test_situations_are_sampled_before_they_are_made() -> None:
    many = [terms(number, RANGES) for number in range(1, 5_000)]
    situations, is_all = situations_of(many, START, 24)
    assert (len(set(situations)), is_all) == (24, False)
    assert situations[0][0] == START
    assert situations_of(many[:1], START, 999)[1]
    assert evenly(range(10), 4) == [0, 2, 5, 7]


async def stage(world: World) -> tuple[Principal, list[ProposedChange]]:
    """An administrator, and changes that mean ten users, some things and several situations."""
    admin, alice = await world.principal("root", is_admin=True), await world.principal("alice")
    folder = await foldered(world, alice, "shared")
    for number in range(8):
        await world.principal(f"user{number}")
        await filed(world, alice, f"file{number}", folder_id=folder.id)
    return admin, [CreateRule(wish(SIGNED_IN, folder.id, ends_at=START + DAY, ip_ranges=("10.0.0.0/8",)))]


async def test_what_would_be_too_much_is_sampled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, changes = await stage(world)
    whole = await world.services.policies.preview(admin, changes)
    assert (whole.is_exact, whole.users_examined, whole.things_examined) == (True, 10, 9)
    monkeypatch.setattr(previews, "MAX_DECISIONS", 120)  # 10 x 9 x 6 situations x 1 permission x 2 are 1,080
    less = await world.services.policies.preview(admin, changes)
    assert (less.is_exact, less.users_total, less.things_total) == (False, 10, 9)
    assert 0 < less.users_examined * less.things_examined * 2 <= 120


async def test_rules_that_would_be_too_many_to_read_are_left_with_their_users(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, changes = await stage(world)
    user = await world.principal("user0")
    folder = changes[0].wish.resource if isinstance(changes[0], CreateRule) else ROOT
    await stocked(world, [(str(user.user_id), folder)] * 30)
    monkeypatch.setattr(compared_people, "MAX_RULES", 20)
    preview = await world.services.policies.preview(admin, changes)
    assert not preview.is_exact
    assert preview.users_examined < preview.users_total == 10


async def test_no_snapshot_is_open_while_it_is_computed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, changes = await stage(world)
    open_then: list[int] = []

    def watched(*arguments: Any) -> Any:
        open_then.append(world.database._engine.pool.checkedout())  # type: ignore[attr-defined]
        return lines_of(*arguments)

    monkeypatch.setattr(previews, "lines_of", watched)
    assert (await world.services.policies.preview(admin, changes)).lines
    assert open_then == [0]


async def test_few_are_computed_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, changes = await stage(world)
    together, lock, at_work, seen = Barrier(MAX_REHEARSALS), Lock(), Counter[str](), list[int]()

    def watched(*arguments: Any) -> Any:
        with lock:
            at_work["now"] += 1
            seen.append(at_work["now"])
        together.wait(timeout=60)  # as many as may are here
        with lock:
            at_work["now"] -= 1
        return lines_of(*arguments)

    monkeypatch.setattr(previews, "lines_of", watched)
    rehearsals = (world.services.policies.preview(admin, changes) for _ in range(2 * MAX_REHEARSALS))
    told: list[Preview] = await asyncio.gather(*rehearsals)
    assert all(preview.lines for preview in told)
    assert max(seen) == MAX_REHEARSALS
