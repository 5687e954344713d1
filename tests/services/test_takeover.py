"""Who is known already takes over what waits for their address, as soon as a token brings it, verified."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from graphql_api.db import rules, users
from graphql_api.db.groups import list_joined
from graphql_api.db.tables import UserRow
from graphql_api.errors import InvalidInput
from graphql_api.model.audit import AuditAction
from graphql_api.model.group import Group
from graphql_api.model.ids import UserId, new_user_id
from graphql_api.model.principal import Identity, Permission, Principal
from graphql_api.model.rule import ROOT, AccessRule, Effect, Subject
from graphql_api.services.accounts import Accounts
from tests.services.rulefiles import faults, parsed, policy_files, rules_on
from tests.services.rulings import events, outcome, ruled, wish
from tests.services.stories import home_of
from tests.world import ISSUER, World

ADDRESS = "Ada@example.com"
SEEN = Identity(ISSUER, "ada", "Ada")  # before the address was verified
VERIFIED = replace(SEEN, email="ada@EXAMPLE.com")


async def signed_in(world: World, who: Identity) -> UserId:
    """As in a process that remembers nobody."""
    found = (await Accounts(world.database, world.clock, makes_homes=True).principal_of(who)).user_id
    assert found is not None
    return found


async def joined(world: World, user_id: UserId) -> set[str]:
    async with world.database.autocommit() as connection:
        return set(await list_joined(connection, user_id))


async def invited(world: World, admin: Principal, **by: str) -> UserId:
    return (await world.services.people.invite(admin, **by)).id


async def version(world: World) -> int:
    async with world.database.autocommit() as connection:
        return await rules.policy_version(connection)


@pytest.fixture
async def admin(world: World) -> Principal:
    return await world.principal("admin", is_admin=True)


async def grouped(world: World, admin: Principal, name: str, *members: UserId) -> Group:
    group = await world.services.groups.create(admin, name)
    return await world.services.groups.change_members(admin, group.id, members, [])


async def two_with_one_address(world: World, admin: Principal) -> tuple[UserId, UserId, AccessRule]:
    """As a process that took nothing over has left it: who is known, who was named, and a rule about the latter."""
    named = await invited(world, admin, email=ADDRESS)
    rule = await ruled(world, admin, wish(str(named), ROOT))
    ada = await signed_in(world, SEEN)
    async with world.database.transaction() as connection:
        said = {"email": VERIFIED.email, "email_key": "ada@example.com"}
        await connection.execute(update(UserRow).where(UserRow.id == ada).values(**said))
    return ada, named, rule


async def test_rules_and_memberships_move_to_who_was_known_and_each_is_audited(world: World, admin: Principal) -> None:
    ada = await signed_in(world, SEEN)
    named = await invited(world, admin, email=ADDRESS)
    allows = await ruled(world, admin, wish(str(named), ROOT, Permission.READ, Permission.AUDIT))
    denies = await ruled(world, admin, wish(str(named), "label:secret", deny=True))
    both = await grouped(world, admin, "both", ada, named)
    only = await grouped(world, admin, "only", named)
    before, told = await version(world), {event.id for event in await events(world, admin)}
    world.clock.advance(hours=1)

    assert await signed_in(world, VERIFIED) == ada
    for old in (allows, denies):
        [new] = [rule for rule in await rules_on(world, old.terms.resource) if rule.id == old.id]
        terms = replace(old.terms, subject=Subject(ada))
        assert new == replace(old, terms=terms, version=2, updated_at=world.clock())
    assert await joined(world, ada) == {both.id, only.id}
    assert await joined(world, named) == set()
    assert await version(world) == before + 1
    new_events = [event for event in await events(world, admin) if event.id not in told]
    assert {(event.action, event.target, event.actor_id) for event in new_events} == {
        (AuditAction.RULE_UPDATED, allows.id, None),
        (AuditAction.RULE_UPDATED, denies.id, None),
        (AuditAction.MEMBER_REMOVED, both.id, None),
        (AuditAction.MEMBER_REMOVED, only.id, None),
        (AuditAction.MEMBER_ADDED, only.id, None),
    }
    assert len(new_events) == 5
    [told_of] = [event for event in new_events if event.target == allows.id]
    assert told_of.before is not None
    assert told_of.after is not None
    assert (told_of.before["subject"], told_of.after["subject"]) == (named, ada)


async def test_what_was_taken_over_counts_at_once_and_the_address_names_who_took_it(
    world: World, admin: Principal
) -> None:
    ada = await world.services.accounts.principal_of(SEEN)
    named = await invited(world, admin, email=ADDRESS)
    await ruled(world, admin, wish(str(named), ROOT, Permission.AUDIT))
    assert await world.services.people.permissions(ada) == set()
    assert await world.services.accounts.principal_of(VERIFIED) == ada
    assert await world.services.people.permissions(ada) == {Permission.AUDIT}
    found = await world.services.people.find_by(admin, email=ADDRESS)
    assert found is not None
    assert found.id == ada.user_id
    assert await invited(world, admin, email=ADDRESS) == ada.user_id
    left = (await world.services.people.find(admin, [named]))[named]  # the log names them still
    assert (left.email, left.has_signed_in) == (None, False)


async def test_a_rule_that_would_be_there_twice_goes(world: World, admin: Principal) -> None:
    ada = await signed_in(world, SEEN)
    named = await invited(world, admin, email=ADDRESS)
    has = await ruled(world, admin, wish(str(ada), ROOT))
    double = await ruled(world, admin, wish(str(named), ROOT))
    other = await ruled(world, admin, wish(str(named), ROOT, Permission.WRITE))
    await signed_in(world, VERIFIED)
    assert {str(rule.id): str(rule.terms.subject) for rule in await rules_on(world, ROOT)} == {
        has.id: ada,
        other.id: ada,
    }
    [gone] = await events(world, admin, actions=(AuditAction.RULE_DELETED,))
    assert (gone.target, gone.actor_id, gone.resource) == (double.id, None, ROOT)


async def test_whose_address_was_not_kept_before_an_upgrade_takes_over_too(world: World, admin: Principal) -> None:
    ada = await signed_in(world, VERIFIED)
    async with world.database.transaction() as connection:
        await connection.execute(update(UserRow).values(email_key=None, claim_groups=None))
    named = await invited(world, admin, email=ADDRESS)
    assert named != ada
    await ruled(world, admin, wish(str(named), ROOT))
    assert await signed_in(world, VERIFIED) == ada
    assert [str(rule.terms.subject) for rule in await rules_on(world, ROOT)] == [ada]


async def test_who_was_named_by_subject_and_by_address_is_one(world: World, admin: Principal) -> None:
    by_subject = await invited(world, admin, subject="ada")
    by_email = await invited(world, admin, email=ADDRESS)
    for number, named in enumerate((by_subject, by_email)):
        await ruled(world, admin, wish(str(named), f"label:{number}"))
        await grouped(world, admin, f"{number}", named)
    assert await signed_in(world, VERIFIED) == by_subject
    for number in range(2):
        assert [str(rule.terms.subject) for rule in await rules_on(world, f"label:{number}")] == [by_subject]
    assert len(await joined(world, by_subject)) == 2
    found = await world.services.people.find_by(admin, email=ADDRESS)
    assert found is not None
    assert found.id == by_subject


@pytest.mark.parametrize(
    "who",
    [
        replace(SEEN, display_name="Ada L."),
        replace(SEEN, email="ada@example.org"),
        replace(VERIFIED, issuer="https://other.test"),
    ],
    ids=["no address", "another address", "another issuer"],
)
async def test_who_does_not_bring_the_address_takes_nothing(world: World, admin: Principal, who: Identity) -> None:
    await signed_in(world, replace(who, email=None))
    named = await invited(world, admin, email=ADDRESS)
    rule = await ruled(world, admin, wish(str(named), ROOT))
    await signed_in(world, who)
    assert await rules_on(world, ROOT) == [rule]


async def test_what_somebody_has_signed_in_for_is_theirs(world: World, admin: Principal) -> None:
    eve = await signed_in(world, replace(SEEN, subject="eve"))
    named = await invited(world, admin, email=ADDRESS)
    rule = await ruled(world, admin, wish(str(named), ROOT))
    assert await signed_in(world, VERIFIED) == named
    assert await signed_in(world, replace(VERIFIED, subject="eve")) == eve
    assert await rules_on(world, ROOT) == [rule]


async def test_the_id_of_who_was_named_cannot_be_given_anything_any_more(world: World, admin: Principal) -> None:
    await signed_in(world, SEEN)
    named = await invited(world, admin, email=ADDRESS)
    group = await grouped(world, admin, "group")
    await signed_in(world, VERIFIED)
    with pytest.raises(InvalidInput, match="no such user"):
        await ruled(world, admin, wish(str(named), ROOT))
    with pytest.raises(InvalidInput, match="no such user"):
        await world.services.groups.change_members(admin, group.id, [named], [])
    assert await faults(world, f"groups: [{{name: g, members: [{{id: {named}}}]}}]") == [
        "2: groups[0].members[0]: there is no user with this id"
    ]


async def test_an_address_names_who_has_signed_in_before_who_has_not(world: World, admin: Principal) -> None:
    ada, named, rule = await two_with_one_address(world, admin)
    found = await world.services.people.find_by(admin, email=ADDRESS)
    assert found is not None
    assert found.id == ada
    files = policy_files(world)
    file = parsed("groups: [{name: g, members: [ada@example.com]}]")
    await files.apply(file, (await files.plan(file)).id)
    assert len(await joined(world, ada)) == 1
    [section] = (await files.export()).sections
    assert {str(it.to) for it in section.rules} == {f"id {named}"}
    assert await signed_in(world, VERIFIED) == ada  # which settles it
    [moved] = await rules_on(world, ROOT)
    assert (moved.id, str(moved.terms.subject)) == (rule.id, ada)


async def test_requests_at_once_take_over_once(world: World, admin: Principal) -> None:
    for number in range(5):
        seen = Identity(ISSUER, f"user{number}", f"User {number}")
        known = await signed_in(world, seen)
        verified = replace(seen, email=f"user{number}@example.com")
        named = await invited(world, admin, email=f"user{number}@example.com")
        rule = await ruled(world, admin, wish(str(named), f"label:{number}"))
        group = await grouped(world, admin, f"group {number}", named)
        before = await version(world)
        assert await asyncio.gather(*(signed_in(world, verified) for _ in range(4))) == [known] * 4
        [moved] = await rules_on(world, f"label:{number}")
        assert (str(moved.terms.subject), moved.version) == (known, 2)
        assert await joined(world, known) == {group.id}
        assert await version(world) == before + 1
        assert len(await events(world, admin, resource_id=rule.id)) == 2


async def test_who_is_being_named_is_waited_for(world: World) -> None:
    ada = await signed_in(world, SEEN)
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        arrival = asyncio.create_task(signed_in(world, VERIFIED))
        await asyncio.sleep(0.05)
        now = world.clock()
        named = await users.find_or_invite(connection, new_user_id(now), issuer=ISSUER, email=ADDRESS, now=now)
    assert named.id != ada
    assert await arrival == ada
    async with world.database.autocommit() as connection:
        keys = await connection.execute(select(UserRow.email_key).where(UserRow.id == named.id))
        assert keys.scalar_one() is None


async def test_naming_and_arriving_at_once_leave_one_user_with_the_address(world: World, admin: Principal) -> None:
    for number in range(10):
        seen = Identity(ISSUER, f"user{number}", f"User {number}")
        known, address = await signed_in(world, seen), f"user{number}@example.com"
        wished = outcome(world.services.people.invite(admin, email=address))
        await asyncio.gather(wished, signed_in(world, replace(seen, email=address)))
        assert await invited(world, admin, email=address) == known


async def test_the_home_stays_what_it_was(world: World, admin: Principal) -> None:
    ada = await world.services.accounts.principal_of(SEEN)
    home = await home_of(world, ada)
    await invited(world, admin, email=ADDRESS)
    assert await world.services.accounts.principal_of(VERIFIED) == ada
    assert await home_of(world, ada) == home
    [rule] = await rules_on(world, home)
    assert (rule.terms.effect, str(rule.terms.subject), rule.version) == (Effect.ALLOW, ada.user_id, 1)
