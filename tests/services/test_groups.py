"""Groups are changed by administrators, one change at a time, and seen by who is in them."""

import asyncio

import pytest
from sqlalchemy import func, select

from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.db.tables import GroupMemberRow, PolicyStateRow
from graphql_api.errors import Conflict, Forbidden, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction
from graphql_api.model.ids import GroupId, UserId, new_rule_id, well_formed
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ROOT, AccessRule, Effect, RuleTerms, Subject
from tests.services.society import Society, at_once, id_of, outcome
from tests.world import START

NOWHERE = GroupId(well_formed("", "group_"))
NOBODY = UserId(well_formed("", "user_"))


@pytest.fixture
def society(database: Database) -> Society:
    return Society(database)


async def version(society: Society) -> int:
    async with society.database.autocommit() as connection:
        return await connection.scalar(select(PolicyStateRow.version)) or 0


async def test_a_group_is_made_renamed_filled_and_deleted_and_the_log_tells_it(society: Society) -> None:
    admin, ada = await society.principal("admin", is_admin=True), await society.principal("ada")
    made = await society.groups.create(admin, "Staff", claim="staff")
    society.clock.advance(seconds=1)
    renamed = await society.groups.update(admin, made.id, name="Everyone", claim=None)
    assert (renamed.name, renamed.claim, renamed.updated_at) == ("Everyone", None, society.clock.now)
    assert await society.groups.find(admin, [made.id]) == {made.id: renamed}
    society.clock.advance(seconds=1)
    assert await society.groups.change_members(admin, made.id, [id_of(ada)], []) == renamed
    assert await society.members(made) == {ada.user_id}
    society.clock.advance(seconds=1)
    await society.groups.change_members(admin, made.id, [], [id_of(ada)])
    society.clock.advance(seconds=1)
    await society.groups.delete(admin, made.id)
    assert await society.groups.find(admin, [made.id]) == {}
    told = [(event.action, event.resource, event.before, event.after) for event in await society.events()]
    assert told == [
        (AuditAction.GROUP_DELETED, None, {"name": "Everyone", "claim": None}, None),
        (AuditAction.MEMBER_REMOVED, ada.user_id, {"userId": ada.user_id}, None),
        (AuditAction.MEMBER_ADDED, ada.user_id, None, {"userId": ada.user_id}),
        (
            AuditAction.GROUP_UPDATED,
            None,
            {"name": "Staff", "claim": "staff"},
            {"name": "Everyone", "claim": None},
        ),
        (AuditAction.GROUP_CREATED, None, None, {"name": "Staff", "claim": "staff"}),
    ]
    for event in await society.events():
        assert (event.target, event.actor_id) == (made.id, admin.user_id)
        assert (event.address, event.request_id) == ("192.0.2.1", "req-1")


async def test_what_changes_nothing_leaves_no_event(society: Society) -> None:
    admin, ada = await society.principal("admin", is_admin=True), await society.principal("ada")
    group = await society.groups.create(admin, "Staff")
    await society.groups.change_members(admin, group.id, [id_of(ada), id_of(ada)], [NOBODY])
    before = await society.events()
    assert len(before) == 2
    society.clock.advance(seconds=1)
    assert await society.groups.update(admin, group.id) == group
    assert await society.groups.update(admin, group.id, name="Staff", claim=None) == group
    await society.groups.change_members(admin, group.id, [id_of(ada)], [NOBODY])
    assert await society.events() == before


async def test_every_change_counts_at_once(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    ada, ben = await society.principal("ada"), await society.principal("ben", groups=("staff",))
    group = await society.groups.create(admin, "Auditors")
    await society.rule(group.id, Permission.AUDIT)

    async def who() -> list[bool]:
        return [Permission.AUDIT in await society.people.permissions(each) for each in (ada, ben)]

    assert await who() == [False, False]
    await society.groups.change_members(admin, group.id, [id_of(ada)], [])
    assert await who() == [True, False]
    await society.groups.update(admin, group.id, claim="staff")
    assert await who() == [True, True]
    await society.groups.change_members(admin, group.id, [], [id_of(ada), id_of(ben)])
    assert await who() == [False, True]  # whom the token brings in, only the claim lets out
    await society.groups.update(admin, group.id, claim=None)
    assert await who() == [False, False]


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 256, "a\nb", "a\u202eb", ".."])
async def test_a_bad_name_is_refused(society: Society, name: str) -> None:
    admin = await society.principal("admin", is_admin=True)
    group = await society.groups.create(admin, "Staff")
    for work in (society.groups.create(admin, name), society.groups.update(admin, group.id, name=name)):
        with pytest.raises(InvalidInput) as caught:
            await work
        assert caught.value.path == ("name",)


@pytest.mark.parametrize("claim", ["", "x" * 256, "a\0b", "a\nb"])
async def test_a_claim_that_no_token_can_have_is_refused(society: Society, claim: str) -> None:
    admin = await society.principal("admin", is_admin=True)
    group = await society.groups.create(admin, "Staff")
    for work in (
        society.groups.create(admin, "other", claim=claim),
        society.groups.update(admin, group.id, claim=claim),
    ):
        with pytest.raises(InvalidInput) as caught:
            await work
        assert caught.value.path == ("claim",)


