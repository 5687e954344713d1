"""A rehearsal says what will be, to whom may know it, and changes nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from sqlalchemy import func, select

from graphql_api.db.rules import policy_version
from graphql_api.db.tables import AccessRuleRow, AuditEventRow, UserRow
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.preview import MAX_SAMPLE, Direction, Preview
from graphql_api.model.principal import ANONYMOUS, Identity, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, RuleTerms, Scope, Subject
from graphql_api.model.rule_change import CreateRule, DeleteRule, Invitee, ProposedChange, ReplaceRules, UpdateRule
from graphql_api.services import previews
from graphql_api.services.comparison import situations_of
from graphql_api.services.rule_json import tag_of
from tests.services.rulings import refusal, ruled, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import ISSUER, START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE
AUDIT, ADMINISTER = Permission.AUDIT, Permission.ADMINISTER
GAINS, LOSES = Direction.GAINS, Direction.LOSES
DAY = timedelta(days=1)

Short = tuple[str, Permission, Direction, int, int]


def short(preview: Preview) -> set[Short]:
    lines = preview.lines
    found = {(str(line.subject), line.permission, line.direction, line.files, line.folders) for line in lines}
    assert len(found) == len(lines)
    return found


def id_of(principal: Principal) -> str:
    assert principal.user_id is not None
    return principal.user_id


class Stage:
    """Alice's folder ``shared``: ``inner`` with two files in it, and one file beside."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.preview = world.services.policies.preview

    async def open(self) -> "Stage":
        self.admin = await self.world.principal("root", is_admin=True)
        self.alice, self.bob = await self.world.principal("alice"), await self.world.principal("bob")
        self.shared = await foldered(self.world, self.alice, "shared")
        self.inner = await foldered(self.world, self.alice, "inner", self.shared.id)
        self.one = await filed(self.world, self.alice, "one", folder_id=self.inner.id)
        self.two = await filed(self.world, self.alice, "two", folder_id=self.inner.id)
        self.beside = await filed(self.world, self.alice, "beside", folder_id=self.shared.id)
        return self


@pytest.fixture
async def stage(world: World) -> Stage:
    return await Stage(world).open()


async def test_it_counts_what_is_gained_and_what_is_lost(stage: Stage) -> None:
    preview = await stage.preview(stage.admin, [CreateRule(wish(stage.bob, stage.shared.id, READ, WRITE))])
    assert short(preview) == {(id_of(stage.bob), READ, GAINS, 3, 2), (id_of(stage.bob), WRITE, GAINS, 3, 2)}
    assert (preview.is_exact, preview.users_examined, preview.users_total) == (True, 1, 1)
    assert (preview.things_examined, preview.things_total, preview.old_links_expire_by) == (5, 5, None)
    things = {stage.shared.id, stage.inner.id, stage.one.id, stage.two.id, stage.beside.id}
    assert set(preview.lines[0].sample) == things

    await ruled(stage.world, stage.alice, wish(stage.bob, stage.shared.id, READ, WRITE))
    preview = await stage.preview(stage.admin, [CreateRule(wish(stage.bob, stage.inner.id, deny=True))])
    assert short(preview) == {(id_of(stage.bob), READ, LOSES, 2, 1)}
    assert preview.old_links_expire_by == START + DAY


async def test_links_that_are_lost_are_told_though_nobody_loses_a_permission(stage: Stage) -> None:
    rule = await ruled(stage.world, stage.alice, wish(stage.bob, stage.shared.id))
    preview = await stage.preview(stage.admin, [UpdateRule(rule.id, 1, {"binds_ip": True})])
    assert (preview.lines, preview.old_links_expire_by, preview.is_exact) == ((), START + DAY, True)
    change = await stage.world.services.policies.update(stage.alice, rule.id, 1, {"binds_ip": True})
    assert change.old_links_expire_by == START + DAY


async def test_who_is_denied_to_administer_loses_links(stage: Stage) -> None:
    rule = await ruled(stage.world, stage.admin, wish(stage.bob, ROOT, Permission.ADMINISTER))
    for change in (
        DeleteRule(rule.id, 1),
        CreateRule(wish(stage.bob, ROOT, Permission.ADMINISTER, deny=True)),
    ):
        preview = await stage.preview(stage.admin, [change])
        assert preview.old_links_expire_by == START + DAY, change
    gone = await stage.world.services.policies.delete(stage.admin, rule.id, 1)
    assert gone.old_links_expire_by == START + DAY


