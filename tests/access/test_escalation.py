"""In generated worlds: whoever gains something by a change that was let pass gains what the one who made it could do.

The naive reference looks before and after, at any later time and from any address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import Phase, event, find, given, settings
from hypothesis import strategies as st

from graphql_api.access import authority as the_authority
from graphql_api.model.file import File, Folder
from graphql_api.model.principal import CONTENT_PERMISSIONS, Address, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, AccessRule, Effect, RuleTerms, Scope, Subject, label_scope
from tests.access import reference
from tests.access.mutants import mutant
from tests.access.worlds import (
    GROUPS,
    INSTANTS,
    LABELS,
    PRINCIPALS,
    THOROUGH,
    USERS,
    RuledWorld,
    addresses,
    moments,
    rule_of,
    worlds,
)

SHARER: Final = Principal(USERS[0])
ESCALATING: Final = settings(THOROUGH, max_examples=600)
_JUST_READ: Final = frozenset({Permission.READ})
_NUMBERS: Final = st.integers(0, 63)


@dataclass(frozen=True)
class Case:
    """A sharer at ``now`` from ``address``, and numbers that choose what they try."""

    world: RuledWorld
    now: datetime
    address: Address | None
    terms: RuleTerms
    later: datetime
    elsewhere: Address | None
    numbers: tuple[int, int, int]


# Under which conditions somebody holds something, or is denied it.
_CONDITIONS: Final[tuple[Mapping[str, Any], ...]] = (
    *[{}] * 4,
    {"starts_at": INSTANTS[1]},
    {"starts_at": INSTANTS[2], "ends_at": INSTANTS[4]},
    {"ends_at": INSTANTS[3]},
    {"ip_ranges": ("192.0.2.0/24",)},
    {"ip_ranges": ("192.0.2.7/32", "2001:db8::/32")},
)
_SUBJECTS: Final = (*map(Subject, USERS), Subject(GROUPS[0].id), SIGNED_IN, ANYONE)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """The sharer holds everything at one folder, with denials somewhere, so that most of what goes wrong can."""
    world = draw(worlds(max_rules=3))
    places = [*(Scope(thing.id) for thing in world.things), *map(label_scope, LABELS)]

    def terms(effect: Effect, subjects: Sequence[Subject], permissions: frozenset[Permission]) -> RuleTerms:
        about, on = draw(st.sampled_from(subjects)), draw(st.sampled_from(places))
        return RuleTerms(effect, permissions, about, on, **draw(st.sampled_from(_CONDITIONS)))

    top = Scope(draw(st.sampled_from(world.folders[:3])).id)
    holding = replace(terms(Effect.ALLOW, _SUBJECTS[:1], CONTENT_PERMISSIONS), resource=top)
    denials = [terms(Effect.DENY, _SUBJECTS, _JUST_READ) for _ in range(2)]
    rules = [*(rule.terms for rule in world.rules), holding, *denials]
    now = draw(moments())
    return Case(
        replace(world, rules=tuple(rule_of(number, each) for number, each in enumerate(dict.fromkeys(rules), start=1))),
        now,
        draw(addresses()),
        terms(draw(st.sampled_from(Effect)), _SUBJECTS, _JUST_READ),
        draw(st.sampled_from([instant for instant in INSTANTS if instant >= now])),
        draw(addresses()),
        draw(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS)),
    )


def is_escalation(case: Case, after: RuledWorld) -> bool:
    """Whether anybody may do anything, later or elsewhere, that they might not and the sharer may not either."""
    when = case.later, case.elsewhere
    before = case.world
    return any(
        reference.may(after, principal, permission, new, *when)
        and not reference.may(before, principal, permission, old, *when)
        and not reference.may(before, SHARER, permission, old, *when)
        for old, new in zip(before.things, after.things, strict=True)
        for permission in CONTENT_PERMISSIONS
        for principal in PRINCIPALS
    )


def edited(authority: ModuleType, case: Case) -> RuledWorld | None:
    """The world after the sharer made, changed or deleted a rule; None if ``authority`` does not let them."""
    world, (choice, action, _) = case.world, case.numbers
    old = world.rules[choice % len(world.rules)] if action % 3 else None
    new = None if action % 3 == 1 else case.terms
    if old and new:
        new = replace(new, resource=old.terms.resource)
    before, resource = old.terms if old else None, (old.terms if old else case.terms).resource
    scopes: frozenset[str] = frozenset(world.chains.get(resource, (ROOT,)))
    for file in world.files:
        if file.id == str(resource):
            scopes = world.scopes(file)
    standing = world.rulebook(SHARER).standing(case.now, case.address)
    if standing.is_admin or authority.missing_to_change(
        standing, resource=resource, scopes=scopes, before=before, after=new
    ):
        return None
    kept = [rule for rule in world.rules if rule is not old]
    return replace(world, rules=(*kept, *([rule_of(99, new)] if new else [])))


def refiled(authority: ModuleType, case: Case) -> RuledWorld | None:
    """The world after the sharer moved something or changed a label; None if ``authority`` does not let them."""
    world, (choice, target, action) = case.world, case.numbers
    thing = world.things[choice % len(world.things)]
    change = _relabelled if action % 4 == 0 else _moved
    after = change(world, thing, target)
    if after is None:
        return None
    is_file = isinstance(thing, File)
    old = world.scopes(thing) if is_file else frozenset(world.chains[thing.id])
    moved = next(each for each in after.things if each.id == thing.id)
    new = after.scopes(moved) if is_file else frozenset(after.chains[thing.id])
    standing = world.rulebook(SHARER).standing(case.now, case.address)
    if standing.is_admin or authority.missing_to_refile(
        standing,
        thing=thing.id,
        scopes=old,
        gained=_on(world, new - old),
        escaped=_on(world, old - new),
        escaped_chains={scope: world.chains[scope] for scope in old - new if scope in world.chains},
        kept=_on(world, old),
    ):
        return None
    return after


def _on(world: RuledWorld, scopes: frozenset[str]) -> list[AccessRule]:
    return [rule for rule in world.rules if rule.terms.resource in scopes]


def _moved(world: RuledWorld, thing: File | Folder, target: int) -> RuledWorld | None:
    folder_id = world.folders[target % len(world.folders)].id
    if isinstance(thing, File):
        moved = replace(thing, folder_id=folder_id)
        return replace(world, files=tuple(moved if file is thing else file for file in world.files))
    if thing.parent_id is None or thing.id in world.chains[folder_id]:
        return None
    shifted = replace(thing, parent_id=folder_id)
    return replace(world, folders=tuple(shifted if folder is thing else folder for folder in world.folders))


def _relabelled(world: RuledWorld, thing: File | Folder, target: int) -> RuledWorld | None:
    if not isinstance(thing, File):
        return None
    return replace(world, labels={**world.labels, thing.id: world.labels[thing.id] ^ {LABELS[target % len(LABELS)]}})


@ESCALATING
@given(cases())
def test_who_edits_rules_opens_nothing_that_is_closed_to_them(case: Case) -> None:
    after = edited(the_authority, case)
    event("let pass" if after else "refused")
    assert after is None or not is_escalation(case, after)


@ESCALATING
@given(cases())
def test_who_moves_or_labels_opens_nothing_that_is_closed_to_them(case: Case) -> None:
    after = refiled(the_authority, case)
    event("let pass" if after else "refused")
    assert after is None or not is_escalation(case, after)


# Each breaks one line of the authority, as a hurried change might. What these worlds reach too rarely, such as a denial
# that binds other addresses only, the tables of test_authority hold.
MUTANTS: Final = {
    "a denial that binds is lifted": ("if before is not None and _binds(standing, before):", "if not standing:"),
    "a denial is no matter to the giver": ("(*applying, *coming, *elsewhere) if", "(*coming, *elsewhere) if"),
    "a denial below is no matter": ("resource in standing.chains.get(denied, ())", "not resource"),
    "to narrow a denial is no lifting": ("if after is None or not _says(after, before, permission):", "if not after:"),
    "to move away from a denial is no lifting": ("for rule in escaped:", "for rule in ():"),
    "to move below an allowance is no giving": ("for rule in gained:", "for rule in ():"),
    "any rule before is as good": (
        "if not any(_says(other.terms, terms, permission) for other in others)",
        "if not others",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_authority_is_noticed(name: str) -> None:
    broken = mutant(the_authority, *MUTANTS[name])

    def escalates(case: Case) -> bool:
        worlds_after = (edited(broken, case), refiled(broken, case))
        return any(after is not None and is_escalation(case, after) for after in worlds_after)

    found = find(cases(), escalates, settings=settings(THOROUGH, max_examples=2000, phases=[Phase.generate]))
    assert escalates(found)
