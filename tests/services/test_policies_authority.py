"""Nobody gets more than they hold: not by making rules, changing them, lifting them or adding them up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.errors import Conflict, DeliveryError, Forbidden
from graphql_api.model.ids import ROOT_FOLDER_ID, RuleId, new_file_id, new_folder_id, new_rule_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, AccessRule, Effect, Scope
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    Invitee,
    ProposedChange,
    ReplaceRules,
    RuleWish,
    UpdateRule,
)
from graphql_api.services.rule_json import tag_of
from tests.services.rulings import outcome, refusal, ruled, rules_on, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE
AUDIT, ADMINISTER = Permission.AUDIT, Permission.ADMINISTER
DAY = timedelta(days=1)


class Office:
    """Alice's folder ``shared`` with a file and a folder in it. Sharon may READ and SHARE there, until tomorrow."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.policies = world.services.policies

    async def open(self) -> "Office":
        self.admin = await self.world.principal("root", is_admin=True)
        self.alice, self.sharon, self.bob = [await self.world.principal(name) for name in ("alice", "sharon", "bob")]
        self.shared = await foldered(self.world, self.alice, "shared")
        self.inner = await foldered(self.world, self.alice, "inner", self.shared.id)
        self.private = await foldered(self.world, self.alice, "private")
        self.file = await filed(self.world, self.alice, folder_id=self.inner.id)
        held = wish(self.sharon, self.shared.id, READ, SHARE, ends_at=START + DAY, max_lifetime=timedelta(hours=1))
        self.held = await ruled(self.world, self.alice, held)
        return self

    def lent(
        self, subject: Principal | Invitee | str, resource: str, *permissions: Permission, **more: Any
    ) -> RuleWish:
        """What Sharon may just give: on her own terms."""
        lifetime = timedelta(hours=1) if not permissions or READ in permissions else None
        terms: dict[str, Any] = {"ends_at": START + DAY, "max_lifetime": lifetime} | more
        return wish(subject, resource, *permissions, **terms)

    async def refused(self, who: Principal, change: ProposedChange) -> str | None:
        """The missing permission; preview and mutation must refuse alike, and leave all as it was."""
        before = await rules_on(self.world, self.admin, self.file.id)
        rehearsed = await outcome(self.policies.preview(who, [change]))
        done = await outcome(self.policies.apply(who, [change]))
        assert isinstance(done, DeliveryError), (change, done)
        assert isinstance(rehearsed, type(done))
        assert (rehearsed.message, rehearsed.path) == (done.message, done.path)
        assert await rules_on(self.world, self.admin, self.file.id) == before
        return done.required_permission if isinstance(done, Forbidden) else None


@pytest.fixture
async def office(world: World) -> Office:
    return await Office(world).open()


async def test_a_sharer_lends_what_they_hold(office: Office) -> None:
    for resource in (office.shared.id, office.inner.id, office.file.id):
        for subject in (office.bob, SIGNED_IN, ANYONE, Invitee(email=f"x@{resource[-9:]}.test")):
            await ruled(office.world, office.sharon, office.lent(subject, resource))
    await ruled(office.world, office.sharon, office.lent(office.bob, office.shared.id, READ, SHARE))


async def test_a_sharer_gives_nobody_more_than_they_hold(office: Office) -> None:
    me, here = office.sharon, office.inner.id
    for wanted, missing in (
        (office.lent(office.bob, here, WRITE), WRITE),
        (office.lent(office.bob, here, READ, WRITE), WRITE),
        (office.lent(me, here, DELETE), DELETE),
        (wish(office.bob, here), READ),  # for longer, on better terms
        (office.lent(me, here, ends_at=None), READ),
        (office.lent(office.bob, here, ends_at=START + DAY + timedelta(seconds=1)), READ),
        (office.lent(office.bob, here, max_lifetime=None), READ),
        (office.lent(office.bob, here, max_lifetime=timedelta(hours=2)), READ),
    ):
        assert await office.refused(me, CreateRule(wanted)) == missing