async def test_what_changes_nothing_has_no_lines(stage: Stage) -> None:
    rule = await ruled(stage.world, stage.alice, wish(stage.bob, stage.shared.id))
    for change in (
        CreateRule(wish(stage.bob, stage.inner.id)),  # has it from above
        CreateRule(wish(stage.alice, stage.one.id)),  # owns it
        UpdateRule(rule.id, 1, {}),
        UpdateRule(rule.id, 1, {"max_lifetime": timedelta(hours=1)}),
        ReplaceRules(Scope(stage.shared.id), tag_of([rule]), (wish(stage.bob, stage.shared.id),)),
        CreateRule(wish(stage.bob, "label:none")),
    ):
        preview = await stage.preview(stage.admin, [change])
        assert (preview.lines, preview.old_links_expire_by, preview.is_exact) == ((), None, True), change
    assert (await stage.preview(stage.admin, [])).lines == ()


async def test_changes_are_rehearsed_together(stage: Stage) -> None:
    rule = await ruled(stage.world, stage.alice, wish(stage.bob, stage.shared.id))
    carol = await stage.world.principal("carol")
    changes: list[ProposedChange] = [
        DeleteRule(rule.id, 1),
        CreateRule(wish(stage.bob, stage.inner.id)),
        CreateRule(wish(carol, stage.inner.id)),
        CreateRule(wish(carol, stage.one.id, deny=True)),
    ]
    preview = await stage.preview(stage.admin, changes)
    assert short(preview) == {(id_of(stage.bob), READ, LOSES, 1, 1), (id_of(carol), READ, GAINS, 1, 1)}


async def test_groups_and_everybody_are_told_apart_by_user(stage: Stage) -> None:
    world = stage.world
    member, claimed, other = [
        await world.services.accounts.principal_of(Identity(ISSUER, name, name, groups=frozenset(groups)))
        for name, groups in (("member", ()), ("claimed", {"staff,", "x"}), ("other", {"staff"}))
    ]
    group = await world.services.groups.create(stage.admin, "Staff", claim="staff,")
    assert member.user_id is not None
    await world.services.groups.change_members(stage.admin, group.id, [member.user_id], [])
    await ruled(world, stage.alice, wish(member, stage.one.id))
    preview = await stage.preview(stage.admin, [CreateRule(wish(group.id, stage.inner.id))])
    assert short(preview) == {(id_of(member), READ, GAINS, 1, 1), (id_of(claimed), READ, GAINS, 2, 1)}
    preview = await stage.preview(stage.admin, [CreateRule(wish(SIGNED_IN, stage.one.id))])
    assert short(preview) == {(id_of(user), READ, GAINS, 1, 0) for user in (stage.bob, claimed, other)}
    preview = await stage.preview(stage.admin, [CreateRule(wish(ANYONE, stage.one.id))])
    gainers = [*map(id_of, (stage.bob, claimed, other)), ANYONE]
    assert short(preview) == {(gainer, READ, GAINS, 1, 0) for gainer in gainers}
    assert (preview.users_total, preview.is_exact) == (7, True)


async def test_somebody_who_was_never_heard_of_gains_all_of_it(stage: Stage) -> None:
    preview = await stage.preview(stage.admin, [CreateRule(wish(Invitee(email="new@example.test"), stage.inner.id))])
    (line,) = preview.lines
    assert (line.permission, line.direction, line.files, line.folders) == (READ, GAINS, 2, 1)
    assert (preview.users_total, preview.is_exact) == (1, True)


async def test_what_begins_later_or_holds_elsewhere_is_seen(stage: Stage) -> None:
    bob, here = id_of(stage.bob), stage.one.id
    gains, loses = (bob, READ, GAINS, 1, 0), (bob, READ, LOSES, 1, 0)
    for terms in ({"starts_at": START + DAY}, {"ip_ranges": ("10.0.0.0/8",)}, {"ip_ranges": ("2001:db8::/32",)}):
        assert short(await stage.preview(stage.admin, [CreateRule(wish(stage.bob, here, **terms))])) == {gains}
    rule = await ruled(stage.world, stage.alice, wish(stage.bob, here, ip_ranges=("10.0.0.0/8",), ends_at=START + DAY))
    for changes, lines in (
        ({"ip_ranges": ("10.0.0.0/16",)}, {loses}),
        ({"ip_ranges": ("10.0.0.0/9",)}, {loses}),
        ({"ip_ranges": ("10.0.0.0/7",)}, {gains}),
        ({"ip_ranges": ()}, {gains}),
        ({"ip_ranges": ("11.0.0.0/8",)}, {gains, loses}),
        ({"ends_at": START + 2 * DAY}, {gains}),
        ({"ends_at": START + timedelta(hours=1)}, {loses}),
        ({"starts_at": START + timedelta(hours=1)}, {loses}),
    ):
        assert short(await stage.preview(stage.admin, [UpdateRule(rule.id, 1, changes)])) == lines, changes


