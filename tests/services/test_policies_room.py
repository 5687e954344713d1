"""Nobody makes everybody slow: rules about one subject, and about everybody, are bounded."""

from datetime import timedelta

from sqlalchemy import func, select

from graphql_api.db.tables import UserRow
from graphql_api.model.rule import (
    ANYONE,
    MAX_RULES_ABOUT_EVERYBODY,
    MAX_RULES_ABOUT_SUBJECT,
    MAX_SHARED_WITH_EVERYBODY,
    SIGNED_IN,
    Scope,
)
from graphql_api.model.rule_change import CreateRule, DeleteRule, Invitee, ProposedChange, UpdateRule
from graphql_api.services.rule_json import tag_of
from graphql_api.services.rule_subjects import MAX_NEWCOMERS
from tests.services.rulings import refusal, ruled, stocked, wish
from tests.services.stories import filed, foldered
from tests.world import START, World

DAY = timedelta(days=1)
FULL = ("INVALID", ("subject",))


async def test_there_is_room_for_two_thousand_rules_about_everybody(world: World) -> None:
    admin, bob = await world.principal("root", is_admin=True), await world.principal("bob")
    folder, policies = await foldered(world, admin, "shared"), world.services.policies
    subjects = [(ANYONE, SIGNED_IN)[number % 2] for number in range(MAX_RULES_ABOUT_EVERYBODY - 1)]
    (one, other, *_) = await stocked(world, [(subject, f"label:{at}") for at, subject in enumerate(subjects)])
    last = await ruled(world, admin, wish(SIGNED_IN, folder.id))
    own = await ruled(world, admin, wish(bob, folder.id))
    another = wish(ANYONE, folder.id)
    assert await refusal(policies.create(admin, another)) == FULL
    assert await refusal(policies.preview(admin, [CreateRule(another)])) == ("INVALID", ("changes", "0", "subject"))
    assert await refusal(policies.update(admin, own.id, 1, {"subject": ANYONE})) == FULL
    tag = tag_of([last, own])
    wishes = [wish(SIGNED_IN, folder.id), wish(bob, folder.id), another]
    assert await refusal(policies.replace(admin, Scope(folder.id), tag, wishes)) == (
        "INVALID",
        ("rules", "2", "subject"),
    )
    twice: list[ProposedChange] = [DeleteRule(one.id, 1), CreateRule(another), CreateRule(wish(SIGNED_IN, "label:x"))]
    assert await refusal(policies.apply(admin, twice)) == ("INVALID", ("changes", "2", "subject"))
    await policies.update(admin, other.id, 1, {"subject": ANYONE, "ends_at": START + DAY})  # in its place there is room
    await policies.apply(admin, twice[:2])
    await ruled(world, admin, wish(bob, "label:x"))


async def test_who_is_no_administrator_shares_little_with_everybody(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    folder, policies = await foldered(world, alice, "shared"), world.services.policies
    mine = await stocked(world, [(ANYONE, f"label:{at}") for at in range(MAX_SHARED_WITH_EVERYBODY - 1)], alice)
    (systems,) = await stocked(world, [(str(bob.user_id), folder.id)])
    await ruled(world, alice, wish(SIGNED_IN, folder.id))
    await ruled(world, bob, wish(ANYONE, (await filed(world, bob)).id))
    of_admin = await ruled(world, admin, wish(ANYONE, folder.id))
    another = wish(ANYONE, (await filed(world, alice)).id)
    assert await refusal(policies.create(alice, another)) == FULL
    widened = UpdateRule(systems.id, 1, {"subject": SIGNED_IN, "ends_at": START + DAY})
    assert await refusal(policies.apply(alice, [widened])) == ("INVALID", ("changes", "0", "subject"))
    taken_over: list[ProposedChange] = [DeleteRule(of_admin.id, 1), CreateRule(wish(ANYONE, folder.id))]
    assert await refusal(policies.apply(alice, taken_over)) == ("INVALID", ("changes", "1", "subject"))
    await policies.delete(admin, mine[0].id, 1)
    (changed,) = await policies.apply(alice, [widened])
    assert changed.rule is not None
    assert changed.rule.made_by == alice.user_id
    assert await refusal(policies.create(alice, another)) == FULL
    await ruled(world, admin, another)


async def test_there_is_room_for_ten_thousand_rules_about_one_user_or_group(world: World) -> None:
    admin, bob = await world.principal("root", is_admin=True), await world.principal("bob")  # with a rule on a home
    group, policies = await world.services.groups.create(admin, "staff"), world.services.policies
    for subject, there in ((str(bob.user_id), 1), (str(group.id), 0)):
        labels = [f"label:{at}" for at in range(MAX_RULES_ABOUT_SUBJECT - there)]
        (one, *_) = await stocked(world, [(subject, label) for label in labels])
        assert await refusal(policies.create(admin, wish(subject, "label:x"))) == FULL
        elsewhere = await ruled(world, admin, wish(admin, f"label:{there}", ends_at=START + DAY))
        assert await refusal(policies.update(admin, elsewhere.id, 1, {"subject": subject})) == FULL
        await policies.update(admin, one.id, 1, {"ends_at": START + DAY})
        await policies.apply(admin, [DeleteRule(one.id, 2), CreateRule(wish(subject, "label:x"))])


async def test_who_is_no_administrator_names_few_who_are_not_known(world: World) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    folder, policies = await foldered(world, alice, "shared"), world.services.policies

    async def users() -> int:
        async with world.database.autocommit() as connection:
            return await connection.scalar(select(func.count()).select_from(UserRow)) or 0

    before = await users()
    new = [wish(Invitee(email=f"new{number}@example.test"), folder.id) for number in range(MAX_NEWCOMERS + 1)]
    refused = ("INVALID", ("rules", str(MAX_NEWCOMERS), "subject"))
    assert await refusal(policies.replace(alice, Scope(folder.id), tag_of([]), new)) == refused
    assert await users() == before
    made = await policies.replace(alice, Scope(folder.id), tag_of([]), new[:-1])
    more = await policies.replace(alice, Scope(folder.id), tag_of(made.rules), new)  # all but one are known by now
    assert await users() == before + MAX_NEWCOMERS + 1
    newer = [wish(Invitee(subject=f"newer{number}"), folder.id) for number in range(MAX_NEWCOMERS + 1)]
    await policies.replace(admin, Scope(folder.id), tag_of(more.rules), newer)
    assert await users() == before + 2 * (MAX_NEWCOMERS + 1)