async def test_a_sharer_is_bound_to_what_they_hold_it_on(office: Office) -> None:
    for resource in (office.private.id, ROOT_FOLDER_ID, await home_of(office.world, office.alice)):
        assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, resource))) is None  # hidden
    await ruled(office.world, office.alice, wish(office.sharon, office.private.id))
    assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, office.private.id))) == SHARE
    assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, "label:all"))) == SHARE


async def test_nobody_makes_themselves_an_administrator_or_auditor(office: Office) -> None:
    everything = wish(office.sharon, ROOT, *frozenset({READ, WRITE, DELETE, SHARE}))
    await ruled(office.world, office.admin, everything)
    for permission in (AUDIT, ADMINISTER):
        for deny in (False, True):
            wanted = wish(office.sharon, ROOT, permission, deny=deny)
            assert await office.refused(office.sharon, CreateRule(wanted)) == ADMINISTER
    auditor = await ruled(office.world, office.admin, wish(office.sharon, ROOT, AUDIT))
    more = UpdateRule(auditor.id, 1, {"permissions": frozenset({AUDIT, ADMINISTER})})
    assert await office.refused(office.sharon, more) == ADMINISTER
    assert await office.refused(office.sharon, UpdateRule(auditor.id, 1, {"subject": SIGNED_IN})) == ADMINISTER
    assert (
        await office.refused(office.sharon, UpdateRule(auditor.id, 1, {"permissions": frozenset({READ})})) == ADMINISTER
    )


async def test_the_own_rule_is_not_widened(office: Office) -> None:
    rule = office.held
    for changes in (
        {"permissions": frozenset({READ, SHARE, WRITE})},
        {"ends_at": None},
        {"ends_at": START + 2 * DAY},
        {"max_lifetime": None},
        {"resource": Scope(ROOT)},
        {"resource": Scope(office.private.id)},
        {"resource": Scope("label:x")},
    ):
        await office.refused(office.sharon, UpdateRule(rule.id, 1, changes))
    narrowed = await office.policies.update(office.sharon, rule.id, 1, {"ends_at": START + timedelta(hours=1)})
    assert narrowed.rule is not None
    assert await office.refused(office.sharon, UpdateRule(rule.id, 2, {"ends_at": START + DAY})) == READ


async def test_an_address_condition_is_not_shed(office: Office) -> None:
    await office.policies.delete(office.alice, office.held.id, 1)
    here = replace(office.sharon, address=ip_address("10.1.2.3"))
    bound = await ruled(
        office.world, office.alice, wish(office.sharon, office.shared.id, READ, SHARE, ip_ranges=("10.0.0.0/8",))
    )
    for ranges in ((), ("0.0.0.0/0",), ("10.0.0.0/7",), ("10.0.0.0/8", "11.0.0.1"), ("2001:db8::/32",)):
        wanted = wish(office.bob, office.inner.id, ip_ranges=ranges)
        assert isinstance(await outcome(office.policies.create(here, wanted)), DeliveryError), ranges
        changes = {"ip_ranges": ranges}
        assert isinstance(await outcome(office.policies.update(here, bound.id, 1, changes)), DeliveryError), ranges
    elsewhere = replace(office.sharon, address=ip_address("192.0.2.1"))
    inside = wish(office.bob, office.inner.id, ip_ranges=("10.1.0.0/16",))
    assert (await refusal(office.policies.create(elsewhere, inside)))[0] == "NOT_FOUND"  # they see nothing from there
    await ruled(office.world, here, inside)


