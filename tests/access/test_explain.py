"""An explanation says what the standing decides, by which rule, and what became of every other."""

from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.access.explain import explain
from graphql_api.access.standing import Rulebook
from graphql_api.model.decision import AccessDecision, Ground, Verdict
from graphql_api.model.file import File, Folder
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Address, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, Effect, Obligations, RuleTerms, Subject
from tests.access import reference
from tests.access.worlds import (
    BEGINNING,
    BRISK,
    USERS,
    RuledWorld,
    addresses,
    moments,
    principals,
    rule_of,
    subjects_of,
    worlds,
)

APPLIED: Final = {Verdict.DECIDED, Verdict.AGREED, Verdict.OVERRULED}


def explained(
    world: RuledWorld,
    principal: Principal,
    permission: Permission,
    thing: File | Folder,
    now: datetime,
    address: Address | None,
) -> AccessDecision:
    scopes = world.scopes(thing)
    return explain(
        world.rulebook(principal).standing(now, address),
        [rule for rule in world.rules if rule.terms.resource in scopes],
        subjects_of(principal, world.groups_of(principal)),
        permission,
        scopes,
        now,
        address,
    )


@BRISK
@given(worlds(), principals(), st.sampled_from(Permission), moments(), addresses())
def test_an_explanation_agrees_with_the_rules(
    world: RuledWorld, principal: Principal, permission: Permission, now: datetime, address: Address | None
) -> None:
    for thing in world.things:
        decision = explained(world, principal, permission, thing, now, address)
        assert decision.is_allowed == reference.may(world, principal, permission, thing, now, address)
        applying = set(reference.rules_on(world, thing, principal, permission, now, address))
        told = {one.rule for one in decision.considered if one.verdict in APPLIED}
        by_administering = {decision.deciding_rule} if decision.ground is Ground.ADMINISTRATOR else set()
        assert told - by_administering == applying - by_administering
        if isinstance(thing, File) and permission is Permission.READ:
            assert decision.terms == reference.terms(world, principal, thing, now, address)
            assert (decision.link_fault is not None) == (decision.is_allowed and decision.terms is None)
        else:
            assert decision.terms is None
            assert decision.link_fault is None


@BRISK
@given(worlds(), principals(), st.sampled_from(Permission), moments(), addresses())
def test_every_rule_is_considered_once_and_at_most_one_decides(
    world: RuledWorld, principal: Principal, permission: Permission, now: datetime, address: Address | None
) -> None:
    for thing in world.things:
        decision = explained(world, principal, permission, thing, now, address)
        on_thing = [rule.id for rule in world.rules if rule.terms.resource in world.scopes(thing)]
        assert sorted(one.rule.id for one in decision.considered) == on_thing
        deciding = [one.rule for one in decision.considered if one.verdict is Verdict.DECIDED]
        assert deciding == ([decision.deciding_rule] if decision.deciding_rule else [])
        assert deciding == [one.rule for one in decision.considered[:1]] or not deciding
        if decision.ground is Ground.RULE:
            assert (deciding[0].terms.effect is Effect.ALLOW) == decision.is_allowed
        for one in decision.considered:
            if one.verdict is Verdict.AGREED:
                assert (one.rule.terms.effect is Effect.ALLOW) == decision.is_allowed


@BRISK
@given(worlds(), principals(), st.sampled_from(Permission), moments(), addresses())
def test_rules_that_did_not_apply_could_as_well_not_exist(
    world: RuledWorld, principal: Principal, permission: Permission, now: datetime, address: Address | None
) -> None:
    for thing in world.things:
        decision = explained(world, principal, permission, thing, now, address)
        applied = tuple(one.rule for one in decision.considered if one.verdict in APPLIED)
        about_administering = [rule for rule in world.rules if rule.terms.permissions & ADMINISTRATIVE_PERMISSIONS]
        without = replace(world, rules=tuple({*applied, *about_administering}))
        assert reference.may(without, principal, permission, thing, now, address) == decision.is_allowed


HERE: Final = ip_address("192.0.2.7")
HOUR: Final = timedelta(hours=1)
READ: Final = frozenset({Permission.READ})
ALICE: Final = Principal(USERS[0])


def allow(subject: str = ANYONE, **more: object) -> RuleTerms:
    return replace(RuleTerms(Effect.ALLOW, READ, Subject(subject), ROOT), **more)  # type: ignore[arg-type]


def deny(subject: str = ANYONE, **more: object) -> RuleTerms:
    return replace(allow(subject, **more), effect=Effect.DENY)


def ask(*terms: RuleTerms, owner: int = 2, address: Address | None = HERE, is_admin: bool = False) -> AccessDecision:
    """May Alice read a file of ``owner``, in the root?"""
    rules = [rule_of(number, each) for number, each in enumerate(terms, start=1)]
    subjects = subjects_of(ALICE, ())
    about_her = tuple(rule for rule in rules if rule.terms.subject in subjects)
    standing = Rulebook(ALICE.user_id, is_admin, rules=about_her).standing(BEGINNING, address)
    scopes = {ROOT, "file_" + "1" * 26, USERS[owner]}
    return explain(standing, rules, subjects, Permission.READ, scopes, BEGINNING, address)


