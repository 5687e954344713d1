"""Who gains and who loses what between two sets of rules. Pure, and quick: things that no rule tells apart are one, and
what there is too much of is sampled before.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from itertools import product
from math import prod
from typing import Final, TypeVar

from graphql_api.access.standing import Rulebook
from graphql_api.model.preview import MAX_SAMPLE, Direction, PreviewLine
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Address, Permission
from graphql_api.model.rule import ROOT, RuleTerms, Subject, is_file

# Reserved for documentation, so nobody asks from there. Source: RFC 5737, section 3.
_ELSEWHERE: Final = ip_address("192.0.2.1")

T = TypeVar("T")

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

    @property
    def weight(self) -> int:
        """What one situation takes: each rule, and each of its address ranges, is looked at."""
        return sum(1 + len(rule.terms.ip_ranges) for book in (self.before, self.after) for rule in book.rules)


def evenly(values: Sequence[T], limit: int) -> Sequence[T]:
    """At most ``limit`` of ``values``, at even distances."""
    if len(values) <= limit:
        return values
    return [values[position * len(values) // limit] for position in range(limit)]


def fitted(counts: Sequence[int], most: int) -> list[int]:
    """``counts``, the largest made smaller until their product is at most ``most``; none becomes less than 1."""
    found = [max(1, count) for count in counts]
    while prod(found) > most and (largest := max(found)) > 1:
        others = prod(found) // largest
        found[found.index(largest)] = max(most // others, largest // 2)
    return found


def bearable(
    people: Sequence[Person], situations: Sequence[Situation], most: int
) -> tuple[Sequence[Person], Sequence[Situation]]:
    """An even sample, so that ``most`` rules and ranges are looked at; one person in one situation at least."""
    weights = {id(person): person.weight for person in people}
    while len(people) * len(situations) > 1 and sum(weights[id(one)] for one in people) * len(situations) > most:
        if len(people) > len(situations):
            people = evenly(people, len(people) // 2)
        else:
            situations = evenly(situations, len(situations) // 2)
    return people, situations


def situations_of(changed: Collection[RuleTerms], now: datetime, limit: int) -> tuple[Sequence[Situation], bool]:
    """Now, and each later instant at which one of the rules begins or ends, from each side of each edge of their
    address ranges: whatever else may be asked, the rules of ``changed`` treat it like one of these. Of more than
    ``limit`` an even sample; whether these are all.
    """
    edges = {edge for terms in changed for edge in (terms.starts_at, terms.ends_at) if edge is not None and edge > now}
    addresses: set[Address] = {_ELSEWHERE}
    ranges = sorted({text for terms in changed for text in terms.ip_ranges})
    for network in map(ip_network, evenly(ranges, limit)):
        addresses.add(network[0])
        if int(network[-1]) < 2**network.max_prefixlen - 1:
            addresses.add(network[-1] + 1)
    ordered = sorted(addresses, key=lambda address: (address.version, int(address)))
    instants = (now, *sorted(edges))
    every = range(len(instants) * len(ordered))
    chosen = [(instants[at // len(ordered)], ordered[at % len(ordered)]) for at in evenly(every, limit)]
    return chosen, len(every) <= limit and len(ranges) <= limit


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
