"""What is remembered of the policy: nothing that has changed, and no more than fits."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.errors import NotFound
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, AccessRule, Effect
from graphql_api.services.standings import Standings
from tests.db.test_rules import add_group, add_user, insert_all, rule
from tests.world import Clock

EVERYTHING = frozenset({ROOT})


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Asking:
    """Asks again and again, counting the statements it takes."""

    def __init__(self, database: Database, clock: Clock, **limits: Any) -> None:
        self.database = database
        self.standings = Standings(clock, **limits)
        self.statements = 0
        event.listen(database._engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, *_arguments: Any) -> None:
        self.statements += 1

    async def reads(self, principal: Principal = ANONYMOUS) -> bool:
        async with self.database.autocommit() as connection:
            self.statements = 0
            return (await self.standings.of(connection, principal)).may(Permission.READ, EVERYTHING)


async def test_what_is_remembered_costs_one_statement_until_the_policy_changes(
    database: Database, clock: Clock
) -> None:
    asking = Asking(database, clock)
    assert not await asking.reads()
    assert not await asking.reads()
    assert asking.statements == 1
    await insert_all(database, rule(ANYONE, ROOT))
    assert await asking.reads()
    assert asking.statements > 1
    assert await asking.reads()
    assert asking.statements == 1


async def test_a_rule_begins_and_ends_on_the_instant_without_a_change(database: Database, clock: Clock) -> None:
    asking = Asking(database, clock)
    begins, ends = clock.now + timedelta(seconds=10), clock.now + timedelta(seconds=20)
    await insert_all(database, rule(ANYONE, ROOT, starts_at=begins, ends_at=ends))
    seen = []
    for _ in range(21):
        seen.append(await asking.reads())
        clock.advance(seconds=1)
    assert seen == [False] * 10 + [True] * 10 + [False]


async def test_a_clock_that_is_set_back_brings_back_what_was(database: Database, clock: Clock) -> None:
    asking = Asking(database, clock)
    await insert_all(database, rule(ANYONE, ROOT, ends_at=clock.now + timedelta(seconds=10)))
    clock.advance(seconds=10)
    assert not await asking.reads()
    clock.advance(seconds=-1)
    assert await asking.reads()


async def test_the_address_counts_where_a_rule_has_a_condition_on_it(database: Database, clock: Clock) -> None:
    asking = Asking(database, clock)
    await insert_all(database, rule(ANYONE, ROOT, ip_ranges=("192.0.2.0/24",)))
    for address, expected in (("192.0.2.9", True), ("192.0.3.9", False), ("192.0.2.10", True), ("2001:db8::1", False)):
        assert await asking.reads(replace(ANONYMOUS, address=ip_address(address))) is expected
    assert not await asking.reads()  # from nowhere that is known


async def test_a_denial_that_is_rolled_back_was_never_remembered(database: Database, clock: Clock) -> None:
    asking = Asking(database, clock)
    await insert_all(database, rule(ANYONE, ROOT))
    assert await asking.reads()

    class Changed(Exception):
        pass

    async def change_and_fail(denial: AccessRule) -> None:
        async with database.transaction() as connection:
            await rules.bump_version(connection)
            await rules.insert_rules(connection, [denial])
            standing = await asking.standings.of(connection, ANONYMOUS)
            assert not standing.may(Permission.READ, EVERYTHING)
            raise Changed

    with pytest.raises(Changed):
        await change_and_fail(rule(ANYONE, ROOT, Effect.DENY))
    await insert_all(database)  # the same number of changes, but another one
    assert await asking.reads()


async def test_what_was_read_before_a_change_in_its_own_transaction_is_not_remembered(
    database: Database, clock: Clock
) -> None:
    asking = Asking(database, clock)
    async with database.transaction() as connection:
        await rules.bump_version(connection)
        assert not (await asking.standings.of(connection, ANONYMOUS)).may(Permission.READ, EVERYTHING)
        await rules.insert_rules(connection, [rule(ANYONE, ROOT)])
    assert await asking.reads()


async def test_what_a_transaction_has_so_far_is_neither_recalled_nor_remembered(
    database: Database, clock: Clock
) -> None:
    asking = Asking(database, clock)
    denial = rule(ANYONE, ROOT, effect=Effect.DENY)
    await insert_all(database, rule(ANYONE, ROOT), denial)

    async def undo() -> None:
        async with database.transaction() as connection:
            await rules.delete_rules(connection, [denial.id])
            standing = await asking.standings.of_anonymous_here(connection)
            assert standing.may(Permission.READ, EVERYTHING)
            raise NotFound("undone")

    for _ in range(2):  # nothing is remembered at first, then what was asked in between
        with pytest.raises(NotFound):
            await undo()
        assert not await asking.reads()


async def test_the_same_person_with_other_groups_is_somebody_else(database: Database, clock: Clock) -> None:
    asking = Asking(database, clock)
    alice = await add_user(database, "alice")
    await insert_all(database, rule(await add_group(database, "staff", "staff"), ROOT))
    assert not await asking.reads(Principal(alice))
    assert await asking.reads(Principal(alice, groups=frozenset({"staff"})))
    assert not await asking.reads(Principal(alice))
    assert await asking.reads(Principal(alice, is_admin=True))
    assert not await asking.reads(Principal(alice))


async def test_no_more_is_remembered_than_fits(database: Database, clock: Clock) -> None:
    users = [await add_user(database, f"user {number}") for number in range(5)]
    await insert_all(database, *(rule(user, ROOT) for user in users))
    asking = Asking(database, clock, max_remembered=7)
    for _ in range(2):
        for user in users:
            assert await asking.reads(Principal(user))
            assert asking.standings.weight <= 7
    assert await asking.reads(Principal(users[-1]))
    assert asking.statements == 1  # the newest are kept
    assert await asking.reads(Principal(users[0]))
    assert asking.statements > 1
