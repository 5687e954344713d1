"""From a rule as a caller writes it to the terms that are kept: checked, and in one spelling."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Network, ip_network
from typing import Final

from graphql_api.errors import InputFault
from graphql_api.model.ids import FILE_PREFIX, FOLDER_PREFIX, GROUP_PREFIX, USER_PREFIX, well_formed
from graphql_api.model.labels import normalized_label
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Permission
from graphql_api.model.rule import (
    ANYONE,
    LABEL_PREFIX,
    MAX_IP_RANGES,
    NO_OBLIGATIONS,
    ROOT,
    SIGNED_IN,
    AccessRule,
    Effect,
    Obligations,
    RuleTerms,
    Scope,
    Subject,
    is_label,
    label_scope,
)
from graphql_api.model.rule_change import RuleWish

SHORTEST_LIFETIME: Final = timedelta(seconds=1)
LONGEST_LIFETIME: Final = timedelta(days=365)
FIELDS: Final = frozenset(RuleWish.__dataclass_fields__)


def normal_resource(resource: str) -> Scope | None:
    """``resource`` as rules name it, or None when no rule can."""
    if is_label(resource):
        label = normalized_label(resource.removeprefix(LABEL_PREFIX))
        return None if label is None else label_scope(label)
    is_id = any(well_formed(resource, prefix) == resource for prefix in (FOLDER_PREFIX, FILE_PREFIX))
    return Scope(resource) if is_id else None


def is_subject(subject: str) -> bool:
    """Whether ``subject`` looks like one; nobody was asked whether it exists."""
    is_id = any(well_formed(subject, prefix) == subject for prefix in (USER_PREFIX, GROUP_PREFIX))
    return is_id or subject in {ANYONE, SIGNED_IN}


def checked_terms(wish: RuleWish, subject: Subject, faults: list[InputFault]) -> RuleTerms:
    """What the rule would say about ``subject``, whom the wish means; what is unacceptable is added to ``faults``."""
    resource = normal_resource(wish.resource)
    if resource is None:
        faults.append(InputFault("must be the root, a folder, a file or a label", ("resource",)))
    terms = RuleTerms(
        effect=wish.effect,
        permissions=wish.permissions,
        subject=subject,
        resource=resource or wish.resource,
        starts_at=_instant(wish.starts_at, "startsAt", faults),
        ends_at=_instant(wish.ends_at, "endsAt", faults),
        ip_ranges=_ranges(wish.ip_ranges, faults),
        obligations=Obligations(wish.max_lifetime, wish.binds_ip, wish.forces_download, wish.personal_links),
    )
    if terms.starts_at is not None and terms.ends_at is not None and terms.ends_at <= terms.starts_at:
        faults.append(InputFault("must be later than startsAt", ("endsAt",)))
    faults += _faults_of_permissions(terms)
    faults += _faults_of_obligations(terms)
    return terms


def wish_of(rule: AccessRule, changes: Mapping[str, object]) -> RuleWish:
    """The wish that the rule would have come from, with ``changes`` of its fields."""
    assert changes.keys() <= FIELDS, f"a rule has no {sorted(changes.keys() - FIELDS)}"
    terms = rule.terms
    wish = RuleWish(
        effect=terms.effect,
        permissions=terms.permissions,
        subject=terms.subject,
        resource=terms.resource,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        ip_ranges=terms.ip_ranges,
        max_lifetime=terms.obligations.max_lifetime,
        binds_ip=terms.obligations.binds_ip,
        forces_download=terms.obligations.forces_download,
        personal_links=terms.obligations.personal_links,
    )
    return replace(wish, **changes)  # type: ignore[arg-type]  # whoever writes an UpdateRule knows the fields' types


def _instant(instant: datetime | None, field: str, faults: list[InputFault]) -> datetime | None:
    if instant is None:
        return None
    try:
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
        message = "must have a time zone"
    except OverflowError:
        message = "is beyond the calendar"
    faults.append(InputFault(message, (field,)))
    return None


def _ranges(texts: Iterable[str], faults: list[InputFault]) -> tuple[str, ...]:
    """Canonical, each once, in the order of their addresses."""
    texts, networks = list(texts), set()
    if len(texts) > MAX_IP_RANGES:
        faults.append(InputFault(f"a rule has at most {MAX_IP_RANGES} address ranges", ("ipRanges",)))
        return ()
    for number, text in enumerate(texts):
        try:
            networks.add(ip_network(text))
            _, slash, length = text.partition("/")
            if "%" in text or (slash and not length.isdecimal()):
                raise ValueError("neither an interface nor a mask belongs there")
        except ValueError as error:
            message = "has bits set beyond its prefix" if "host bits" in str(error) else "is no address or CIDR range"
            faults.append(InputFault(message, ("ipRanges", str(number))))
    for network in networks:
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
            faults.append(InputFault("an IPv4 range must be written as one", ("ipRanges",)))
    ordered = sorted(networks, key=lambda network: (network.version, int(network[0]), network.prefixlen))
    return tuple(map(str, ordered))


def _faults_of_permissions(terms: RuleTerms) -> Iterable[InputFault]:
    path = ("permissions",)
    if not terms.permissions:
        yield InputFault("a rule needs at least one permission", path)
    if terms.resource != ROOT and (administrative := terms.permissions & ADMINISTRATIVE_PERMISSIONS):
        yield InputFault(f"{_listed(administrative)} can stand on the root only", path)
    if terms.subject == ANYONE and terms.effect is Effect.ALLOW and terms.permissions - {Permission.READ}:
        yield InputFault("everybody can be allowed READ only", path)
    elif terms.subject in {ANYONE, SIGNED_IN} and Permission.ADMINISTER in terms.permissions:
        yield InputFault("ADMINISTER is for users and groups", path)


def _faults_of_obligations(terms: RuleTerms) -> Iterable[InputFault]:
    path, lifetime = ("obligations",), terms.obligations.max_lifetime
    if terms.obligations != NO_OBLIGATIONS and not (
        terms.effect is Effect.ALLOW and Permission.READ in terms.permissions
    ):
        yield InputFault("only a rule that allows READ has obligations", path)
    if lifetime is not None and (not SHORTEST_LIFETIME <= lifetime <= LONGEST_LIFETIME or lifetime.microseconds):
        yield InputFault("must be 1 second to 365 days, in whole seconds", (*path, "maxLifetime"))


def _listed(permissions: Iterable[Permission]) -> str:
    return " and ".join(sorted(permissions))
