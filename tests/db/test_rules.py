"""Rules in the database: what goes in comes out, a version guards it, and a rulebook has all that applies."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.db.rulebooks import MAX_SIBLINGS, chains_of, load_rulebook, load_rulebook_of, with_rules
from graphql_api.db.tables import FileRow, FolderRow, GroupMemberRow, GroupRow, UserRow
from graphql_api.errors import InvalidInput
from graphql_api.model.ids import (
    ROOT_FOLDER_ID,
    GroupId,
    RuleId,
    UserId,
    new_file_id,
    new_folder_id,
    new_group_id,
    new_rule_id,
    new_user_id,
)
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import (
    ANYONE,
    ROOT,
    SIGNED_IN,
    AccessRule,
    Effect,
    Obligations,
    RuleTerms,
    Scope,
    Subject,
    label_scope,
)
from tests.world import START

READ = frozenset({Permission.READ})


def rule(subject: str, resource: str, effect: Effect = Effect.ALLOW, **terms: Any) -> AccessRule:
    wanted = RuleTerms(effect, terms.pop("permissions", READ), Subject(subject), Scope(resource), **terms)
    return AccessRule(new_rule_id(START), wanted, 1, None, START, START)


async def add_user(database: Database, subject: str, claim_groups: str | None = None) -> UserId:
    user_id = new_user_id(START)
    async with database.transaction() as connection:
        await connection.execute(
            insert(UserRow).values(
                id=user_id,
                issuer="i",
                subject=subject,
                display_name=subject,
                claim_groups=claim_groups,
                created_at=START,
            )
        )
    return user_id


async def add_group(database: Database, name: str, claim: str | None, *members: UserId) -> GroupId:
    group_id = new_group_id(START)
    async with database.transaction() as connection:
        await connection.execute(
            insert(GroupRow).values(
                id=group_id, name=name, name_key=name, claim=claim, created_at=START, updated_at=START
            )
        )
        for member in members:
            await connection.execute(insert(GroupMemberRow).values(group_id=group_id, user_id=member))
    return group_id


async def add_folder(database: Database, parent_id: str = ROOT_FOLDER_ID) -> str:
    folder_id = new_folder_id(START)
    async with database.transaction() as connection:
        await connection.execute(
            insert(FolderRow).values(
                id=folder_id,
                parent_id=parent_id,
                name=folder_id,
                name_key=folder_id,
                created_at=START,
                updated_at=START,
            )
        )
    return folder_id


async def add_file(database: Database, folder_id: str, owner_id: UserId) -> str:
    file_id = new_file_id(START)
    async with database.transaction() as connection:
        await connection.execute(
            insert(FileRow).values(
                id=file_id,
                folder_id=folder_id,
                owner_id=owner_id,
                name=file_id,
                name_key=file_id,
                size=1,
                content_type="a/b",
                stored_content_type="a/b",
                object_key=file_id,
                created_at=START,
                updated_at=START,
            )
        )
    return file_id


async def insert_all(database: Database, *wanted: AccessRule) -> None:
    async with database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, wanted)


async def test_a_rule_comes_back_as_it_was_written(database: Database) -> None:
    maker = await add_user(database, "maker")
    plain = rule(ANYONE, ROOT)
    full = replace(
        rule(
            maker,
            label_scope("größe: 猫"),
            Effect.DENY,
            permissions=frozenset(Permission),
            starts_at=START,
            ends_at=START + timedelta(microseconds=1),
            ip_ranges=("10.0.0.0/8", "2001:db8::/32"),
            obligations=Obligations(timedelta(seconds=1), binds_ip=True, forces_download=True),
        ),
        made_by=maker,
        version=7,
    )
    await insert_all(database, plain, full)
    async with database.autocommit() as connection:
        found = await rules.find_rules(connection, [plain.id, full.id, RuleId("rule_absent")])
        assert found == {plain.id: plain, full.id: full}
        assert await rules.list_rules_on(connection, [full.terms.resource, "x"]) == [full]
        assert await rules.list_rules_about(connection, [ANYONE, maker]) == sorted(
            [plain, full], key=lambda one: one.id
        )
        assert await rules.count_rules_on(connection, ROOT) == 1


@pytest.mark.parametrize("permission", Permission)
def test_each_permission_has_its_bit(permission: Permission) -> None:
    assert rules.permissions_of(rules.mask_of([permission])) == {permission}
    assert rules.permissions_of(rules.mask_of(list(Permission))) == frozenset(Permission)


async def test_a_change_takes_place_only_over_the_version_it_was_made_for(database: Database) -> None:
    one = rule(ANYONE, ROOT)
    await insert_all(database, one)
    changed = replace(one, version=2, terms=replace(one.terms, subject=SIGNED_IN))
    async with database.transaction() as connection:
        assert not await rules.update_rule(connection, changed, expected_version=2)
        assert await rules.update_rule(connection, changed, expected_version=1)
        assert not await rules.update_rule(connection, replace(changed, version=3), expected_version=1)
        assert (await rules.find_rules(connection, [one.id]))[one.id] == changed
        await rules.delete_rules(connection, [one.id])
        assert not await rules.update_rule(connection, changed, expected_version=2)


async def test_changes_of_policy_happen_one_at_a_time(database: Database) -> None:
    async def change() -> None:
        async with database.transaction() as connection:
            await rules.bump_version(connection)
            assert rules.is_changing_policy(connection)

    async with database.autocommit() as connection:
        before = await rules.policy_version(connection)
        assert not rules.is_changing_policy(connection)
    await asyncio.gather(*(change() for _ in range(5)))
    async with database.autocommit() as connection:
        assert await rules.policy_version(connection) == before + 5
        assert not rules.is_changing_policy(connection)


async def test_a_new_folder_moves_the_version_on_only_where_a_denial_stands_on_one(database: Database) -> None:
    async def make() -> int:
        async with database.transaction() as connection:
            await rules.note_new_folder(connection)
        async with database.autocommit() as connection:
            return await rules.policy_version(connection)

    await insert_all(database, rule(ANYONE, ROOT), rule(ANYONE, label_scope("x"), Effect.DENY))
    before = await make()
    assert await make() == before
    await insert_all(database, rule(ANYONE, await add_folder(database), Effect.DENY))
    assert await make() == before + 2


async def test_pages_of_rules_are_the_newest_first(database: Database) -> None:
    made = [
        replace(rule(f"user_{number % 3}", f"folder_{number % 2}"), created_at=START + timedelta(seconds=number))
        for number in range(6)
    ]
    await insert_all(database, *made)
    async with database.autocommit() as connection:
        first = await rules.page_rules(connection, PageRequest(2))
        assert list(first.nodes) == [made[5], made[4]]
        rest = await rules.page_rules(connection, PageRequest(9, first.cursor_of(first.nodes[-1])))
        assert list(rest.nodes) == made[3::-1]


@pytest.mark.parametrize("is_backward", [False, True])
async def test_pages_among_the_nearest_rules_of_each_scope_are_those_among_all(
    database: Database, is_backward: bool
) -> None:
    made = [
        replace(rule(f"user_{number}", f"folder_{number % 7 % 3}"), created_at=START + timedelta(seconds=number // 2))
        for number in range(20)
    ]
    await insert_all(database, *made)
    there = [rule for rule in made if rule.terms.resource != "folder_2"]
    for size in (1, 3, 9, 99):
        request, walked = PageRequest(size, is_backward=is_backward), list[AccessRule]()
        while True:
            async with database.autocommit() as connection:
                near = await rules.list_nearest_on(connection, ["folder_0", "folder_1"], request)
            assert len(near) <= 2 * (size + 1)
            page = rules.page_among(near, request)
            assert page == replace(rules.page_among(there, request), cursor_of=page.cursor_of)
            walked += reversed(page.nodes) if is_backward else page.nodes
            if not (page.has_previous_page if is_backward else page.has_next_page):
                break
            request = replace(request, cursor=page.cursor_of(page.nodes[0 if is_backward else -1]))
        newest_first = sorted(there, key=lambda one: (one.created_at, one.id), reverse=True)
        assert walked == (newest_first[::-1] if is_backward else newest_first)
    with pytest.raises(InvalidInput):
        rules.page_among(there, PageRequest(9, "x"))


async def test_a_rulebook_has_the_rules_about_everybody_somebody_and_their_groups(database: Database) -> None:
    alice, bob = await add_user(database, "alice", '["staff"]'), await add_user(database, "bob")
    by_row = await add_group(database, "row", None, alice)
    by_claim = await add_group(database, "claim", "staff")
    other = await add_group(database, "other", "others", bob)
    subjects = [ANYONE, SIGNED_IN, alice, bob, by_row, by_claim, other]
    about = {subject: rule(subject, ROOT) for subject in subjects}
    await insert_all(database, *about.values())

    async def named(principal: Principal) -> set[str]:
        async with database.autocommit() as connection:
            return {one.terms.subject for one in (await load_rulebook(connection, principal)).rules}

    assert await named(ANONYMOUS) == {ANYONE}
    assert await named(Principal(alice)) == {ANYONE, SIGNED_IN, alice, by_row}
    assert await named(Principal(alice, groups=frozenset({"staff", "nothing"}))) == {
        ANYONE,
        SIGNED_IN,
        alice,
        by_row,
        by_claim,
    }
    assert await named(Principal(bob)) == {ANYONE, SIGNED_IN, bob, other}
    async with database.autocommit() as connection:
        assert (await load_rulebook_of(connection, alice)).groups == {by_row, by_claim}  # as the last token said
        assert {one.terms.subject for one in (await load_rulebook_of(connection, None)).rules} == {ANYONE}


async def test_a_rulebook_knows_where_what_it_names_stands(database: Database) -> None:
    alice = await add_user(database, "alice")
    top = await add_folder(database)
    middle = await add_folder(database, top)
    low = await add_folder(database, middle)
    beside = await add_folder(database, middle)
    file = await add_file(database, low, alice)
    async with database.autocommit() as connection:
        assert await chains_of(connection, {ROOT, low, file, "folder_absent", "file_absent", "label:x"}) == {
            ROOT: (ROOT,),
            low: (low, middle, top, ROOT),
            file: (file, low, middle, top, ROOT),
        }
        book = await load_rulebook(connection, Principal(alice))
        book = await with_rules(connection, book, [rule(alice, top), rule(alice, low, Effect.DENY)])
        assert {folder: set(below) for folder, below in book.children.items()} == {
            top: {middle},
            middle: {low, beside},
        }


async def test_a_folder_with_too_many_subfolders_is_not_opened(database: Database) -> None:
    alice = await add_user(database, "alice")
    top = await add_folder(database)
    low = await add_folder(database, await add_folder(database, top))
    async with database.transaction() as connection:
        await connection.execute(
            insert(FolderRow),
            [
                {
                    "id": new_folder_id(START),
                    "parent_id": top,
                    "name": "x",
                    "name_key": "x",
                    "created_at": START,
                    "updated_at": START,
                }
                for _ in range(MAX_SIBLINGS)
            ],
        )
        book = await load_rulebook(connection, Principal(alice))
        book = await with_rules(connection, book, [rule(alice, top), rule(alice, low, Effect.DENY)])
    assert top not in book.children
    assert len(book.children) == 1