async def test_names_that_differ_by_case_or_unicode_form_only_are_one_and_claims_are_exact(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    taken = await society.groups.create(admin, "Café", claim="staff")
    other = await society.groups.create(admin, "other", claim="Staff")  # a token means what it says
    for name in ("café", "CAFE\u0301"):
        for work in (society.groups.create(admin, name), society.groups.update(admin, other.id, name=name)):
            with pytest.raises(Conflict) as caught:
                await work
            assert (caught.value.conflicting_id, caught.value.path) == (taken.id, ("name",))
    with pytest.raises(Conflict) as caught:
        await society.groups.update(admin, other.id, claim="staff")
    assert (caught.value.conflicting_id, caught.value.path) == (taken.id, ("claim",))
    assert (await society.groups.update(admin, taken.id, name="CAFÉ")).name == "CAFÉ"


async def test_a_group_that_a_rule_names_stays(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    group = await society.groups.create(admin, "Staff")
    rule = await society.rule(group.id, Permission.READ)
    with pytest.raises(Conflict) as caught:
        await society.groups.delete(admin, group.id)
    assert caught.value.conflicting_id == rule.id
    assert group.id in await society.groups.find(admin, [group.id])


async def test_members_go_with_their_group(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    group = await society.groups.create(admin, "Staff")
    await society.groups.change_members(admin, group.id, [id_of(admin)], [])
    await society.groups.delete(admin, group.id)
    async with society.database.autocommit() as connection:
        assert await connection.scalar(select(func.count()).select_from(GroupMemberRow)) == 0


async def test_a_change_of_members_is_made_whole_or_not_at_all(society: Society) -> None:
    admin, ada, ben = [await society.principal(name, is_admin=True) for name in ("admin", "ada", "ben")]
    group = await society.groups.create(admin, "Staff")
    await society.groups.change_members(admin, group.id, [id_of(ada)], [])
    before = await society.events()
    for add, remove, path in (
        ([id_of(ben), NOBODY], [id_of(ada)], ("add", "1")),
        ([id_of(ben)], [id_of(ada), id_of(ben)], ("remove", "1")),
        ([id_of(ben)] * 101, [], ("add",)),
        ([], [id_of(ada)] * 101, ("remove",)),
    ):
        with pytest.raises(InvalidInput) as caught:
            await society.groups.change_members(admin, group.id, add, remove)
        assert caught.value.path == path
    assert await society.members(group) == {ada.user_id}
    assert await society.events() == before


async def changes_by(society: Society, principal: Principal, group_id: GroupId) -> list[object]:
    return [
        await outcome(work)
        for work in (
            society.groups.update(principal, group_id, name="mine"),
            society.groups.update(principal, group_id, name=""),
            society.groups.update(principal, group_id, claim="mine"),
            society.groups.change_members(principal, group_id, [NOBODY], []),
            society.groups.change_members(principal, group_id, [], [NOBODY] * 101),
            society.groups.delete(principal, group_id),
        )
    ]


async def test_only_administrators_change_groups_and_others_cannot_tell_that_they_exist(society: Society) -> None:
    admin, stranger = await society.principal("admin", is_admin=True), await society.principal("stranger")
    member, claimer = await society.principal("member"), await society.principal("claimer", groups=("staff",))
    auditor, pretender = await society.principal("auditor"), Principal(None, is_admin=True, groups=frozenset({"staff"}))
    await society.rule(id_of(auditor), Permission.AUDIT)
    group = await society.groups.create(admin, "Staff", claim="staff")
    await society.groups.change_members(admin, group.id, [id_of(member)], [])
    before = await version(society)
    for principal in (stranger, ANONYMOUS, pretender):
        assert [type(error) for error in await changes_by(society, principal, group.id)] == [NotFound] * 6
        hidden = [vars(error) for error in await changes_by(society, principal, group.id)]
        assert hidden == [vars(error) for error in await changes_by(society, principal, NOWHERE)]
    for principal in (member, claimer, auditor):
        errors = await changes_by(society, principal, group.id)
        assert [type(error) for error in errors] == [Forbidden] * 6, principal
    for principal in (stranger, member, claimer, auditor, pretender, ANONYMOUS):
        refused = await outcome(society.groups.create(principal, "mine"))
        assert isinstance(refused, Forbidden)
        assert refused.required_permission == Permission.ADMINISTER
        for error in await changes_by(society, principal, NOWHERE):
            assert isinstance(error, NotFound)
    assert await version(society) == before  # nothing was locked for who may not change anything


async def test_a_denial_binds_who_is_administrator_by_rule(society: Society) -> None:
    root, former = await society.principal("root", is_admin=True), await society.administrator("former")
    group = await society.groups.create(root, "No more")
    await society.groups.change_members(former, group.id, [id_of(former)], [])
    await society.rule(group.id, Permission.ADMINISTER, effect=Effect.DENY)
    assert isinstance(await outcome(society.groups.change_members(former, group.id, [], [id_of(former)])), Forbidden)
    assert isinstance(await outcome(society.groups.update(former, group.id, name="x")), Forbidden)


async def test_one_sees_the_groups_that_one_is_in_and_auditors_all(society: Society) -> None:
    admin, auditor = await society.principal("admin", is_admin=True), await society.principal("auditor")
    await society.rule(id_of(auditor), Permission.AUDIT)
    member, claimer = await society.principal("member"), await society.principal("claimer", groups=("c", "'", '"', "%"))
    made = {
        name: await society.groups.create(admin, name, claim=claim)
        for name, claim in (("A", None), ("b", "c"), ("C%", "x"))
    }
    await society.groups.change_members(admin, made["A"].id, [id_of(member)], [])
    ids = [group.id for group in made.values()]
    for principal, expected in (
        (admin, ["A", "b", "C%"]),
        (auditor, ["A", "b", "C%"]),
        (member, ["A"]),
        (claimer, ["b"]),
        (ANONYMOUS, []),
        (Principal(None, groups=frozenset({"c"}), is_admin=True), []),
    ):
        listed = await society.groups.list(principal, PageRequest())
        assert [group.name for group in listed.nodes] == expected
        assert {group.name for group in (await society.groups.find(principal, ids)).values()} == set(expected)
        for group in made.values():
            page = await outcome(society.groups.list_members(principal, group.id, PageRequest()))
            assert isinstance(page, NotFound) == (group.name not in expected)
    own = await society.groups.list_own(auditor, PageRequest())
    assert own.nodes == ()
    for search, expected in (("c", ["C%"]), ("%", ["C%"]), ("_", []), ("B", ["b"]), ("", ["A", "b", "C%"])):
        assert [group.name for group in (await society.groups.list(admin, PageRequest(), search)).nodes] == expected


async def test_members_and_groups_come_in_pages(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    groups = [await society.groups.create(admin, f"group {number}") for number in range(5)]
    people = sorted([id_of(await society.principal(f"user {number}")) for number in range(5)])
    await society.groups.change_members(admin, groups[0].id, people, [])
    seen: dict[str, list[str]] = {"groups": [], "members": []}
    for kind in seen:
        cursor, is_more = None, True
        while is_more:
            request = PageRequest(2, cursor)
            page = (
                await society.groups.list(admin, request)
                if kind == "groups"
                else await society.groups.list_members(admin, groups[0].id, request)
            )
            seen[kind] += [node.id for node in page.nodes]
            cursor, is_more = page.cursor_of(page.nodes[-1]), page.has_next_page  # type: ignore[arg-type]
    assert seen == {"groups": [group.id for group in groups], "members": people}
    first = await society.groups.list(admin, PageRequest(1))
    with pytest.raises(InvalidInput):
        await society.groups.list_members(admin, groups[0].id, PageRequest(1, first.cursor_of(first.nodes[0])))


async def test_of_two_groups_of_one_name_made_at_once_one_is(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    for number in range(5):
        results = await at_once(
            *(society.groups.create(admin, f"{name} {number}") for name in ("STAFF", "staff", "Staff"))
        )
        assert sorted(isinstance(result, Conflict) for result in results) == [False, True, True]


async def test_what_is_done_to_a_group_while_it_is_deleted_finds_none(society: Society) -> None:
    admin, ada = await society.principal("admin", is_admin=True), await society.principal("ada")
    for number in range(5):
        group = await society.groups.create(admin, f"group {number}")
        results = await at_once(
            society.groups.change_members(admin, group.id, [id_of(ada)], []),
            society.groups.delete(admin, group.id),
            society.groups.delete(admin, group.id),
            society.groups.update(admin, group.id, name=f"other {number}"),
        )
        assert sum(result is None for result in results) == 1
        assert all(not isinstance(result, Exception) or isinstance(result, NotFound) for result in results)
        assert await society.groups.find(admin, [group.id]) == {}
        last = await society.events(resource_id=group.id)
        deletions = [event for event in last if event.action is AuditAction.GROUP_DELETED]
        assert len(deletions) == 1


async def test_a_group_that_gets_a_rule_while_it_is_deleted_stays(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    group = await society.groups.create(admin, "Staff")
    terms = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), Subject(group.id), ROOT)
    rule = AccessRule(new_rule_id(START), terms, 1, None, START, START)
    async with society.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, [rule])
        deletion = asyncio.create_task(outcome(society.groups.delete(admin, group.id)))
        await asyncio.sleep(0.05)
        assert not deletion.done()  # it waits for whoever changes policy
    assert isinstance(await deletion, Conflict)


async def test_who_loses_the_right_while_waiting_changes_nothing(society: Society) -> None:
    ada = await society.administrator("ada")
    terms = RuleTerms(Effect.DENY, frozenset({Permission.ADMINISTER}), Subject(id_of(ada)), ROOT)
    async with society.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, [AccessRule(new_rule_id(START), terms, 1, None, START, START)])
        creation = asyncio.create_task(outcome(society.groups.create(ada, "mine")))
        await asyncio.sleep(0.05)
        assert not creation.done()
    assert isinstance(await creation, Forbidden)