async def test_a_denial_is_not_lifted_by_whom_it_binds(office: Office) -> None:
    above = await ruled(office.world, office.alice, wish(office.sharon, office.shared.id, SHARE, deny=True))
    assert await office.refused(office.sharon, DeleteRule(above.id, 1)) == SHARE
    await office.policies.delete(office.alice, above.id, 1)
    for permission in (WRITE, READ):
        denial = await ruled(office.world, office.alice, wish(SIGNED_IN, office.inner.id, permission, deny=True))
        for change in (
            DeleteRule(denial.id, 1),
            UpdateRule(denial.id, 1, {"ends_at": START + timedelta(seconds=1)}),
            UpdateRule(denial.id, 1, {"effect": Effect.ALLOW}),
            UpdateRule(denial.id, 1, {"subject": office.bob.user_id}),
            UpdateRule(denial.id, 1, {"ip_ranges": ("10.0.0.0/8",)}),
            UpdateRule(denial.id, 1, {"starts_at": START + DAY}),
            ReplaceRules(Scope(office.inner.id), tag_of([denial]), ()),
        ):
            await office.refused(office.sharon, change)
        await office.policies.delete(office.admin, denial.id, 1)


async def test_what_is_denied_below_is_not_given_around_the_denial(office: Office) -> None:
    """Bob could read the file for Sharon, who may not."""
    await ruled(office.world, office.alice, wish(office.sharon, office.file.id, deny=True))
    for resource in (office.shared.id, office.inner.id):
        assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, resource))) == READ
    assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, office.file.id))) is None


async def test_what_others_keep_inside_is_not_shared_by_who_owns_the_folder(office: Office) -> None:
    drop = await foldered(office.world, office.alice, "drop")
    await ruled(office.world, office.alice, wish(office.bob, drop.id, READ, WRITE))
    inside = await foldered(office.world, office.bob, "bob's", drop.id)
    note = await filed(office.world, office.bob, "note.txt", folder_id=drop.id)
    for home_rule in await rules_on(office.world, office.admin, await home_of(office.world, office.alice)):
        await office.policies.delete(office.admin, home_rule.id, home_rule.version)
    assert await office.refused(office.alice, CreateRule(wish(office.sharon, drop.id))) == SHARE  # owns the folder
    assert await office.refused(office.bob, CreateRule(wish(office.sharon, inside.id))) == SHARE
    assert await office.refused(office.alice, CreateRule(wish(office.sharon, note.id))) is None
    await ruled(office.world, office.bob, wish(office.sharon, note.id))  # the file is his


async def test_two_halves_do_not_add_up_to_a_whole(office: Office) -> None:
    """WRITE forever from one rule and READ until tomorrow from another are not READ forever."""
    await ruled(office.world, office.alice, wish(office.sharon, office.shared.id, WRITE))
    assert await office.refused(office.sharon, CreateRule(wish(office.bob, office.inner.id, READ, WRITE))) == READ
    await ruled(office.world, office.sharon, wish(office.bob, office.inner.id, WRITE))


async def test_changes_of_one_request_do_not_build_on_each_other(office: Office) -> None:
    mine = CreateRule(office.lent(office.sharon, office.inner.id, WRITE))
    yours = CreateRule(office.lent(office.bob, office.inner.id, WRITE))
    assert await refusal(office.policies.apply(office.sharon, [mine, yours])) == (
        "FORBIDDEN",
        ("changes", "0", "resource"),
    )
    lent = CreateRule(office.lent(office.bob, office.inner.id))
    assert await refusal(office.policies.apply(office.sharon, [lent, yours])) == (
        "FORBIDDEN",
        ("changes", "1", "resource"),
    )
    there = await rules_on(office.world, office.admin, office.inner.id)
    assert office.inner.id not in {str(rule.terms.resource) for rule in there}


async def test_access_that_was_lost_is_not_used_once_more(office: Office) -> None:
    await office.policies.delete(office.alice, office.held.id, 1)
    assert await office.refused(office.sharon, CreateRule(office.lent(office.bob, office.shared.id))) is None
    results = await asyncio.gather(
        outcome(office.policies.apply(office.alice, [CreateRule(office.lent(office.sharon, office.shared.id, SHARE))])),
        *(outcome(office.policies.create(office.sharon, office.lent(office.bob, office.file.id))) for _ in range(3)),
    )
    assert not isinstance(results[0], DeliveryError)
    assert all(isinstance(result, DeliveryError) for result in results[1:])


