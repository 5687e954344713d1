"""One meaning: what a standing decides, and on what terms, is what the naive reference says."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

import pytest
from hypothesis import given

from graphql_api.access import read_grant
from graphql_api.access.standing import Rulebook, Standing
from graphql_api.model.delivery import ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.principal import Address, Permission, Principal
from graphql_api.model.rule import (
    ANYONE,
    NO_OBLIGATIONS,
    PLAIN,
    ROOT,
    Effect,
    Obligations,
    ReadTerms,
    RuleTerms,
    label_scope,
)
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
    worlds,
)

HERE: Final = ip_address("192.0.2.7")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@BRISK
@given(worlds(), principals(), moments(), addresses())
def test_a_standing_decides_as_the_rules_read(
    world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    standing = world.rulebook(principal).standing(now, address)
    assert standing.is_admin == reference.is_administrator(world, principal, now, address)
    for thing in world.things:
        for permission in Permission:
            expected = reference.may(world, principal, permission, thing, now, address)
            assert standing.may(permission, world.scopes(thing)) == expected, (thing.id, permission)


@BRISK
@given(worlds(), principals(), moments(), addresses())
def test_a_standing_gives_the_terms_that_the_rules_give(
    world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    standing = world.rulebook(principal).standing(now, address)
    for file in world.files:
        found = standing.read_terms(world.scopes(file))
        assert found == reference.terms(world, principal, file, now, address), file.id
        if standing.reads_plainly and standing.may(Permission.READ, world.scopes(file)):
            assert found == PLAIN


@BRISK
@given(worlds(), principals(), moments(), addresses())
def test_a_standing_holds_until_the_next_change(
    world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    book = world.rulebook(principal)
    change = book.next_change(now)
    last = change - timedelta(microseconds=1) if change else now + 1000 * DAY
    assert book.standing(now, address) == book.standing(last, address)


def standing(
    *terms: RuleTerms, address: Address | None = HERE, user: UserId | None = None, is_admin: bool = False
) -> Standing:
    rules = tuple(rule_of(number, each) for number, each in enumerate(terms, start=1))
    return Rulebook(user, is_admin, rules=rules).standing(BEGINNING, address)


def allow(obligations: Obligations = NO_OBLIGATIONS, **conditions: Any) -> RuleTerms:
    return RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), ANYONE, ROOT, obligations=obligations, **conditions)


def deny(**conditions: Any) -> RuleTerms:
    return RuleTerms(Effect.DENY, frozenset({Permission.READ}), ANYONE, ROOT, **conditions)


FROM_OFFICE: Final[Mapping[str, Any]] = {"ip_ranges": ("192.0.2.0/24",)}


@pytest.mark.parametrize(
    ("generous", "strict", "expected"),
    [
        (allow(), allow(Obligations(max_lifetime=HOUR, forces_download=True)), PLAIN),
        (allow(Obligations(max_lifetime=DAY)), allow(Obligations(max_lifetime=HOUR)), ReadTerms(max_lifetime=DAY)),
        (allow(ends_at=BEGINNING + DAY), allow(ends_at=BEGINNING + HOUR), ReadTerms(until=BEGINNING + DAY)),
        # To be shown in the page counts for more than to last.
        (
            allow(Obligations(max_lifetime=HOUR)),
            allow(Obligations(forces_download=True)),
            ReadTerms(max_lifetime=HOUR),
        ),
        # To work from anywhere counts for more than anything.
        (
            allow(Obligations(max_lifetime=HOUR, forces_download=True), ends_at=BEGINNING + HOUR),
            allow(Obligations(binds_ip=True)),
            ReadTerms(max_lifetime=HOUR, forces_download=True, until=BEGINNING + HOUR),
        ),
        (allow(Obligations(forces_download=True)), allow(**FROM_OFFICE), ReadTerms(forces_download=True)),
        # To be shared counts for more than to last.
        (allow(Obligations(max_lifetime=HOUR)), allow(Obligations(personal_links=True)), ReadTerms(max_lifetime=HOUR)),
        (
            allow(Obligations(personal_links=True)),
            allow(Obligations(forces_download=True)),
            ReadTerms(personal_links=True),
        ),
        # To last counts for more than to be there late.
        (
            allow(Obligations(max_lifetime=DAY), ends_at=BEGINNING + HOUR),
            allow(Obligations(max_lifetime=HOUR)),
            ReadTerms(max_lifetime=DAY, until=BEGINNING + HOUR),
        ),
        # Where all is equal, the older rule is told as the one that decided; the terms are the same.
        (allow(**FROM_OFFICE), allow(**FROM_OFFICE), ReadTerms(ip_range="192.0.2.0/24")),
    ],
)
def test_the_most_generous_rule_wins_as_a_whole_whichever_comes_first(
    generous: RuleTerms, strict: RuleTerms, expected: ReadTerms
) -> None:
    assert standing(generous, strict).read_terms({ROOT}) == expected
    assert standing(strict, generous).read_terms({ROOT}) == expected


def test_owners_and_administrators_read_on_plain_terms() -> None:
    strict = allow(Obligations(max_lifetime=HOUR, binds_ip=True, forces_download=True))
    assert standing(strict, user=USERS[0]).read_terms({ROOT, USERS[0]}) == PLAIN
    assert standing(strict, deny(), user=USERS[0], is_admin=True).read_terms({ROOT}) == PLAIN


def test_a_denial_to_come_ends_every_link_but_an_administrators() -> None:
    coming = deny(starts_at=BEGINNING + HOUR)
    assert standing(allow(ends_at=BEGINNING + DAY), coming).read_terms({ROOT}) == ReadTerms(until=BEGINNING + HOUR)
    assert standing(coming, user=USERS[0]).read_terms({ROOT, USERS[0]}) == ReadTerms(until=BEGINNING + HOUR)
    assert standing(coming, user=USERS[0], is_admin=True).read_terms({ROOT}) == PLAIN
    earlier = allow(ends_at=BEGINNING + timedelta(minutes=1))
    assert standing(earlier, coming).read_terms({ROOT}) == ReadTerms(until=BEGINNING + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("terms", "address", "ip_range"),
    [
        (allow(ip_ranges=("192.0.2.7/32", "192.0.2.0/24")), HERE, "192.0.2.0/24"),
        (allow(Obligations(binds_ip=True), ip_ranges=("192.0.2.0/24",)), HERE, "192.0.2.7/32"),
        (allow(Obligations(binds_ip=True)), HERE, "192.0.2.7/32"),
    ],
)
def test_a_condition_on_the_address_travels_into_the_link(terms: RuleTerms, address: Address, ip_range: str) -> None:
    assert standing(terms, address=address).read_terms({ROOT}) == ReadTerms(ip_range=ip_range)


@pytest.mark.parametrize("address", [None, ip_address("2001:db8::1")])
def test_what_a_link_cannot_be_bound_to_is_visible_and_not_downloadable(address: Address | None) -> None:
    bound = standing(allow(Obligations(binds_ip=True)), address=address)
    assert bound.may(Permission.READ, {ROOT})
    assert bound.read_terms({ROOT}) is None
    freely_too = standing(allow(Obligations(binds_ip=True)), allow(Obligations(max_lifetime=HOUR)), address=address)
    assert freely_too.read_terms({ROOT}) == ReadTerms(max_lifetime=HOUR)


def test_what_is_denied_elsewhere_is_linked_to_from_here_only() -> None:
    """Or the link would do from there what the rule denies; owners are bound too, administrators are not."""
    away = deny(ip_ranges=("198.51.100.0/24",))
    bound = ReadTerms(ip_range="192.0.2.7/32")
    assert standing(allow(), away).read_terms({ROOT}) == bound
    assert standing(allow(ip_ranges=("192.0.0.0/16",)), away).read_terms({ROOT}) == bound
    assert standing(away, user=USERS[0]).read_terms({ROOT, USERS[0]}) == bound
    assert standing(away, user=USERS[0], is_admin=True).read_terms({ROOT}) == PLAIN
    assert not standing(allow(), away).reads_plainly
    from_ipv6 = standing(allow(), away, address=ip_address("2001:db8::1"))
    assert from_ipv6.may(Permission.READ, {ROOT})
    assert from_ipv6.read_terms({ROOT}) is None
    of_something_else = standing(allow(), replace(away, resource=label_scope("x")))
    assert of_something_else.read_terms({ROOT}) == PLAIN


def test_a_grant_is_made_of_the_terms_on_which_a_file_was_found() -> None:
    file = File(
        FileId("file_1"), FolderId("folder_1"), USERS[0], "a", 0, "a/b", "a/b", None, "o/1", BEGINNING, BEGINNING
    )
    assert read_grant(file) is None
    assert read_grant(replace(file, terms=PLAIN)) == ReadGrant(replace(file, terms=PLAIN), PLAIN)


def test_an_unknown_address_is_every_address_to_a_denial_and_none_to_an_allowance() -> None:
    assert not standing(allow(**FROM_OFFICE), address=None).may(Permission.READ, {ROOT})
    assert not standing(allow(), deny(**FROM_OFFICE), address=None).may(Permission.READ, {ROOT})
