"""What visitors may read to whom somebody has given a share link: what its maker may, from where the visitor comes.

A link gives away no more than its maker has at the moment of the visit, on the same terms. What is denied to anyone is
denied to visitors: that binds nearly all makers too, but administrators, whom no such denial binds, hand on only what
it leaves.
"""

from collections.abc import Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from graphql_api.access.explain import NEEDS_CDN
from graphql_api.access.standing import Standing
from graphql_api.model.ids import RULE_PREFIX, RuleId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, ROOT, AccessRule, Effect, RuleTerms

_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVERYTHING: Final = AccessRule(
    RuleId(RULE_PREFIX + "0" * 26),  # no rule that was made has this id
    RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), ANYONE, ROOT),
    version=1,
    made_by=None,
    created_at=_ALWAYS,
    updated_at=_ALWAYS,
)


def visitor_standing(maker: Standing, anyone: Standing) -> Standing:
    """What visitors may READ; nothing else of it is theirs.

    ``maker``: of who made the link. ``anyone``: of who is not signed in. Both at the moment of the visit and from the
    visitor's address.
    """
    return replace(anyone, rules=(_EVERYTHING, *anyone.rules)) if maker.is_admin else maker


def visiting_fault(visitors: Standing, scopes: Set[str]) -> str | None:
    """Why the file with these ``scopes`` would be open to no visitor although they may read it; None if it would be to
    some. With a CDN each link is bound to whom it is for, so that depends on where somebody comes from.
    """
    if visitors.binds_links or not visitors.may(Permission.READ, scopes) or visitors.read_terms(scopes) is not None:
        return None
    return NEEDS_CDN