async def test_administrators_gain_everything_and_auditors_the_root(stage: Stage) -> None:
    audit = await stage.preview(stage.admin, [CreateRule(wish(stage.bob, ROOT, AUDIT))])
    assert short(audit) == {(id_of(stage.bob), AUDIT, GAINS, 0, 1)}
    assert audit.things_total == 1
    administer = await stage.preview(stage.admin, [CreateRule(wish(stage.bob, ROOT, ADMINISTER))])
    permissions = {line.permission for line in administer.lines}
    assert permissions == set(Permission)
    reading = next(line for line in administer.lines if line.permission is READ)
    assert (reading.files, reading.folders) == (3, 5)  # all but bob's home


async def test_nothing_is_written_and_no_writer_waits(stage: Stage) -> None:
    async def state() -> list[object]:
        async with stage.world.database.autocommit() as connection:
            rows = (AccessRuleRow, UserRow, AuditEventRow)
            counts = [await connection.scalar(select(func.count()).select_from(row)) for row in rows]
            return [*counts, await policy_version(connection)]

    before = await state()
    change = CreateRule(wish(Invitee(subject="new"), stage.shared.id))
    await stage.preview(stage.alice, [change])
    await stage.preview(stage.admin, [change])
    assert await state() == before
    async with stage.world.database.transaction() as writer:
        await writer.execute(AccessRuleRow.__table__.delete().where(AccessRuleRow.id == ""))  # type: ignore[attr-defined]
        await asyncio.wait_for(stage.preview(stage.alice, [change]), timeout=5)


async def test_what_the_mutation_refuses_is_refused_here(stage: Stage) -> None:
    rule = await ruled(stage.world, stage.alice, wish(stage.bob, stage.shared.id))
    for change, refused in (
        (CreateRule(wish(stage.bob, stage.shared.id)), ("CONFLICT", ("changes", "0"))),
        (CreateRule(wish("?", stage.shared.id)), ("INVALID", ("changes", "0", "subject"))),
        (DeleteRule(rule.id, 2), ("CONFLICT", ("changes", "0", "version"))),
        (ReplaceRules(Scope(stage.shared.id), "", ()), ("CONFLICT", ("changes", "0", "tag"))),
    ):
        assert await refusal(stage.preview(stage.alice, [change])) == refused
    assert await refusal(stage.preview(stage.bob, [DeleteRule(rule.id, 1)])) == (
        "FORBIDDEN",
        ("changes", "0", "ruleId"),
    )
    for asker in (ANONYMOUS, await stage.world.principal("stranger")):
        assert await refusal(stage.preview(asker, [DeleteRule(rule.id, 1)])) == (
            "NOT_FOUND",
            ("changes", "0", "ruleId"),
        )


async def test_it_says_what_will_happen(stage: Stage) -> None:
    """The lines of a rehearsal are the differences that the change then makes."""
    people = [stage.alice, stage.bob, await stage.world.principal("carol"), ANONYMOUS]
    things = [stage.shared.id, stage.inner.id, stage.one.id, stage.two.id, stage.beside.id]

    async def readable() -> set[tuple[str, str]]:
        services = stage.world.services
        found: set[tuple[str, str]] = set()
        for person in people:
            files = await services.files.find(person, [FileId(id_) for id_ in things])
            folders = await services.folders.find(person, [FolderId(id_) for id_ in things])
            found |= {(person.user_id or ANYONE, id_) for id_ in (*files, *folders)}
        return found

    policies = stage.world.services.policies
    for wanted in (
        wish(SIGNED_IN, stage.shared.id),
        wish(people[2], stage.inner.id, deny=True),
        wish(ANYONE, stage.one.id),
        wish(stage.alice, stage.two.id, deny=True),
        wish(ANYONE, stage.beside.id, deny=True),
    ):
        preview = await policies.preview(stage.admin, [CreateRule(wanted)])
        before = await readable()
        await policies.create(stage.admin, wanted)
        after = await readable()
        told: dict[Direction, set[tuple[str, str]]] = {GAINS: set(), LOSES: set()}
        for line in preview.lines:
            told[line.direction] |= {
                (str(line.subject), id_) for id_ in line.sample if line.subject != id_of(stage.admin)
            }
        assert preview.is_exact
        assert told == {GAINS: after - before, LOSES: before - after}


