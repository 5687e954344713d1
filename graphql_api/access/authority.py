"""Who may change who may do what: nobody gives more than they hold, and nobody lifts what binds them.

Whoever holds SHARE on a thing may make rules on it. A change **gives** where somebody may do more afterwards (an
allowance made or widened, a denial lifted or narrowed) and **takes** where somebody may do less. Giving asks that one
allowance of the giver's own covers all of it, and that it opens nothing to others that is denied to the giver.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from graphql_api.access.standing import Standing
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, CONTENT_PERMISSIONS, Permission
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, AccessRule, Effect, RuleTerms, is_folder, is_label


@dataclass(frozen=True, slots=True)
class Missing:
    """The first permission found lacking; ``message`` is for people and names nothing that they may not know."""

    permission: Permission
    message: str


def missing_to_change(
    standing: Standing, *, resource: str, scopes: Set[str], before: RuleTerms | None, after: RuleTerms | None
) -> Missing | None:
    """What ``standing`` lacks to replace the rule ``before`` by ``after`` (None: there is no such rule); None: nothing.

    Both stand on ``resource``; to change where a rule stands is to delete it there and to create it here. ``scopes``:
    a folder's chain only (its owner does not own what others keep inside), all scopes of a file, the root for a label.
    """
    if standing.is_admin:
        return None
    named = {permission for terms in (before, after) if terms is not None for permission in terms.permissions}
    if named & ADMINISTRATIVE_PERMISSIONS:
        return Missing(Permission.ADMINISTER, "Only administrators may change rules about AUDIT and ADMINISTER.")
    if not standing.may(Permission.SHARE, scopes):
        return Missing(Permission.SHARE, "To change who may do what with this takes the permission SHARE on it.")
    for permission, terms in _opened(before, after):
        if before is not None and _binds(standing, before):
            return Missing(permission, "This denial binds you too, so somebody else has to lift it.")
        if missing := _missing_to_give(standing, permission, terms, resource, scopes):
            return missing
    for permission, _ in _opened(after, before):
        if not standing.may(permission, scopes):
            return Missing(permission, f"To take {permission} from others you need to hold it here yourself.")
    return None


def missing_to_refile(
    standing: Standing,
    *,
    thing: str,
    scopes: Set[str],
    gained: Sequence[AccessRule],
    escaped: Sequence[AccessRule],
    escaped_chains: Mapping[str, Sequence[str]],
    kept: Sequence[AccessRule],
) -> Missing | None:
    """What ``standing`` lacks to bring ``thing`` under the rules ``gained`` and out of ``escaped``, because it moves or
    its labels change; None: nothing. An allowance gained counts as made on the thing, a denial escaped as lifted.

    ``scopes``: those of ``thing`` as it is now, as for ``missing_to_change``. ``kept``: the rules that it is under now.
    What they allow already is not given anew, and a denial is not escaped where another like it waits.
    ``escaped_chains``: for each folder that a rule of ``escaped`` stands on, itself and the folders above.
    """
    if standing.is_admin:
        return None
    remaining = [rule for rule in (*gained, *kept) if rule not in escaped]
    for rule in escaped:
        lifted = _unsaid(rule.terms, remaining) if rule.terms.effect is Effect.DENY else None
        if lifted is None:
            continue
        if not standing.may(Permission.SHARE, frozenset(escaped_chains.get(rule.terms.resource, (ROOT,)))):
            return Missing(Permission.SHARE, "This would lift a denial, which takes SHARE where that denial stands.")
        if _binds(standing, rule.terms):
            return Missing(min(lifted.permissions), "This would lift a denial that binds you too.")
        if missing := missing_to_change(standing, resource=thing, scopes=scopes, before=lifted, after=None):
            return missing
    for rule in gained:
        if rule.terms.effect is Effect.DENY or rule.terms.subject in scopes:  # to the owner of a file nothing is new
            continue
        given = _unsaid(rule.terms, kept)
        if given and (missing := missing_to_change(standing, resource=thing, scopes=scopes, before=None, after=given)):
            return missing
    return None


def _opened(before: RuleTerms | None, after: RuleTerms | None) -> Iterator[tuple[Permission, RuleTerms]]:
    """What somebody may do under ``after`` that they might not under ``before``, with the terms that say how far."""
    if after is not None and after.effect is Effect.ALLOW:
        for permission in sorted(after.permissions):
            if before is None or not _says(before, after, permission):
                yield permission, after
    if before is not None and before.effect is Effect.DENY:
        from_anywhere = replace(before, ip_ranges=())  # a denial for some addresses binds unknown ones too
        for permission in sorted(before.permissions):
            if after is None or not _says(after, before, permission):
                yield permission, from_anywhere


def _unsaid(terms: RuleTerms, others: Sequence[AccessRule]) -> RuleTerms | None:
    """What ``terms`` say that none of ``others`` says as widely; None: nothing."""
    left = [
        permission
        for permission in terms.permissions
        if not any(_says(other.terms, terms, permission) for other in others)
    ]
    return replace(terms, permissions=frozenset(left)) if left else None


def _missing_to_give(
    standing: Standing, permission: Permission, terms: RuleTerms, resource: str, scopes: Set[str]
) -> Missing | None:
    """What ``standing`` lacks to let others have ``permission`` on ``resource`` as far as ``terms`` reach."""
    if not (standing.owns(scopes) and permission in CONTENT_PERMISSIONS):
        allows = standing.scopes_with(Effect.ALLOW, permission)
        held = [replace(rule.terms, starts_at=None) for scope in scopes for rule in allows.get(scope, ())]
        if not held:
            return Missing(permission, f"To give {permission} you need to hold it here yourself.")
        if not any(_reaches(own, terms, permission) for own in held):
            return Missing(permission, f"You do not hold {permission} here for as long, from as far or as freely.")
    for denial in _denials(standing, permission, terms):
        if _touches(standing, denial.resource, resource, scopes) and not _means(denial.subject, terms.subject):
            return Missing(permission, f"{permission} is denied to you on some of this, or will be, or from elsewhere.")
    return None


def _denials(standing: Standing, permission: Permission, terms: RuleTerms) -> list[RuleTerms]:
    """The denials of ``permission`` that bind the giver now, or when and from where ``terms`` will apply."""
    applying = [rule for rules in standing.scopes_with(Effect.DENY, permission).values() for rule in rules]
    coming = [rule for rule in standing.coming if not _ends_by(terms, rule.terms.starts_at)]
    elsewhere = [rule for rule in standing.elsewhere if _overlap(terms.ip_ranges, rule.terms.ip_ranges)]
    return [rule.terms for rule in (*applying, *coming, *elsewhere) if permission in rule.terms.permissions]


def _binds(standing: Standing, terms: RuleTerms) -> bool:
    """Whether the denial ``terms`` is one of the caller's: now, soon, or from another address."""
    theirs = (*standing.rules, *standing.coming, *standing.elsewhere)
    return terms.effect is Effect.DENY and any(rule.terms == terms for rule in theirs)


