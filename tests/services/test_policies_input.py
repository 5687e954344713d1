"""What is no rule, or one too many, is refused and told where."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from graphql_api.db.tables import AccessRuleRow, UserRow
from graphql_api.errors import Conflict, DeliveryError, InvalidInput
from graphql_api.model.ids import (
    ROOT_FOLDER_ID,
    new_file_id,
    new_folder_id,
    new_group_id,
    new_user_id,
)
from graphql_api.model.principal import ANONYMOUS, Permission
from graphql_api.model.rule import (
    ANYONE,
    MAX_RULES_ON_RESOURCE,
    ROOT,
    SIGNED_IN,
    Effect,
    Scope,
    Subject,
)
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    Invitee,
)
from graphql_api.services.rule_json import tag_of
from tests.services.rulings import outcome, refusal, ruled, stocked, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE
AUDIT, ADMINISTER = Permission.AUDIT, Permission.ADMINISTER
DAY = timedelta(days=1)


async def count(world: World, row: type[AccessRuleRow | UserRow]) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(row)) or 0


BAD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"permissions": frozenset()}, ("permissions",)),
    ({"subject": Subject("nobody")}, ("subject",)),
    ({"subject": Subject("user_short")}, ("subject",)),
    ({"subject": Subject("folder_" + "0" * 26)}, ("subject",)),
    ({"subject": Subject(new_user_id(START))}, ("subject",)),
    ({"subject": Subject(new_group_id(START))}, ("subject",)),
    ({"subject": Invitee()}, ("subject",)),
    ({"subject": Invitee(email="a@b.test", subject="a")}, ("subject",)),
    ({"subject": Invitee(email="no address")}, ("subject", "email")),
    ({"subject": Invitee(subject="\x01x")}, ("subject", "tokenSubject")),
    ({"resource": Scope("everything")}, ("resource",)),
    ({"resource": Scope("label:")}, ("resource",)),
    ({"resource": Scope("label:" + "x" * 65)}, ("resource",)),
    ({"resource": Scope(new_user_id(START))}, ("resource",)),
    ({"starts_at": START + DAY, "ends_at": START + DAY}, ("endsAt",)),
    ({"starts_at": START + 2 * DAY, "ends_at": START + DAY}, ("endsAt",)),
    ({"ends_at": START}, ("endsAt",)),
    ({"starts_at": START.replace(tzinfo=None)}, ("startsAt",)),
    *(
        ({"ip_ranges": (text,)}, ("ipRanges", "0"))
        for text in (
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0",
            "010.0.0.1",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "2001:db8::1/32",
            "fe80::%eth0/64",
            "::/129",
            " 10.0.0.0/8",
            "here",
            "١٠.0.0.0/8",
        )
    ),
    ({"ip_ranges": ("::ffff:10.0.0.0/104",)}, ("ipRanges",)),
    ({"ip_ranges": tuple(f"10.0.0.{number}" for number in range(51))}, ("ipRanges",)),
    ({"max_lifetime": timedelta()}, ("obligations", "maxLifetime")),
    ({"max_lifetime": timedelta(days=366)}, ("obligations", "maxLifetime")),
    ({"max_lifetime": timedelta(seconds=1.5)}, ("obligations", "maxLifetime")),
    ({"binds_ip": True, "permissions": frozenset({WRITE})}, ("obligations",)),
    ({"forces_download": True, "effect": Effect.DENY}, ("obligations",)),
    ({"permissions": frozenset({AUDIT})}, ("permissions",)),
    ({"permissions": frozenset({READ, ADMINISTER})}, ("permissions",)),
    ({"subject": ANYONE, "permissions": frozenset({READ, WRITE})}, ("permissions",)),
    ({"subject": ANYONE, "permissions": frozenset({SHARE})}, ("permissions",)),
    ({"subject": SIGNED_IN, "permissions": frozenset({ADMINISTER}), "resource": ROOT}, ("permissions",)),
    (
        {"subject": ANYONE, "permissions": frozenset({ADMINISTER}), "resource": ROOT, "effect": Effect.DENY},
        ("permissions",),
    ),
]


async def test_what_is_no_rule_is_refused_where_it_is_wrong(sqlite_world: World) -> None:
    world = sqlite_world
    admin = await world.principal("root", is_admin=True)
    home = await home_of(world, admin)
    rule = await ruled(world, admin, wish(admin, home, WRITE))
    before = await count(world, AccessRuleRow)
    for changes, path in BAD:
        good = {"effect": Effect.ALLOW, "permissions": frozenset({READ}), "subject": SIGNED_IN, "resource": home}
        wanted = wish(SIGNED_IN, home)
        error = await outcome(world.services.policies.create(admin, replace(wanted, **changes)))
        assert isinstance(error, InvalidInput), (changes, error)
        assert error.path == path, changes
        changed = await outcome(world.services.policies.update(admin, rule.id, 1, good | changes))
        assert isinstance(changed, InvalidInput), (changes, changed)
        assert changed.path == path, changes
    assert await count(world, AccessRuleRow) == before


async def test_all_faults_are_told_at_once(sqlite_world: World) -> None:
    admin = await sqlite_world.principal("root", is_admin=True)
    wanted = wish(Invitee(email="?"), "nowhere", ip_ranges=("?", "10.0.0.0/8", "!"), ends_at=START - DAY, deny=True)
    error = await outcome(sqlite_world.services.policies.create(admin, wanted))
    assert isinstance(error, InvalidInput)
    assert [fault.path for fault in error.faults] == [
        ("subject", "email"),
        ("resource",),
        ("ipRanges", "0"),
        ("ipRanges", "2"),
    ]


async def test_absent_and_hidden_resources_are_refused_alike(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    hidden, file = await foldered(world, alice, "plans"), await filed(world, alice)
    for resource in (new_folder_id(START), new_file_id(START), hidden.id, file.id, ROOT_FOLDER_ID):
        for asker in (bob, ANONYMOUS):
            error = await outcome(world.services.policies.create(asker, wish(bob, resource)))
            assert isinstance(error, DeliveryError)
            assert (error.code, error.message, error.path) == ("NOT_FOUND", "no such file or folder", ("resource",))
    assert await refusal(world.services.policies.create(bob, wish(bob, "label:x"))) == ("FORBIDDEN", ("resource",))


async def test_the_same_rule_is_not_made_twice(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id, READ, WRITE, ip_ranges=("10.0.0.0/8", "9.0.0.1")))
    same = wish(bob, file.id, WRITE, READ, ip_ranges=("9.0.0.1/32", "10.0.0.0/8", "9.0.0.1"))
    error = await outcome(world.services.policies.create(alice, same))
    assert isinstance(error, Conflict)
    assert error.conflicting_id == rule.id
    other = await ruled(world, alice, wish(bob, file.id))
    changes = {"permissions": frozenset({READ, WRITE}), "ip_ranges": ("10.0.0.0/8", "9.0.0.1")}
    error = await outcome(world.services.policies.update(alice, other.id, 1, changes))
    assert isinstance(error, Conflict)
    assert error.conflicting_id == rule.id


async def test_a_replacement_tells_where_it_is_wrong(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder, other = await foldered(world, alice, "one"), await foldered(world, alice, "two")
    replace_rules, tag = world.services.policies.replace, tag_of([])
    good = wish(bob, folder.id)
    for wishes, refused in (
        ([good, good], ("CONFLICT", ("rules", "1"))),
        ([good, wish(bob, other.id)], ("INVALID", ("rules", "1", "resource"))),
        ([good, wish(new_user_id(START), folder.id)], ("INVALID", ("rules", "1", "subject"))),
        ([good, wish(bob, folder.id, ends_at=START - DAY)], ("INVALID", ("rules", "1", "endsAt"))),
        ([good, wish(bob, folder.id, AUDIT)], ("INVALID", ("rules", "1", "permissions"))),
    ):
        assert await refusal(replace_rules(alice, Scope(folder.id), tag, wishes)) == refused
    assert await refusal(replace_rules(alice, Scope(new_folder_id(START)), tag, [])) == ("NOT_FOUND", ("resource",))
    assert await refusal(replace_rules(bob, Scope(folder.id), tag, [])) == ("NOT_FOUND", ("resource",))
    await ruled(world, alice, good)  # who may not share is not told whether the tag is right
    assert await refusal(replace_rules(bob, Scope(folder.id), tag, [])) == (
        "FORBIDDEN",
        ("resource",),
    )


async def test_a_resource_has_room_for_ten_thousand_rules(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    folder = await foldered(world, admin, "crowded")
    resource = Scope(folder.id)
    policies = world.services.policies
    too_many = [wish(admin, folder.id)] * (MAX_RULES_ON_RESOURCE + 1)
    assert await refusal(policies.replace(admin, resource, tag_of([]), too_many)) == ("INVALID", ("rules",))
    subjects = [new_user_id(START) for _ in range(MAX_RULES_ON_RESOURCE - 1)]
    await stocked(world, [(subject, resource) for subject in subjects])
    last = await ruled(world, admin, wish(admin, folder.id, ends_at=START + DAY))
    another = wish(admin, folder.id, ends_at=START + 2 * DAY)
    assert await refusal(policies.create(admin, another)) == ("INVALID", ("resource",))
    elsewhere = await ruled(world, admin, wish(admin, "label:x"))
    moved = {"resource": resource, "ends_at": START + 3 * DAY}
    assert await refusal(policies.update(admin, elsewhere.id, 1, moved)) == ("INVALID", ("resource",))
    changed = await policies.update(admin, last.id, 1, {"ends_at": START + 2 * DAY})
    assert changed.rule is not None  # in its place there is room
    one_goes = DeleteRule(last.id, 2)
    two_come = [CreateRule(wish(ANYONE, folder.id)), CreateRule(wish(admin, folder.id))]
    assert await refusal(policies.apply(admin, [one_goes, *two_come])) == ("INVALID", ("changes", "2", "resource"))
