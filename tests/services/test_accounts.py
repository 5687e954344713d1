"""Users come into being with their first token; each gets one home."""

import asyncio
from dataclasses import replace

import orjson
from sqlalchemy import insert, select

from graphql_api.db.tables import FolderEntryRow, UserRow
from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.names import name_key, numbered_name
from graphql_api.model.principal import ANONYMOUS, Identity
from graphql_api.services.accounts import Accounts
from graphql_api.services.naming import HIGHEST_NUMBER
from tests.services.stories import foldered, home_of, statements
from tests.world import World

ALICE = Identity("https://issuer.test", "alice", "Alice", "alice@example.com", frozenset({"staff"}), is_admin=True)


async def home_name(world: World, identity: Identity) -> str:
    principal = await world.services.accounts.principal_of(identity)
    home = await home_of(world, principal)
    folder = (await world.services.folders.find(principal, [home]))[home]
    assert (folder.owner_id, folder.parent_id) == (principal.user_id, ROOT_FOLDER_ID)
    return folder.name


async def test_the_first_token_makes_user_and_home_and_the_next_finds_them(world: World) -> None:
    principal = await world.services.accounts.principal_of(ALICE)
    assert (principal.display_name, principal.groups, principal.is_admin) == ("Alice", frozenset({"staff"}), True)
    assert await home_name(world, ALICE) == "Alice"
    for accounts in (world.services.accounts, Accounts(world.database, world.clock, makes_homes=True)):
        assert await accounts.principal_of(ALICE) == principal
    stranger = await world.services.accounts.principal_of(replace(ALICE, issuer="https://other.test"))
    assert stranger.user_id != principal.user_id  # the same subject of another issuer is somebody else


async def test_a_role_belongs_to_the_token_and_not_to_the_user(world: World) -> None:
    admin = await world.services.accounts.principal_of(ALICE)
    plain = await world.services.accounts.principal_of(replace(ALICE, is_admin=False, groups=frozenset()))
    assert plain == replace(admin, is_admin=False, groups=frozenset())


async def test_what_the_token_says_now_is_taken_over(world: World) -> None:
    first = await world.services.accounts.principal_of(ALICE)
    changed = await world.services.accounts.principal_of(replace(ALICE, email="new@example.com", display_name="Alicia"))
    assert changed == replace(first, display_name="Alicia")
    async with world.database.autocommit() as connection:
        [row] = await connection.execute(select(UserRow.display_name, UserRow.email))
    assert tuple(row) == ("Alicia", "new@example.com")
    assert await home_name(world, replace(ALICE, display_name="Alicia")) == "Alice"


async def test_what_is_kept_of_the_groups_is_what_the_last_token_said(world: World) -> None:
    accounts = world.services.accounts
    for groups in (["a"], ["b"], ["a"], ["b"], ["a"]):
        await accounts.principal_of(replace(ALICE, groups=frozenset(groups)))
        async with world.database.autocommit() as connection:
            said = await connection.scalar(select(UserRow.claim_groups))
        assert orjson.loads(said or "") == groups


async def test_a_token_that_says_the_same_costs_no_statement(world: World) -> None:
    bob = replace(ALICE, subject="bob")
    first = [await world.services.accounts.principal_of(who) for who in (ALICE, bob)]
    with statements(world) as ran:
        for _ in range(2):
            assert [await world.services.accounts.principal_of(who) for who in (ALICE, bob)] == first
    assert ran == []


async def test_of_two_processes_each_writes_down_what_it_sees_a_minute_later_at_most(world: World) -> None:
    one, two = [Accounts(world.database, world.clock, makes_homes=True) for _ in range(2)]
    plain = replace(ALICE, is_admin=False, groups=frozenset())
    user, admin = await one.principal_of(plain), await two.principal_of(ALICE)
    assert user.user_id is not None
    world.clock.advance(seconds=59)
    await one.principal_of(plain)
    assert await one.recall(user.user_id) == admin
    world.clock.advance(seconds=1)
    await one.principal_of(plain)
    assert await one.recall(user.user_id) == await two.recall(user.user_id) == user


async def test_whom_the_settings_appoint_is_an_administrator_as_long_as_they_do(world: World) -> None:
    plain = replace(ALICE, is_admin=False)
    appointing = Accounts(world.database, world.clock, makes_homes=True, admins={(ALICE.issuer, ALICE.subject)})
    admin = await appointing.principal_of(plain)
    assert admin.is_admin
    assert admin.user_id is not None
    assert await appointing.recall(admin.user_id) == admin
    for others in ({("https://other.test", ALICE.subject)}, {(ALICE.issuer, "bob")}, ()):
        later = Accounts(world.database, world.clock, makes_homes=True, admins=others)
        assert await later.recall(admin.user_id) == replace(admin, is_admin=False)


async def test_tokens_at_once_that_differ_leave_nothing_stale(world: World) -> None:
    accounts, said = world.services.accounts, None
    one, two = (replace(ALICE, groups=frozenset({name})) for name in "ab")
    await accounts.principal_of(one)
    for _ in range(10):
        await asyncio.gather(accounts.principal_of(two), accounts.principal_of(one))
        await accounts.principal_of(two)
        async with world.database.autocommit() as connection:
            said = await connection.scalar(select(UserRow.claim_groups))
        assert said == '["b"]'


async def test_homes_of_one_name_are_numbered_and_bad_names_replaced(world: World) -> None:
    names = [
        await home_name(world, replace(ALICE, subject=f"{number}", display_name=name))
        for number, name in enumerate(
            ["Alice", "alice", "ALICE", "A/B", "..", "a\u202eb", "..", "", "x" * 300, "x" * 300, "猫/🐈"]
        )
    ]
    assert names == [
        "Alice",
        "alice (2)",
        "ALICE (3)",
        "A-B",
        "home",
        "home (2)",
        "home (3)",
        "home (4)",
        "x" * 255,
        "x" * 251 + " (2)",
        "猫-🐈",
    ]


async def test_a_home_that_was_deleted_stays_deleted_and_may_be_renamed_or_moved(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    home = await home_of(world, alice)
    await world.services.folders.rename(alice, home, "elsewhere")
    assert await home_of(world, alice) == home
    await world.services.folders.delete(alice, home)
    again = Accounts(world.database, world.clock, makes_homes=True)
    assert await again.principal_of(Identity("https://issuer.test", "alice", "Alice")) == alice
    assert await again.find_home(alice) is None
    assert await again.find_home(ANONYMOUS) is None
    assert await again.find_home(bob) is not None
    await foldered(world, bob, "still here")


async def test_homes_can_be_left_out(world: World) -> None:
    accounts = Accounts(world.database, world.clock, makes_homes=False)
    assert await accounts.find_home(await accounts.principal_of(ALICE)) is None


async def test_whoever_finds_all_numbered_names_taken_gets_a_home_all_the_same(world: World) -> None:
    names = ["Alice", *(numbered_name("Alice", number) for number in range(2, HIGHEST_NUMBER + 1))]
    async with world.database.transaction() as connection:
        rows = [
            {"folder_id": ROOT_FOLDER_ID, "name_key": name_key(name), "entry_id": f"file_{index}"}
            for index, name in enumerate(names)
        ]
        await connection.execute(insert(FolderEntryRow), rows)
    alice = await world.principal("alice")
    home = await world.services.accounts.find_home(alice)
    assert home is not None
    assert (await world.services.folders.find(alice, [home]))[home].name == alice.user_id