def _touches(standing: Standing, denied: str, resource: str, scopes: Set[str]) -> bool:
    """Whether something at or below ``resource`` is in the scope ``denied``, or may come to be."""
    if denied in scopes or is_label(resource):
        return True
    return is_folder(resource) and (is_label(denied) or resource in standing.chains.get(denied, ()))


def _says(wide: RuleTerms, narrow: RuleTerms, permission: Permission) -> bool:
    """Whether ``wide`` says of ``permission`` all that ``narrow`` says, if they stand on the same thing."""
    return (
        wide.effect is narrow.effect
        and permission in wide.permissions
        and _means(wide.subject, narrow.subject)
        and _reaches(wide, narrow, permission)
    )


def _means(wide: str, narrow: str) -> bool:
    """Whether the subject ``wide`` certainly means everybody whom ``narrow`` means."""
    return wide in (narrow, ANYONE) or (wide == SIGNED_IN and narrow != ANYONE)


def _reaches(wide: RuleTerms, narrow: RuleTerms, permission: Permission) -> bool:
    """Whether ``wide`` applies whenever and from wherever ``narrow`` does, with links at least as free."""
    is_in_time = wide.starts_at is None or (narrow.starts_at is not None and wide.starts_at <= narrow.starts_at)
    if not (is_in_time and _contains(wide.ip_ranges, narrow.ip_ranges)):
        return False
    if wide.ends_at is not None and not _ends_by(narrow, wide.ends_at):
        return False
    return permission is not Permission.READ or _is_as_free(wide, narrow)


def _is_as_free(wide: RuleTerms, narrow: RuleTerms) -> bool:
    free, bound = wide.obligations, narrow.obligations
    lives_as_long = free.max_lifetime is None or (
        bound.max_lifetime is not None and bound.max_lifetime <= free.max_lifetime
    )
    return (
        lives_as_long
        and free.binds_ip <= bound.binds_ip
        and free.forces_download <= bound.forces_download
        and free.personal_links <= bound.personal_links
    )


def _ends_by(terms: RuleTerms, instant: datetime | None) -> bool:
    return instant is not None and terms.ends_at is not None and terms.ends_at <= instant


def _contains(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether the ranges ``wide`` (none: all addresses) hold all of ``narrow``. Neighbours count as one range."""
    if not wide:
        return True
    joined = _joined(wide)
    return bool(narrow) and all(any(_is_inside(inner, outer) for outer in joined) for inner in map(ip_network, narrow))


def _joined(ranges: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    networks = [ip_network(range_) for range_ in ranges]
    fours = [network for network in networks if isinstance(network, IPv4Network)]
    sixes = [network for network in networks if isinstance(network, IPv6Network)]
    return [*collapse_addresses(fours), *collapse_addresses(sixes)]


def _is_inside(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _overlap(some: Sequence[str], others: Sequence[str]) -> bool:
    if not some or not others:
        return True
    pairs = ((ip_network(one), ip_network(other)) for one in some for other in others)
    return any(one.version == other.version and one.overlaps(other) for one, other in pairs)