async def test_who_is_not_signed_in_changes_nothing(office: Office) -> None:
    public = await ruled(office.world, office.alice, wish(ANYONE, office.shared.id))
    for change, missing in (
        (CreateRule(wish(ANYONE, office.shared.id)), SHARE),
        (UpdateRule(public.id, 1, {"ends_at": START + DAY}), SHARE),
        (DeleteRule(public.id, 1), SHARE),
        (ReplaceRules(Scope(office.shared.id), tag_of([]), ()), SHARE),
        (DeleteRule(office.held.id, 1), None),
        (DeleteRule(new_rule_id(START), 1), None),
        (DeleteRule(RuleId("rule_?"), 1), None),
    ):
        assert await office.refused(ANONYMOUS, change) == missing


async def test_a_rule_is_seen_by_those_it_is_about_by_sharers_there_and_by_auditors(office: Office) -> None:
    policies = office.policies
    about_bob = await ruled(office.world, office.alice, wish(office.bob, office.inner.id))
    private = await ruled(office.world, office.alice, wish(office.bob, office.private.id))
    label = await ruled(office.world, office.admin, wish(office.bob, "label:x"))
    auditor = await office.world.principal("auditor")
    await ruled(office.world, office.admin, wish(auditor, ROOT, AUDIT))
    stranger = await office.world.principal("stranger")
    ids = [about_bob.id, private.id, label.id, office.held.id]
    for viewer, seen in (
        (office.admin, ids),
        (auditor, ids),
        (office.bob, [about_bob.id, private.id, label.id]),
        (office.alice, [about_bob.id, private.id, office.held.id]),
        (office.sharon, [about_bob.id, office.held.id]),
        (stranger, []),
        (ANONYMOUS, []),
    ):
        found = await policies.find(viewer, [*ids, new_rule_id(START)])
        assert set(found) == set(seen), viewer
        for rule_id in set(ids) - set(seen):
            assert await refusal(policies.delete(viewer, rule_id, 1)) == ("NOT_FOUND", ("ruleId",))
    assert about_bob in (await policies.list(office.bob, PageRequest(100))).nodes
    assert office.held not in (await policies.list(office.bob, PageRequest(100))).nodes


async def test_rules_about_everybody_are_seen_by_those_who_see_what_they_stand_on(office: Office) -> None:
    """A denial tells of what the denied do not see, and a condition of what others' networks are."""
    world, policies = office.world, office.policies
    admin, inner = office.admin, office.inner.id
    inside = await ruled(world, admin, wish(ANYONE, office.file.id, ip_ranges=("10.0.0.0/8",)))
    later = await ruled(world, admin, wish(SIGNED_IN, inner, starts_at=START + DAY))
    hidden = await ruled(world, admin, wish(office.bob, office.private.id, deny=True))
    allowing = await ruled(world, admin, wish(ANYONE, "label:press"))
    denying = await ruled(world, admin, wish(ANYONE, "label:layoffs", deny=True))
    binding = await ruled(world, admin, wish(SIGNED_IN, "label:layoffs", WRITE, deny=True))
    root_sharer = await world.principal("keeper")
    keeping = await ruled(world, admin, wish(root_sharer, ROOT, READ, SHARE))
    auditor = await world.principal("auditor")
    await ruled(world, admin, wish(auditor, ROOT, AUDIT))
    rules = {inside, later, hidden, allowing, denying, binding}
    # Without a resource one's own rules are listed, and what a page needs: ``hidden`` is about somebody else.
    for viewer, shown, listed in (
        (ANONYMOUS, {allowing}, {allowing}),
        (replace(ANONYMOUS, address=ip_address("10.1.2.3")), {allowing, inside}, {allowing, inside}),
        (office.bob, {allowing}, {allowing}),
        (office.sharon, {allowing, inside, later}, {allowing, inside, later}),
        (office.alice, {allowing, inside, later, hidden}, {allowing, inside, later}),
        (root_sharer, rules, rules - {hidden}),
        (auditor, rules, rules),
        (admin, rules, rules),
    ):
        found = await policies.find(viewer, [rule.id for rule in rules])
        assert set(found.values()) == shown, viewer
        whole = (await policies.list(viewer, PageRequest(100))).nodes
        assert rules & set(whole) == listed, viewer
        for label, of_label in (("label:layoffs", {denying, binding}), ("label:press", {allowing})):
            assert set(await rules_on(world, viewer, label)) == shown & of_label, viewer
        await pages_are_sound(office, viewer, whole)
    for rule in (inside, denying, binding):
        for act in (policies.delete(office.bob, rule.id, 1), policies.update(office.bob, rule.id, 1, {})):
            assert await refusal(act) == ("NOT_FOUND", ("ruleId",))
    assert keeping in await rules_on(world, root_sharer, office.file.id)


