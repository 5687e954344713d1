"""How long links outlive what allowed them: never told too early, and nothing when nobody loses anything."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from graphql_api.model.ids import new_rule_id
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, SIGNED_IN, AccessRule, Effect, Obligations, RuleTerms, label_scope
from graphql_api.services.old_links import old_links_expire_by
from tests.world import START

LONGEST, HOUR = timedelta(days=1), timedelta(hours=1)
LATEST = START + LONGEST
DENY, WRITE = Effect.DENY, frozenset({Permission.WRITE})
PLAIN = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), SIGNED_IN, label_scope("x"))
SHORT = replace(PLAIN, obligations=Obligations(HOUR))
ADMIN = replace(PLAIN, permissions=frozenset({Permission.ADMINISTER}), resource=ROOT)


def rule(terms: RuleTerms | None, version: int = 1, updated_at: datetime = START - 30 * LONGEST) -> AccessRule | None:
    return None if terms is None else AccessRule(new_rule_id(START), terms, version, None, START, updated_at)


def until(before: AccessRule | None, after: AccessRule | None, *, binds_links: bool = True) -> datetime | None:
    return old_links_expire_by(before, after, now=START, link_max_lifetime=LONGEST, binds_links=binds_links)


def but(**changes: Any) -> RuleTerms:
    return replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, PLAIN, None),
        (PLAIN, PLAIN, None),
        (PLAIN, SHORT, None),  # a shorter link later is no loss
        (PLAIN, None, LATEST),
        (SHORT, None, START + HOUR),
        (but(permissions=WRITE), None, None),
        (PLAIN, but(permissions=WRITE), LATEST),
        (PLAIN, but(permissions=WRITE | PLAIN.permissions), None),
        (PLAIN, but(effect=DENY), LATEST),
        (PLAIN, but(resource=label_scope("y")), LATEST),
        (but(ends_at=START), None, None),
        (but(ends_at=START + HOUR), None, START + HOUR),
        (but(starts_at=START + HOUR), None, None),  # nobody has a link yet
        (PLAIN, but(starts_at=START + HOUR), LATEST),
        (PLAIN, but(ends_at=START + HOUR), LATEST),
        (PLAIN, but(ends_at=LATEST), None),  # the last link ends with the rule
        (SHORT, but(ends_at=START + HOUR), None),
        (PLAIN, but(ip_ranges=("10.0.0.0/8",)), LATEST),
        (but(ip_ranges=("10.0.0.0/8",)), PLAIN, None),
        (but(ip_ranges=("10.0.0.0/8",)), but(ip_ranges=("10.0.0.0/7", "::/0")), None),
        (but(ip_ranges=("10.0.0.0/8",)), but(ip_ranges=("10.0.0.0/9", "::/0")), LATEST),
        (None, but(effect=DENY), LATEST),
        (but(effect=DENY), None, None),
        (but(effect=DENY), PLAIN, None),
        (but(effect=DENY), but(effect=DENY), None),
        (None, but(effect=DENY, permissions=WRITE), None),
        (None, but(effect=DENY, starts_at=LATEST), None),
        (None, but(effect=DENY, starts_at=LATEST - HOUR), LATEST),
        (None, but(effect=DENY, ends_at=START), None),
        (but(effect=DENY, ip_ranges=("10.0.0.0/8",)), but(effect=DENY), LATEST),
        (but(effect=DENY, ends_at=START + HOUR), but(effect=DENY), LATEST),
    ],
)
def test_links_last_as_long_as_the_rule_let_them(
    before: RuleTerms | None, after: RuleTerms | None, expected: datetime | None
) -> None:
    assert until(rule(before), rule(after)) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ADMIN, None, LATEST),
        (None, ADMIN, None),
        (ADMIN, ADMIN, None),
        (None, replace(ADMIN, effect=DENY), LATEST),
        (replace(ADMIN, effect=DENY), None, None),
        (ADMIN, replace(ADMIN, permissions=PLAIN.permissions), LATEST),  # a denial may bind them now
        (replace(ADMIN, permissions=PLAIN.permissions), ADMIN, LATEST),  # somebody may deny them to administer
        (replace(ADMIN, permissions=PLAIN.permissions), replace(ADMIN, permissions=frozenset(Permission)), None),
        (replace(ADMIN, ends_at=START + HOUR), None, LATEST),  # links of administrators do not end with the rule
        (replace(ADMIN, ends_at=START), None, None),
        (replace(ADMIN, permissions=frozenset(Permission), obligations=Obligations(HOUR)), None, LATEST),
        (ADMIN, replace(ADMIN, ip_ranges=("10.0.0.0/8",)), LATEST),
    ],
)
def test_who_administers_reads(before: RuleTerms | None, after: RuleTerms | None, expected: datetime | None) -> None:
    assert until(rule(before), rule(after)) == expected
    assert until(rule(before), rule(after), binds_links=False) == expected


BINDING, PERSONAL = but(obligations=Obligations(binds_ip=True)), but(obligations=Obligations(personal_links=True))
SAVING = but(obligations=Obligations(forces_download=True))
RANGED = but(ip_ranges=("10.0.0.0/8",))


@pytest.mark.parametrize(
    ("before", "after", "at_the_cdn", "at_a_store"),
    [
        (PLAIN, BINDING, LATEST, LATEST),  # nobody has one with IPv6
        (PERSONAL, BINDING, LATEST, None),
        (RANGED, replace(RANGED, obligations=Obligations(binds_ip=True)), None, None),  # nobody had one with IPv6
        (BINDING, PLAIN, None, None),
        (BINDING, BINDING, None, None),
        (PLAIN, PERSONAL, None, LATEST),
        (PERSONAL, PLAIN, None, None),
        (PLAIN, SAVING, None, None),
    ],
)
def test_who_reads_on_without_links_loses_them(
    before: RuleTerms, after: RuleTerms, at_the_cdn: datetime | None, at_a_store: datetime | None
) -> None:
    assert until(rule(before), rule(after)) == at_the_cdn
    assert until(rule(before), rule(after), binds_links=False) == at_a_store


def test_a_rule_may_have_been_more_generous_before_it_was_changed() -> None:
    assert until(rule(SHORT, 2, START - HOUR), None) == LATEST - HOUR
    assert until(rule(SHORT, 2, START - 2 * LONGEST), None) == START + HOUR
    assert until(rule(but(ends_at=START), 2, START - HOUR), None) == LATEST - HOUR


@pytest.mark.parametrize("terms", [RANGED, BINDING, PERSONAL], ids=["ranged", "binding", "personal"])
def test_a_store_has_given_no_links_on_terms_that_its_links_cannot_keep(terms: RuleTerms) -> None:
    assert until(rule(terms), None) == LATEST
    assert until(rule(terms), None, binds_links=False) is None
    assert until(rule(terms, 2, START - HOUR), None, binds_links=False) == LATEST - HOUR  # it may have had others
    assert until(rule(PLAIN), rule(terms), binds_links=False) == LATEST
