"""Why somebody may or may not, told to those who may know."""

from datetime import timedelta
from ipaddress import ip_address

import pytest

from graphql_api.db import scopes
from graphql_api.errors import Forbidden, InvalidInput
from graphql_api.model.decision import AccessDecision, Ground, Verdict
from graphql_api.model.ids import new_file_id, new_group_id, new_user_id
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, AccessRule, Subject
from graphql_api.services.rule_explanations import Question
from tests.services.rulings import outcome, refusal, ruled, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import START, World

READ, WRITE, AUDIT = Permission.READ, Permission.WRITE, Permission.AUDIT
DAY = timedelta(days=1)


def told(decision: AccessDecision | None) -> dict[AccessRule, Verdict]:
    assert decision is not None
    return {considered.rule: considered.verdict for considered in decision.considered}


async def test_it_names_the_rule_that_decided_and_why_the_others_did_not(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder = await foldered(world, alice, "shared")
    file = await filed(world, alice, folder_id=folder.id)
    lent = await ruled(world, alice, wish(bob, folder.id, READ, WRITE))
    denied = await ruled(world, alice, wish(SIGNED_IN, file.id, WRITE, deny=True))
    later = await ruled(world, alice, wish(bob, file.id, WRITE, starts_at=START + DAY))
    decision = await world.services.policies.explain(bob, file.id, WRITE)
    assert decision is not None
    assert (decision.is_allowed, decision.ground, decision.deciding_rule) == (False, Ground.RULE, denied)
    assert told(decision) == {denied: Verdict.DECIDED, lent: Verdict.OVERRULED, later: Verdict.NOT_YET}
    reading = await world.services.policies.explain(bob, file.id, READ)
    assert reading is not None
    assert (reading.is_allowed, reading.deciding_rule) == (True, lent)
    assert reading.terms is not None
    on_folder = await world.services.policies.explain(bob, folder.id, WRITE)
    assert on_folder is not None
    assert on_folder.is_allowed


async def test_hidden_and_absent_things_are_not_explained(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file, folder = await filed(world, alice), await foldered(world, alice, "hidden")
    for thing in (file.id, folder.id, new_file_id(START)):
        for permission in Permission:
            for asker in (bob, ANONYMOUS):
                assert await world.services.policies.explain(asker, thing, permission) is None


async def test_who_is_no_auditor_hears_of_rules_about_themselves_only(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    file = await filed(world, alice)
    mine, everybodys = await ruled(world, alice, wish(bob, file.id)), await ruled(world, alice, wish(ANYONE, file.id))
    others = await ruled(world, alice, wish(carol, file.id))
    assert set(told(await world.services.policies.explain(bob, file.id, READ))) == {mine, everybodys}
    assert set(told(await world.services.policies.explain(ANONYMOUS, file.id, READ))) == {everybodys}
    admin = await world.principal("root", is_admin=True)
    everything = told(await world.services.policies.explain(admin, file.id, READ, subject=_subject(bob)))
    assert everything.keys() >= {mine, everybodys, others}
    assert everything[others] is Verdict.OTHER_SUBJECT


def _subject(principal: Principal) -> Subject:
    assert principal.user_id is not None
    return Subject(principal.user_id)


async def test_to_ask_about_others_takes_the_permission_to_audit(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin, auditor = await world.principal("root", is_admin=True), await world.principal("auditor")
    file = await filed(world, alice)
    explain = world.services.policies.explain
    for subject in (_subject(bob), ANYONE, SIGNED_IN, Subject(new_user_id(START)), Subject("?")):
        for asker, thing in ((alice, file.id), (alice, new_file_id(START)), (ANONYMOUS, file.id)):
            error = await outcome(explain(asker, thing, READ, subject=subject))
            assert isinstance(error, Forbidden)
            assert error.required_permission == AUDIT
    assert await explain(alice, file.id, READ, subject=_subject(alice)) is not None
    await ruled(world, admin, wish(auditor, ROOT, AUDIT))
    for asker in (auditor, admin):
        hidden = await explain(asker, file.id, READ, subject=_subject(bob))
        assert hidden is not None
        assert (hidden.is_allowed, hidden.ground) == (False, Ground.NO_RULE)
        owned = await explain(asker, file.id, READ, subject=_subject(alice))
        assert owned is not None
        assert (owned.is_allowed, owned.ground) == (True, Ground.OWNERSHIP)
        assert await explain(asker, new_file_id(START), READ, subject=_subject(bob)) is None
        for unknown in (new_user_id(START), new_group_id(START), "?"):
            assert await refusal(explain(asker, file.id, READ, subject=Subject(unknown))) == ("INVALID", ("subject",))
    nothing = await explain(auditor, file.id, READ)  # an auditor may be told why they may not
    assert nothing is not None
    assert not nothing.is_allowed


async def test_a_group_is_somebody_who_is_just_in_it(world: World) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    file = await filed(world, alice)
    group = await world.services.groups.create(admin, "readers")
    rule = await ruled(world, admin, wish(group.id, file.id))
    explain = world.services.policies.explain
    for subject, is_allowed in ((group.id, True), (SIGNED_IN, False), (ANYONE, False)):
        decision = await explain(admin, file.id, READ, subject=Subject(subject))
        assert decision is not None
        assert decision.is_allowed is is_allowed
        assert rule in told(decision)


@pytest.mark.parametrize(("address", "is_allowed"), [("10.1.2.3", True), ("192.0.2.1", False)])
async def test_it_can_be_asked_what_would_be_from_elsewhere(world: World, address: str, is_allowed: bool) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id, ip_ranges=("10.0.0.0/8",)))
    decision = await world.services.policies.explain(
        admin, file.id, READ, subject=_subject(bob), address=ip_address(address)
    )
    assert decision is not None
    assert decision.is_allowed is is_allowed
    assert told(decision)[rule] is (Verdict.DECIDED if is_allowed else Verdict.OTHER_ADDRESS)


async def test_an_explanation_agrees_with_what_happens(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, await home_of(world, alice), ends_at=START + DAY))
    decision = await world.services.policies.explain(bob, file.id, READ)
    found = (await world.services.files.find(bob, [file.id]))[file.id]
    assert decision is not None
    assert decision.terms == found.terms
    assert decision.deciding_rule == rule
    world.clock.advance(days=1)
    assert await world.services.policies.explain(bob, file.id, READ) is None


async def test_an_id_of_another_kind_is_nothing_to_explain(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    for thing in ("?", str(admin.user_id), "label:x"):
        found = await outcome(world.services.policies.explain(admin, thing, READ))  # type: ignore[arg-type]
        assert found is None or isinstance(found, InvalidInput), thing


async def test_of_a_file_one_reads_all_denials_on_labels_are_told_but_no_rules_on_hidden_folders(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    file, other = await filed(world, alice), await filed(world, alice, "other.txt")
    home = await home_of(world, alice)
    async with world.database.transaction() as connection:
        await scopes.change_labels(connection, file, add=["draft"])
    for thing in (file, other):
        await ruled(world, alice, wish(bob, thing.id))
    on_label = await ruled(world, admin, wish(SIGNED_IN, "label:draft", WRITE, deny=True))
    world.clock.advance(seconds=1)  # of several that deny the oldest decides
    on_home = await ruled(world, admin, wish(SIGNED_IN, home, WRITE, deny=True, ip_ranges=("0.0.0.0/0",)))
    questions: list[Question] = [(file.id, WRITE), (other.id, WRITE), (home, READ), (new_file_id(START), READ)]
    found = await world.services.policies.explain_own(bob, questions)
    assert set(found) == set(questions[:2])
    assert [found[question].ground for question in questions[:2]] == [Ground.RULE] * 2
    assert [found[question].deciding_rule for question in questions[:2]] == [on_label, None]
    assert on_home not in {**told(found[file.id, WRITE]), **told(found[other.id, WRITE])}
    for question, decision in found.items():
        assert decision == await world.services.policies.explain(bob, *question)
    whole = await world.services.policies.explain(admin, other.id, WRITE, subject=_subject(bob))
    assert whole is not None
    assert whole.deciding_rule == on_home