async def test_a_sharer_is_told_nothing_about_others_and_what_is_hidden(stage: Stage) -> None:
    """What one who shares Alice's folder is told is the same whatever they may not know."""
    world = stage.world
    sharer = await world.principal("sharer")
    group = await world.services.groups.create(stage.admin, "team")
    assert sharer.user_id is not None
    await world.services.groups.change_members(stage.admin, group.id, [sharer.user_id], [])
    await ruled(world, stage.alice, wish(sharer, stage.shared.id, READ, SHARE))
    await ruled(world, stage.alice, wish(sharer, stage.beside.id, deny=True))
    proposals: Sequence[ProposedChange] = (
        CreateRule(wish(stage.bob, stage.inner.id)),
        CreateRule(wish(group.id, stage.inner.id)),
        CreateRule(wish(SIGNED_IN, stage.inner.id)),
        CreateRule(wish(ANYONE, stage.inner.id)),
        CreateRule(wish(sharer, stage.inner.id, deny=True)),
    )

    async def told() -> list[Preview]:
        return [await stage.preview(sharer, [proposal]) for proposal in proposals]

    before = await told()
    assert [short(preview) for preview in before] == [
        {(subject, READ, GAINS, 2, 1)} for subject in (id_of(stage.bob), group.id, SIGNED_IN, ANYONE)
    ] + [{(id_of(sharer), READ, LOSES, 2, 1)}]
    assert not any(preview.is_exact for preview in before)

    home = await home_of(world, stage.alice)
    assert stage.bob.user_id is not None
    await world.services.groups.change_members(stage.admin, group.id, [stage.bob.user_id], [])
    await ruled(world, stage.alice, wish(stage.bob, home))  # above what the sharer shares
    await ruled(world, stage.admin, wish(stage.bob, ROOT, WRITE, deny=True))
    await ruled(world, stage.admin, wish(stage.bob, "label:x"))
    await world.principal("newcomer")
    assert [replace(preview, lines=()) for preview in await told()] == [
        replace(preview, lines=()) for preview in before
    ]
    assert [short(preview) for preview in await told()] == [short(preview) for preview in before]

    secret = await foldered(world, stage.alice, "secret", stage.inner.id)
    await filed(world, stage.alice, "hidden", folder_id=secret.id)
    await ruled(world, stage.alice, wish(sharer, secret.id, deny=True))
    own = await stage.preview(sharer, [proposals[-1]])
    assert (short(own), own.things_total) == (short(before[-1]), before[-1].things_total)


async def test_much_is_sampled_and_said_to_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await Stage(world).open()
    for number in range(6):
        await world.principal(f"user{number}")
        await filed(world, stage.alice, f"more{number}", folder_id=stage.inner.id)
    change = CreateRule(wish(SIGNED_IN, stage.shared.id))
    whole = await stage.preview(stage.admin, [change])
    assert (whole.is_exact, whole.users_total, whole.things_total) == (True, 9, 11)
    monkeypatch.setattr(previews, "MAX_USERS", 4)
    monkeypatch.setattr(previews, "MAX_THINGS", 5)
    sampled = await stage.preview(stage.admin, [change])
    assert (sampled.is_exact, sampled.users_total, sampled.things_total) == (False, 9, 11)
    assert (sampled.users_examined, sampled.things_examined) == (4, 5)
    assert all(line.files + line.folders <= 5 for line in sampled.lines)
    assert {line.subject for line in sampled.lines} < {line.subject for line in whole.lines}
    assert all(len(line.sample) <= MAX_SAMPLE for line in whole.lines)


def terms(**more: object) -> RuleTerms:
    wanted = wish("anyone", ROOT, **more)  # type: ignore[arg-type]
    return RuleTerms(
        wanted.effect,
        wanted.permissions,
        Subject("anyone"),
        wanted.resource,
        wanted.starts_at,
        wanted.ends_at,
        wanted.ip_ranges,
    )


def test_situations_are_the_edges_of_time_and_address() -> None:
    later = START + DAY
    assert situations_of([terms(starts_at=START - DAY)], START, 9) == ([(START, ip_address("192.0.2.1"))], True)
    changed = [terms(starts_at=later, ip_ranges=("10.0.0.0/8", "255.255.255.255/32"))]
    assert [str(address) for instant, address in situations_of(changed, START, 99)[0] if instant == later] == [
        "10.0.0.0",
        "11.0.0.0",
        "192.0.2.1",
        "255.255.255.255",
    ]