@pytest.mark.parametrize(
    ("terms", "verdict", "sentence"),
    [
        (allow(USERS[1]), Verdict.OTHER_SUBJECT, "Does not apply: it is about somebody else."),
        (
            allow(permissions=frozenset({Permission.WRITE})),
            Verdict.OTHER_PERMISSION,
            "Does not apply: it says nothing about READ.",
        ),
        (
            allow(starts_at=BEGINNING + HOUR),
            Verdict.NOT_YET,
            "Does not apply yet: it starts at 2026-11-22T01:00:00Z.",
        ),
        (
            allow(ends_at=BEGINNING),
            Verdict.ENDED,
            "Does not apply any more: it ended at 2026-11-22T00:00:00Z.",
        ),
        (
            allow(ip_ranges=("198.51.100.0/24",)),
            Verdict.OTHER_ADDRESS,
            "Does not apply: it is for requests from certain addresses, and 192.0.2.7 is none of them.",
        ),
    ],
)
def test_a_rule_that_does_not_apply_says_why(terms: RuleTerms, verdict: Verdict, sentence: str) -> None:
    decision = ask(terms)
    assert (decision.is_allowed, decision.ground) == (False, Ground.NO_RULE)
    assert decision.explanation == "READ is denied: no rule that applies allows it."
    assert [(one.verdict, one.explanation) for one in decision.considered] == [(verdict, sentence)]


def test_an_allowance_for_certain_addresses_does_not_apply_to_an_unknown_one() -> None:
    (considered,) = ask(allow(ip_ranges=("198.51.100.0/24",)), address=None).considered
    assert considered.verdict is Verdict.OTHER_ADDRESS
    assert considered.explanation.endswith("from where this one comes is not known.")


STRICT: Final = Obligations(max_lifetime=HOUR)
DECIDED, AGREED, OVERRULED = Verdict.DECIDED, Verdict.AGREED, Verdict.OVERRULED


@pytest.mark.parametrize(
    ("decision", "ground", "verdicts", "explanation"),
    [
        (ask(allow(), allow(SIGNED_IN)), Ground.RULE, [DECIDED, AGREED], "allowed: a rule allows it"),
        (ask(allow(obligations=STRICT), allow(SIGNED_IN)), Ground.RULE, [DECIDED, OVERRULED], "allowed: a rule allows"),
        (ask(deny(), allow(), deny(SIGNED_IN)), Ground.RULE, [DECIDED, OVERRULED, AGREED], "denied: a rule denies it."),
        (ask(deny(), owner=0), Ground.RULE, [DECIDED], "denied: a rule denies it."),
        (ask(allow(), owner=0), Ground.OWNERSHIP, [AGREED], "allowed: they own it"),
        (ask(allow(obligations=STRICT), owner=0), Ground.OWNERSHIP, [OVERRULED], "allowed: they own it"),
        (ask(deny(), is_admin=True), Ground.ADMINISTRATOR, [OVERRULED], "allowed: they are an administrator."),
        (ask(), Ground.NO_RULE, [], "denied: no rule"),
    ],
)
def test_what_decided_is_told_first(
    decision: AccessDecision, ground: Ground, verdicts: list[Verdict], explanation: str
) -> None:
    assert decision.ground is ground
    assert [one.verdict for one in decision.considered] == verdicts
    assert decision.explanation.startswith(f"READ is {explanation}")
    assert (decision.deciding_rule is not None) == (DECIDED in verdicts)


def test_whom_a_rule_makes_an_administrator_is_told_by_which() -> None:
    makes_admin = allow(USERS[0], permissions=frozenset({Permission.ADMINISTER}))
    decision = ask(deny(), makes_admin)
    assert (decision.ground, decision.is_allowed) == (Ground.ADMINISTRATOR, True)
    assert decision.deciding_rule is not None
    assert decision.deciding_rule.terms == makes_admin
    assert [one.verdict for one in decision.considered] == [DECIDED, OVERRULED]
    assert "administrator" in decision.considered[0].explanation


@pytest.mark.parametrize(
    ("address", "reason"), [(None, "is not known"), (ip_address("2001:db8::1"), "can be bound to IPv4 addresses")]
)
def test_what_may_be_read_and_not_downloaded_says_why(address: Address | None, reason: str) -> None:
    decision = ask(allow(obligations=Obligations(binds_ip=True)), address=address)
    assert decision.is_allowed
    assert decision.terms is None
    assert decision.link_fault is not None
    assert reason in decision.link_fault
    assert decision.link_fault in decision.explanation


def test_an_explanation_names_nobody() -> None:
    decision = ask(allow(USERS[1]), deny(USERS[2]), allow(), owner=1)
    said = [decision.explanation, *(one.explanation for one in decision.considered)]
    assert not any(user in sentence for user in USERS for sentence in said)