async def pages_are_sound(office: Office, viewer: Principal, whole: Sequence[AccessRule]) -> None:
    """Every page is full but the last, and together they are the ``whole``, from either end."""
    for is_backward in (False, True):
        request, walked = PageRequest(2, is_backward=is_backward), list[AccessRule]()
        while True:
            page = await office.policies.list(viewer, request)
            walked += reversed(page.nodes) if is_backward else page.nodes
            if not (page.has_previous_page if is_backward else page.has_next_page):
                break
            assert len(page.nodes) == 2
            request = replace(request, cursor=page.cursor_of(page.nodes[0 if is_backward else -1]))
        assert walked == list(reversed(whole) if is_backward else whole), viewer


async def test_rules_on_a_thing_are_shown_as_far_as_the_viewer_shares(office: Office) -> None:
    about_bob = await ruled(office.world, office.alice, wish(office.bob, office.inner.id))
    home = await home_of(office.world, office.alice)
    above = await ruled(office.world, office.alice, wish(office.bob, home, WRITE, deny=True))
    (own,) = [rule for rule in await rules_on(office.world, office.alice, home) if rule not in {above}]

    async def seen(viewer: Principal, resource: str = office.file.id) -> set[AccessRule]:
        return set(await rules_on(office.world, viewer, resource))

    assert await seen(office.admin) == await seen(office.alice) == {about_bob, above, own, office.held}
    assert await seen(office.sharon) == {about_bob, office.held}
    assert await seen(office.bob) == {about_bob}  # he does not see the folder that ``above`` is on
    assert await seen(office.bob, office.shared.id) == set()  # he does not see the folder
    assert await seen(ANONYMOUS) == await seen(office.admin, "label:none") == set()
    tags = [await office.policies.tag(viewer, Scope(office.inner.id)) for viewer in (office.admin, office.sharon)]
    assert tags == [tag_of([about_bob])] * 2
    assert await office.policies.tag(office.bob, Scope(office.inner.id)) is None
    assert await office.policies.tag(office.sharon, Scope(home)) is None
    assert await office.policies.tag(office.sharon, Scope("label:x")) is None


async def test_a_group_can_be_named_by_who_sees_it_only(office: Office) -> None:
    groups = office.world.services.groups
    own = await groups.create(office.admin, "sharers")
    other = await groups.create(office.admin, "secret")
    assert office.sharon.user_id is not None
    await groups.change_members(office.admin, own.id, [office.sharon.user_id], [])
    await ruled(office.world, office.sharon, office.lent(own.id, office.shared.id))
    unknown = await outcome(office.policies.create(office.sharon, office.lent(other.id, office.shared.id)))
    absent = await outcome(office.policies.create(office.sharon, office.lent("group_" + "1" * 26, office.shared.id)))
    assert isinstance(unknown, DeliveryError)
    assert isinstance(absent, DeliveryError)
    assert (unknown.code, unknown.message, unknown.path) == (absent.code, absent.message, absent.path)
    await ruled(office.world, office.admin, office.lent(other.id, office.shared.id))


