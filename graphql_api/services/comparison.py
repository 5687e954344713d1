"""Who gains and who loses what between two sets of rules. Pure, and quick: things that no rule tells apart are one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Final

from graphql_api.access.standing import Rulebook
from graphql_api.model.preview import MAX_SAMPLE, Direction, PreviewLine
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Address, Permission
from graphql_api.model.rule import ROOT, RuleTerms, Subject, is_file

# Reserved for documentation, so nobody asks from there. Source: RFC 5737, section 3.
_ELSEWHERE: Final = ip_address("192.0.2.1")

Situation = tuple[datetime, Address]
_Signature = frozenset[str]


@dataclass(frozen=True, slots=True)
class Thing:
    """A file or a folder."""

    id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody under the rules before and after; ``subject`` is what the lines call them."""

    subject: Subject
    before: Rulebook
    after: Rulebook


def situations_of(changed: Collection[RuleTerms], now: datetime) -> list[Situation]:
    """Now, and each later instant at which one of the rules begins or ends, from each side of each edge of their
    address ranges: whatever else may be asked, the rules of ``changed`` treat it like one of these.
    """
    edges = {edge for terms in changed for edge in (terms.starts_at, terms.ends_at) if edge is not None and edge > now}
    addresses: set[Address] = {_ELSEWHERE}
    for network in {ip_network(text) for terms in changed for text in terms.ip_ranges}:
        addresses.add(network[0])
        if int(network[-1]) < 2**network.max_prefixlen - 1:
            addresses.add(network[-1] + 1)
    ordered = sorted(addresses, key=lambda address: (address.version, int(address)))
    return list(product((now, *sorted(edges)), ordered))


def permissions_to_compare(changed: Iterable[RuleTerms]) -> frozenset[Permission]:
    """Administrators may do everything, so a rule about them is about every permission."""
    named = frozenset[Permission]().union(*(terms.permissions for terms in changed))
    return frozenset(Permission) if Permission.ADMINISTER in named else named


def lines_of(
    people: Iterable[Person],
    things: Sequence[Thing],
    permissions: Collection[Permission],
    situations: Sequence[Situation],
) -> list[PreviewLine]:
    """A line for each permission that somebody gains, and one for each that somebody loses, in any situation."""
    found: list[PreviewLine] = []
    for person in people:
        alike = _alike(person, things)
        gained, lost = _differences(person, alike, permissions, situations)
        for permission in Permission:
            for direction, changes in ((Direction.GAINS, gained), (Direction.LOSES, lost)):
                ids = [id_ for signature in alike if (permission, signature) in changes for id_ in alike[signature]]
                if permission in ADMINISTRATIVE_PERMISSIONS:
                    ids = [id_ for id_ in ids if id_ == ROOT]
                if ids:
                    found.append(_line(person.subject, permission, direction, ids))
    return found


def _alike(person: Person, things: Iterable[Thing]) -> Mapping[_Signature, list[str]]:
    named = {rule.terms.resource for book in (person.before, person.after) for rule in book.rules}
    own = {person.before.user_id} if person.before.user_id is not None else set()
    alike: dict[_Signature, list[str]] = {}
    for thing in things:
        alike.setdefault(thing.scopes & (named | own), []).append(thing.id)
    return alike


def _differences(
    person: Person,
    signatures: Iterable[_Signature],
    permissions: Collection[Permission],
    situations: Iterable[Situation],
) -> tuple[set[tuple[Permission, _Signature]], set[tuple[Permission, _Signature]]]:
    """What is gained and what is lost; the same can be both, at different times."""
    gained: set[tuple[Permission, _Signature]] = set()
    lost: set[tuple[Permission, _Signature]] = set()
    for now, address in situations:
        before, after = person.before.standing(now, address), person.after.standing(now, address)
        for signature, permission in product(signatures, permissions):
            could, can = before.may(permission, signature), after.may(permission, signature)
            if could != can:
                (gained if can else lost).add((permission, signature))
    return gained, lost


def _line(subject: Subject, permission: Permission, direction: Direction, ids: Sequence[str]) -> PreviewLine:
    files = sum(map(is_file, ids))
    return PreviewLine(subject, permission, direction, files, len(ids) - files, tuple(ids[:MAX_SAMPLE]))
