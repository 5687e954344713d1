"""Nobody gives more than they hold: in tables of hostile cases, and in generated worlds compared before and after."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final

import pytest

from graphql_api.access.authority import Missing, missing_to_change, missing_to_refile
from graphql_api.access.standing import Rulebook, Standing
from graphql_api.model.principal import CONTENT_PERMISSIONS, Permission, Principal
from graphql_api.model.rule import (
    ANYONE,
    ROOT,
    SIGNED_IN,
    Effect,
    Obligations,
    RuleTerms,
    Scope,
    Subject,
    label_scope,
)
from tests.access.worlds import (
    BEGINNING,
    USERS,
    rule_of,
    subjects_of,
)

ALICE, BOB, CAROL = USERS
HERE: Final = ip_address("192.0.2.7")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOMORROW: Final = BEGINNING + DAY
TEAM, SECRET, OTHER = (f"folder_{number:026d}" for number in (1, 2, 3))  # the second is inside the first
PLAN, NOTES = (f"file_{number:026d}" for number in (1, 2))  # in the first folder, in the second
CHAINS: Final = {
    ROOT: (ROOT,),
    TEAM: (TEAM, ROOT),
    SECRET: (SECRET, TEAM, ROOT),
    OTHER: (OTHER, ROOT),
    PLAN: (PLAN, TEAM, ROOT),
    NOTES: (NOTES, SECRET, TEAM, ROOT),
}
READ, SHARE, WRITE, ADMINISTER = Permission.READ, Permission.SHARE, Permission.WRITE, Permission.ADMINISTER


def allow(subject: str, resource: str, *permissions: Permission, **more: Any) -> RuleTerms:
    return RuleTerms(Effect.ALLOW, frozenset(permissions or {READ}), Subject(subject), Scope(resource), **more)


def deny(subject: str, resource: str, *permissions: Permission, **more: Any) -> RuleTerms:
    return replace(allow(subject, resource, *permissions, **more), effect=Effect.DENY)


def alice(*terms: RuleTerms, groups: Sequence[str] = (), is_admin: bool = False) -> Standing:
    subjects = subjects_of(Principal(ALICE), groups)
    rules = tuple(rule_of(number, each) for number, each in enumerate(terms, start=1) if each.subject in subjects)
    return Rulebook(ALICE, is_admin, rules=rules, chains=CHAINS).standing(BEGINNING, HERE)


def lacks(standing: Standing, before: RuleTerms | None, after: RuleTerms | None, owner: str = BOB) -> Permission | None:
    named = after or before
    assert named is not None
    scopes = {ROOT} if named.resource.startswith("label:") else set(CHAINS[named.resource])
    if named.resource.startswith("file_"):
        scopes |= {owner, label_scope("draft")}
    missing = missing_to_change(standing, resource=named.resource, scopes=scopes, before=before, after=after)
    return missing.permission if missing else None


SHARES: Final = allow(ALICE, TEAM, READ, SHARE)
OFFICE, HOME = ("192.0.2.0/24",), ("198.51.100.0/24",)
BOTH: Final = (*OFFICE, *HOME)
GROUP: Final = "group_" + "1" * 26


@pytest.mark.parametrize(
    ("held", "given", "lacking"),
    [
        # What is held may be given, at that place and below it, as widely or less.
        ([SHARES], allow(BOB, TEAM), None),
        ([SHARES], allow(ANYONE, SECRET), None),
        ([SHARES], allow(BOB, PLAN), None),
        ([SHARES], allow(BOB, TEAM, READ, SHARE), None),
        ([allow(SIGNED_IN, ROOT, READ, SHARE)], allow(BOB, TEAM), None),
        ([allow(ALICE, TEAM, SHARE), allow(ALICE, label_scope("draft"))], allow(BOB, PLAN), None),
        # Not without SHARE, not elsewhere, not above, not another permission.
        ([allow(ALICE, TEAM, READ, WRITE)], allow(BOB, TEAM), SHARE),
        ([SHARES], allow(BOB, OTHER), SHARE),
        ([SHARES], allow(BOB, ROOT), SHARE),
        ([SHARES], allow(BOB, label_scope("draft")), SHARE),
        ([allow(ALICE, label_scope("draft"), READ, SHARE)], allow(BOB, label_scope("draft")), SHARE),
        ([SHARES], allow(BOB, TEAM, READ, WRITE), WRITE),
        ([SHARES, deny(ALICE, ROOT, SHARE)], allow(BOB, TEAM), SHARE),
        ([allow(ALICE, TEAM, SHARE)], allow(ALICE, TEAM), READ),
        # Not for longer.
        ([allow(ALICE, TEAM, READ, SHARE, ends_at=TOMORROW)], allow(BOB, TEAM), READ),
        ([allow(ALICE, TEAM, READ, SHARE, ends_at=TOMORROW)], allow(BOB, TEAM, ends_at=TOMORROW), None),
        ([allow(ALICE, TEAM, READ, SHARE, starts_at=BEGINNING)], allow(BOB, TEAM), None),
        # Not from elsewhere.
        ([SHARES, deny(ALICE, TEAM, ip_ranges=HOME)], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, TEAM, ip_ranges=HOME)], allow(BOB, TEAM, ip_ranges=OFFICE), None),
        ([allow(ALICE, TEAM, READ, SHARE, ip_ranges=OFFICE)], allow(BOB, TEAM), READ),
        ([allow(ALICE, TEAM, READ, SHARE, ip_ranges=OFFICE)], allow(BOB, TEAM, ip_ranges=("192.0.2.7/32",)), None),
        ([allow(ALICE, TEAM, READ, SHARE, ip_ranges=OFFICE)], allow(BOB, TEAM, ip_ranges=("192.0.0.0/16",)), READ),
        ([allow(ALICE, TEAM, READ, SHARE, ip_ranges=OFFICE)], allow(BOB, TEAM, ip_ranges=("::/0",)), READ),
        (
            [allow(ALICE, TEAM, READ, SHARE, ip_ranges=("192.0.2.0/25", "192.0.2.128/25", "::/0"))],
            allow(BOB, TEAM, ip_ranges=(*OFFICE, "2001:db8::/32")),
            None,
        ),
        # Not more freely.
        ([allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(max_lifetime=HOUR))], allow(BOB, TEAM), READ),
        (
            [allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(max_lifetime=HOUR))],
            allow(BOB, TEAM, obligations=Obligations(max_lifetime=DAY)),
            READ,
        ),
        (
            [allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(max_lifetime=DAY))],
            allow(BOB, TEAM, obligations=Obligations(max_lifetime=HOUR, forces_download=True)),
            None,
        ),
        ([allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(binds_ip=True))], allow(BOB, TEAM), READ),
        ([allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(forces_download=True))], allow(BOB, TEAM), READ),
        ([allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(personal_links=True))], allow(BOB, TEAM), READ),
        # One rule has to give it all: two halves are not a whole.
        (
            [
                allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(max_lifetime=HOUR)),
                allow(ALICE, TEAM, ends_at=TOMORROW),
            ],
            allow(BOB, TEAM),
            READ,
        ),
        # Nothing that is denied to the giver: at the place, above, below, by label, later.
        ([SHARES, deny(ALICE, TEAM)], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, ROOT)], allow(BOB, PLAN), READ),
        ([SHARES, deny(ALICE, SECRET)], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, NOTES)], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, label_scope("draft"))], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, label_scope("draft"))], allow(BOB, PLAN), READ),
        ([SHARES, deny(ALICE, TEAM, starts_at=TOMORROW)], allow(BOB, TEAM), READ),
        ([SHARES, deny(ALICE, TEAM, starts_at=TOMORROW)], allow(BOB, TEAM, ends_at=TOMORROW), None),
        # What is denied beside it, or to the receiver too, is no matter.
        ([SHARES, deny(ALICE, OTHER)], allow(BOB, TEAM), None),
        ([SHARES, deny(ALICE, SECRET)], allow(BOB, PLAN), None),
        ([SHARES, deny(ALICE, label_scope("other"))], allow(BOB, PLAN), None),
        ([SHARES, deny(ALICE, SECRET, WRITE)], allow(BOB, TEAM), None),
        ([SHARES, deny(ANYONE, SECRET)], allow(BOB, TEAM), None),
        ([SHARES, deny(SIGNED_IN, SECRET)], allow(BOB, TEAM), None),
        ([SHARES, deny(SIGNED_IN, SECRET)], allow(ANYONE, TEAM), READ),
        ([SHARES, deny(GROUP, SECRET)], allow(GROUP, TEAM), None),
        ([SHARES, deny(GROUP, SECRET)], allow(BOB, TEAM), READ),
        # Administrative permissions are never given on.
        ([allow(ALICE, ROOT, SHARE, Permission.AUDIT)], allow(BOB, ROOT, Permission.AUDIT), ADMINISTER),
        ([SHARES], allow(BOB, ROOT, ADMINISTER), ADMINISTER),
    ],
)
def test_nobody_gives_more_than_they_hold(held: list[RuleTerms], given: RuleTerms, lacking: Permission | None) -> None:
    assert lacks(alice(*held, groups=[GROUP]), None, given) is lacking


def test_owners_share_their_files_but_not_what_others_keep_in_their_folders() -> None:
    assert lacks(alice(), None, allow(ANYONE, PLAN), owner=ALICE) is None
    assert lacks(alice(), None, allow(BOB, PLAN, *CONTENT_PERMISSIONS), owner=ALICE) is None
    assert lacks(alice(), None, allow(BOB, PLAN), owner=BOB) is SHARE
    assert lacks(alice(deny(ALICE, TEAM)), None, allow(BOB, PLAN), owner=ALICE) is READ
    assert lacks(alice(), None, allow(BOB, TEAM), owner=ALICE) is SHARE


@pytest.mark.parametrize(
    ("held", "before", "after", "lacking"),
    [
        # A denial is lifted by who holds what it denies, and whom it does not bind.
        ([SHARES], deny(BOB, TEAM), None, None),
        ([SHARES], deny(BOB, TEAM, WRITE), None, WRITE),
        ([SHARES], deny(BOB, ROOT), None, SHARE),
        ([SHARES, deny(ALICE, SECRET)], deny(ALICE, SECRET), None, READ),
        ([SHARES, deny(ANYONE, SECRET)], deny(ANYONE, SECRET), None, READ),
        ([SHARES, deny(GROUP, SECRET, starts_at=TOMORROW)], deny(GROUP, SECRET, starts_at=TOMORROW), None, READ),
        ([SHARES, deny(ALICE, TEAM, ip_ranges=HOME)], deny(ALICE, TEAM, ip_ranges=HOME), None, READ),
        ([SHARES, deny(ALICE, SECRET)], deny(BOB, TEAM), None, READ),
        ([SHARES, deny(ALICE, SECRET, ip_ranges=HOME)], deny(BOB, TEAM, ip_ranges=OFFICE), None, READ),
        ([allow(ALICE, TEAM, READ, SHARE, obligations=Obligations(forces_download=True))], deny(BOB, TEAM), None, READ),
        ([allow(ALICE, TEAM, READ, SHARE, ip_ranges=OFFICE)], deny(BOB, TEAM, ip_ranges=OFFICE), None, READ),
        # To narrow it is to lift some of it; to widen it is not.
        ([SHARES], deny(BOB, TEAM, READ, WRITE), deny(BOB, TEAM), WRITE),
        ([SHARES, deny(ANYONE, TEAM, WRITE)], deny(ANYONE, TEAM, WRITE), deny(BOB, TEAM, WRITE), WRITE),
        ([SHARES, deny(GROUP, SECRET)], deny(GROUP, SECRET), deny(GROUP, SECRET, ends_at=TOMORROW), READ),
        ([SHARES, deny(GROUP, SECRET)], deny(GROUP, SECRET), deny(GROUP, SECRET, ip_ranges=OFFICE), READ),
        ([SHARES, deny(GROUP, SECRET)], deny(GROUP, SECRET), deny(BOB, SECRET), READ),
        ([SHARES, deny(GROUP, SECRET)], deny(GROUP, SECRET), allow(GROUP, SECRET), READ),
        ([SHARES], deny(BOB, TEAM, ends_at=TOMORROW), deny(BOB, TEAM), None),
        # To take needs what is taken.
        ([SHARES], allow(BOB, TEAM), None, None),
        ([SHARES], allow(BOB, TEAM, READ, WRITE), None, WRITE),
        ([SHARES], allow(BOB, TEAM, READ, WRITE), allow(BOB, TEAM), WRITE),
        ([SHARES], None, deny(BOB, TEAM), None),
        ([SHARES], None, deny(BOB, TEAM, WRITE), WRITE),
        ([SHARES], deny(BOB, TEAM), deny(BOB, TEAM, READ, WRITE), WRITE),
        ([SHARES], allow(BOB, TEAM), deny(BOB, TEAM), None),
        # To leave what one does not hold as it is, is not to give it.
        ([SHARES], allow(BOB, TEAM, READ, WRITE), allow(BOB, TEAM, READ, WRITE), None),
        ([SHARES], allow(BOB, TEAM, WRITE), allow(BOB, TEAM, READ, WRITE), None),
        ([SHARES], allow(BOB, TEAM, WRITE), allow(CAROL, TEAM, WRITE), WRITE),
        ([SHARES], allow(BOB, TEAM, WRITE, ends_at=TOMORROW), allow(BOB, TEAM, WRITE), WRITE),
        (
            [SHARES],
            allow(BOB, TEAM, WRITE, ip_ranges=OFFICE),
            allow(BOB, TEAM, WRITE, ip_ranges=(*OFFICE, *HOME)),
            WRITE,
        ),
        ([allow(ALICE, ROOT, *CONTENT_PERMISSIONS)], allow(BOB, ROOT, ADMINISTER), None, ADMINISTER),
    ],
)
def test_nobody_lifts_or_takes_what_they_do_not_hold(
    held: list[RuleTerms], before: RuleTerms | None, after: RuleTerms | None, lacking: Permission | None
) -> None:
    assert lacks(alice(*held, groups=[GROUP]), before, after) is lacking


def test_administrators_change_everything() -> None:
    admin = alice(deny(ALICE, ROOT, *Permission), is_admin=True)
    assert lacks(admin, deny(ALICE, ROOT), allow(ANYONE, ROOT)) is None
    assert lacks(admin, None, allow(BOB, ROOT, ADMINISTER)) is None


HELD: Final = allow(ALICE, TEAM, *CONTENT_PERMISSIONS)
EVERYWHERE: Final = allow(ALICE, ROOT, *CONTENT_PERMISSIONS)


@pytest.mark.parametrize(
    ("held", "kept", "gained", "escaped", "lacking"),
    [
        # To move is to give what the new place gives.
        ([HELD], [], [], [], None),
        ([], [], [], [], None),
        ([HELD], [], [allow(BOB, OTHER)], [], None),
        ([allow(ALICE, TEAM, READ, WRITE)], [], [allow(BOB, OTHER)], [], SHARE),
        ([SHARES], [], [allow(BOB, OTHER, READ, WRITE)], [], WRITE),
        ([HELD, deny(ALICE, TEAM, ip_ranges=HOME)], [], [allow(BOB, OTHER)], [], READ),
        # What the old place gave as widely is not new.
        ([], [allow(BOB, ROOT)], [allow(BOB, OTHER)], [], None),
        ([], [allow(SIGNED_IN, ROOT)], [allow(BOB, OTHER)], [], None),
        ([], [allow(SIGNED_IN, ROOT)], [allow(ANYONE, OTHER)], [], SHARE),
        ([], [allow(BOB, ROOT)], [allow(BOB, OTHER, READ, WRITE)], [], SHARE),
        ([], [allow(BOB, ROOT, ends_at=TOMORROW)], [allow(BOB, OTHER)], [], SHARE),
        ([], [allow(BOB, ROOT, ip_ranges=OFFICE)], [allow(BOB, OTHER)], [], SHARE),
        ([], [allow(BOB, ROOT, obligations=Obligations(forces_download=True))], [allow(BOB, OTHER)], [], SHARE),
        ([], [deny(BOB, ROOT)], [allow(BOB, OTHER)], [], SHARE),
        # Nor is what the owner of the file gains.
        ([], [], [allow(CAROL, OTHER, *CONTENT_PERMISSIONS)], [], None),
        # To come under a denial gives nothing.
        ([], [], [deny(BOB, OTHER)], [], None),
        # To move out of a denial is to lift it, where it stands.
        ([EVERYWHERE], [], [], [deny(BOB, TEAM)], None),
        ([allow(ALICE, PLAN, *CONTENT_PERMISSIONS)], [], [], [deny(BOB, TEAM)], SHARE),
        ([EVERYWHERE], [], [], [deny(ALICE, TEAM, ip_ranges=HOME)], READ),
        ([EVERYWHERE], [], [], [deny(GROUP, TEAM, starts_at=TOMORROW)], READ),
        ([allow(ALICE, ROOT, READ, SHARE)], [], [], [deny(BOB, TEAM, WRITE)], WRITE),
        ([HELD], [], [], [deny(BOB, label_scope("draft"))], SHARE),
        ([EVERYWHERE], [], [], [deny(BOB, label_scope("draft"))], None),
        # Unless another like it waits there, or stands above both.
        ([], [], [deny(BOB, OTHER)], [deny(BOB, TEAM)], None),
        ([], [deny(ANYONE, ROOT, WRITE)], [], [deny(BOB, TEAM, WRITE)], None),
        ([], [], [deny(BOB, OTHER, ends_at=TOMORROW)], [deny(BOB, TEAM)], SHARE),
        # To leave an allowance takes from others, but what the mover may do anyway.
        ([], [], [], [allow(BOB, TEAM)], None),
    ],
)
def test_to_move_is_to_share(
    held: list[RuleTerms],
    kept: list[RuleTerms],
    gained: list[RuleTerms],
    escaped: list[RuleTerms],
    lacking: Permission | None,
) -> None:
    missing = refile_lacks(alice(*held, *escaped, groups=[GROUP]), kept, gained, escaped)
    assert (missing.permission if missing else None) is lacking


def test_administrators_move_everything() -> None:
    assert refile_lacks(alice(is_admin=True), [], [allow(ANYONE, OTHER)], [deny(ANYONE, TEAM)]) is None


def refile_lacks(
    standing: Standing, kept: list[RuleTerms], gained: list[RuleTerms], escaped: list[RuleTerms]
) -> Missing | None:
    """What is missing to move a file of Carol's out of the team's folder."""
    left = [rule_of(100 + number, each) for number, each in enumerate(escaped)]
    return missing_to_refile(
        standing,
        thing=PLAN,
        scopes={*CHAINS[PLAN], CAROL, label_scope("draft")},
        gained=[rule_of(200 + number, each) for number, each in enumerate(gained)],
        escaped=left,
        escaped_chains=CHAINS,
        kept=[*left, *(rule_of(300 + number, each) for number, each in enumerate(kept))],
    )