async def test_the_last_administrator_by_rule_stays(office: Office) -> None:
    policies, carol = office.policies, await office.world.principal("carol")
    rule = await ruled(office.world, office.admin, wish(carol, ROOT, ADMINISTER))
    for change in (
        DeleteRule(rule.id, 1),
        UpdateRule(rule.id, 1, {"permissions": frozenset({AUDIT})}),
        UpdateRule(rule.id, 1, {"ends_at": START + DAY}),
        UpdateRule(rule.id, 1, {"ip_ranges": ("10.0.0.0/8",)}),
        UpdateRule(rule.id, 1, {"starts_at": START + DAY}),
        UpdateRule(rule.id, 1, {"subject": Invitee(email="typo@example.test")}),
        UpdateRule(rule.id, 1, {"effect": Effect.DENY}),
        CreateRule(wish(carol, ROOT, ADMINISTER, deny=True)),
        CreateRule(wish(carol, ROOT, ADMINISTER, deny=True, starts_at=START + DAY)),
        ReplaceRules(Scope(ROOT), tag_of(await rules_on(office.world, carol, ROOT)), ()),
    ):
        rehearsed, done = [await outcome(work(carol, [change])) for work in (policies.preview, policies.apply)]
        assert isinstance(done, Conflict), change
        assert isinstance(rehearsed, Conflict), change
    second = await ruled(office.world, carol, wish(office.bob, ROOT, ADMINISTER))
    both = [outcome(policies.delete(carol, rule.id, 1)), outcome(policies.delete(office.bob, second.id, 1))]
    results = await asyncio.gather(*both)
    assert sum(isinstance(result, DeliveryError) for result in results) == 1
    left = [rule for rule in await rules_on(office.world, office.admin, ROOT) if ADMINISTER in rule.terms.permissions]
    assert len(left) == 1
    await policies.delete(office.admin, left[0].id, 1)  # whose token says so may


async def test_hidden_and_absent_run_the_same_statements(office: Office) -> None:
    stranger, policies = await office.world.principal("stranger"), office.policies
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        said.append(statement)

    event.listen(office.world.database._engine.sync_engine, "before_cursor_execute", note)

    async def statements(work: Awaitable[object]) -> list[str]:
        said.clear()
        await outcome(work)
        return list(said)

    await statements(policies.create(stranger, wish(stranger, office.file.id)))  # what is remembered now is
    about_things: list[Callable[[Any], Awaitable[object]]] = [
        lambda thing: policies.explain(stranger, thing, READ),
        lambda thing: policies.list(stranger, PageRequest(10), thing),
        lambda thing: policies.tag(stranger, thing),
        lambda thing: policies.create(stranger, wish(stranger, thing)),
        lambda thing: policies.replace(stranger, thing, "", []),
        lambda thing: policies.preview(stranger, [CreateRule(wish(stranger, thing))]),
    ]
    for ask in about_things:
        for hidden, absent in (
            (office.file.id, new_file_id(START)),
            (office.inner.id, new_folder_id(START)),
        ):
            assert await statements(ask(hidden)) == await statements(ask(absent)) != []
    about_rules: list[Callable[[RuleId], Awaitable[object]]] = [
        lambda rule_id: policies.find(stranger, [rule_id]),
        lambda rule_id: policies.delete(stranger, rule_id, 1),
        lambda rule_id: policies.update(stranger, rule_id, 1, {}),
    ]
    for act in about_rules:
        assert await statements(act(office.held.id)) == await statements(act(new_rule_id(START))) != []
