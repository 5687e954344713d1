"""Nobody by rule can make that nobody is administrator by rule; who is one by token can, and remains one."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.db.tables import UserRow
from graphql_api.errors import Conflict
from graphql_api.model.group import Group
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import SIGNED_IN, AccessRule, Effect
from graphql_api.services.last_admin import EXAMINED_AT_ONCE, keeping_an_admin
from tests.services.society import ISSUER, Society, at_once, id_of, outcome
from tests.world import START

HOUR = timedelta(hours=1)


@pytest.fixture
def society(database: Database) -> Society:
    return Society(database)


async def delete(society: Society, principal: Principal, *doomed: AccessRule) -> None:
    """As a use case deletes rules."""
    async with society.database.transaction() as connection:
        await rules.bump_version(connection)
        standing = await society.standings.of(connection, principal)
        async with keeping_an_admin(connection, standing, society.clock()):
            await rules.delete_rules(connection, [rule.id for rule in doomed])


async def administrators(society: Society, root: Principal, *members: Principal, claim: str | None = None) -> Group:
    group = await society.groups.create(root, "Administrators", claim=claim)
    await society.groups.change_members(root, group.id, [id_of(member) for member in members], [])
    await society.rule(group.id, Permission.ADMINISTER)
    return group


async def test_the_last_member_cannot_leave_while_another_can(society: Society) -> None:
    root, ada, ben = [await society.principal(name, is_admin=name == "root") for name in ("root", "ada", "ben")]
    group = await administrators(society, root, ada, ben)
    await society.groups.change_members(ada, group.id, [], [id_of(ben)])
    before = await society.events()
    with pytest.raises(Conflict):
        await society.groups.change_members(ada, group.id, [], [id_of(ada)])
    assert await society.members(group) == {ada.user_id}
    assert await society.events() == before
    await society.groups.change_members(ada, group.id, [id_of(ben)], [id_of(ada)])  # handing over is fine
    assert await society.members(group) == {ben.user_id}
    await society.groups.change_members(root, group.id, [], [id_of(ben)])  # whose token says so stays one


async def test_two_administrators_cannot_remove_each_other_at_once(society: Society) -> None:
    root, ada, ben = [await society.principal(name, is_admin=name == "root") for name in ("root", "ada", "ben")]
    group = await administrators(society, root, ada, ben)
    for _ in range(5):
        results = await at_once(
            society.groups.change_members(ada, group.id, [], [id_of(ben)]),
            society.groups.change_members(ben, group.id, [], [id_of(ada)]),
        )
        assert sum(isinstance(result, Group) for result in results) == 1
        assert len(await society.members(group)) == 1
        await society.groups.change_members(root, group.id, [id_of(ada), id_of(ben)], [])


async def test_a_claim_counts_by_the_last_token_of_whoever_has_signed_in(society: Society) -> None:
    root, ada = await society.principal("root", is_admin=True), await society.principal("ada", groups=("ops",))
    group = await administrators(society, root, claim="ops")
    for claim in (None, "other", "op", ",", 'ops"'):
        assert isinstance(await outcome(society.groups.update(ada, group.id, claim=claim)), Conflict), claim
    await society.principal("ben", groups=("other", 'a"b', "per%cent", "%"))
    for claim in ("other", 'a"b', "per%cent"):
        await society.groups.update(root, group.id, claim="ops")
        assert isinstance(await outcome(society.groups.update(ada, group.id, claim=claim)), Group), claim


@pytest.mark.parametrize(
    "leave_someone",
    [
        lambda society, ben: society.rule(ben, Permission.ADMINISTER, ends_at=START + 1000 * HOUR),
        lambda society, ben: society.rule(ben, Permission.ADMINISTER, starts_at=START + HOUR),
        lambda society, ben: society.rule(ben, Permission.ADMINISTER, ip_ranges=("192.0.2.0/24",)),
        lambda society, ben: society.rule(ben, Permission.AUDIT, Permission.READ),
    ],
    ids=["for a time", "from later on", "from some addresses", "other permissions"],
)
async def test_who_administers_now_and_then_is_not_enough(
    society: Society, leave_someone: Callable[[Society, UserId], Awaitable[AccessRule]]
) -> None:
    ada, ben = await society.principal("ada"), await society.principal("ben")
    last = await society.rule(id_of(ada), Permission.ADMINISTER)
    await leave_someone(society, id_of(ben))
    with pytest.raises(Conflict):
        await delete(society, ada, last)
    await society.rule(id_of(ben), Permission.ADMINISTER, starts_at=START)
    await delete(society, ada, last)


@pytest.mark.parametrize("subject", ["themselves", "a group of theirs", SIGNED_IN])
@pytest.mark.parametrize(
    "terms", [{}, {"starts_at": START + HOUR}, {"ip_ranges": ("198.51.100.0/24",)}, {"ends_at": START + HOUR}], ids=repr
)
async def test_who_is_or_will_be_denied_is_not_enough(society: Society, subject: str, terms: dict[str, object]) -> None:
    root, ada, ben = [await society.principal(name, is_admin=name == "root") for name in ("root", "ada", "ben")]
    group = await society.groups.create(root, "Suspended")
    await society.groups.change_members(root, group.id, [id_of(ben)], [])
    first, _ = await society.rule(id_of(ada), Permission.ADMINISTER), await society.administrator("ben")
    async with society.database.autocommit() as connection:
        adas = await society.standings.of(connection, ada)
    named = {"themselves": str(id_of(ben)), "a group of theirs": group.id}.get(subject, subject)
    denial = await society.rule(named, Permission.ADMINISTER, effect=Effect.DENY, **terms)

    async def leave() -> None:
        async with society.database.transaction() as connection:
            await rules.bump_version(connection)
            await rules.delete_rules(connection, [denial.id])  # the change is to be this one alone
            async with keeping_an_admin(connection, adas, society.clock()):
                await rules.delete_rules(connection, [first.id])
                await rules.insert_rules(connection, [denial])

    with pytest.raises(Conflict):
        await leave()
    society.clock.advance(hours=1)
    assert isinstance(await outcome(leave()), Conflict) == ("ends_at" not in terms)


async def test_any_number_of_denied_and_of_others_who_look_alike_hide_nobody(society: Society) -> None:
    root, ada = await society.principal("root", is_admin=True), await society.principal("ada", groups=("ops",))
    group = await administrators(society, root, ada, claim="ops")
    other = await society.groups.create(root, "Other")
    suspended = await society.groups.create(root, "Suspended", claim="suspended")
    await society.rule(suspended.id, Permission.ADMINISTER, effect=Effect.DENY)
    crowd = [
        {
            "id": f"user_{number:026}",  # before everybody else
            "issuer": ISSUER,
            "subject": f"{number}",
            "display_name": "one of many",
            "claim_groups": '["ops","suspended"]' if number % 2 else '["OPS"]',
            "signed_in_at": START,
            "created_at": START,
        }
        for number in range(2 * EXAMINED_AT_ONCE + 1)
    ]
    async with society.database.transaction() as connection:
        await connection.execute(insert(UserRow), crowd)
    with pytest.raises(Conflict):  # none of these can do without ada
        await society.groups.change_members(ada, suspended.id, [id_of(ada)], [])
    ben = await society.principal("ben", groups=("ops",))
    await society.groups.update(ada, other.id, name="Others")
    await society.groups.change_members(ada, suspended.id, [id_of(ada)], [])
    assert await society.people.permissions(ben) >= {Permission.ADMINISTER}
    assert await society.members(group) == {ada.user_id}


async def test_somebody_who_never_signed_in_is_not_enough(society: Society) -> None:
    root, ada = await society.principal("root", is_admin=True), await society.principal("ada")
    last = await society.rule(id_of(ada), Permission.ADMINISTER)
    invited = await society.people.invite(root, email="typo@example.com")
    await society.rule(invited.id, Permission.ADMINISTER)
    group = await administrators(society, root)
    await society.groups.change_members(root, group.id, [invited.id], [])
    with pytest.raises(Conflict):
        await delete(society, ada, last)


async def test_where_nobody_was_administrator_for_good_nobody_has_to_be(society: Society) -> None:
    """Administrators by token can make one for a week, who must be able to work."""
    ada, ben = await society.principal("ada"), await society.principal("ben")
    temporary = await society.rule(id_of(ada), Permission.ADMINISTER, ends_at=START + HOUR)
    await society.groups.create(ada, "Staff")
    await delete(society, ada, temporary)
    shared = await society.rule(id_of(ada), Permission.READ)
    await delete(society, ben, shared)
