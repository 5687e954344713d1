"""What one principal may do at this moment, from this address: the one meaning of the rules.

Everything that decides goes through ``Standing``: single look-ups and mutations ask ``may``, links are made on
``read_terms``, and lists run the ``ReadPlan`` that ``access.plan`` translates from the same rules.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from graphql_api.model.ids import GroupId, UserId
from graphql_api.model.principal import CONTENT_PERMISSIONS, Address, Permission
from graphql_api.model.rule import NO_OBLIGATIONS, PLAIN, ROOT, AccessRule, Effect, ReadTerms, RuleTerms


def comes_from(rule: AccessRule, address: Address | None) -> bool:
    """Whether a request from ``address`` meets the rule's condition. An unknown address is every address to a denial
    and none to an allowance.
    """
    ranges = rule.terms.ip_ranges
    if not ranges:
        return True
    if address is None:
        return rule.terms.effect is Effect.DENY
    return _range_of(ranges, address) is not None


def is_in_force(rule: AccessRule, now: datetime) -> bool:
    terms = rule.terms
    return (terms.starts_at is None or terms.starts_at <= now) and (terms.ends_at is None or now < terms.ends_at)


@dataclass(frozen=True)
class Rulebook:
    """All rules about one principal, whenever they apply: what is remembered between requests.

    ``chains``: for each folder or file that a rule names, itself and the folders above, the root last. ``children``:
    the folders directly below each folder that a plan may have to open; one that is missing has too many.
    """

    user_id: UserId | None
    is_admin: bool  # by token
    groups: frozenset[GroupId] = frozenset()
    rules: tuple[AccessRule, ...] = ()
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def standing(self, now: datetime, address: Address | None) -> "Standing":
        """What applies at ``now`` to a request from ``address``; the same answer until ``next_change``."""
        return Standing(
            user_id=self.user_id,
            is_token_admin=self.is_admin,
            rules=tuple(rule for rule in self.rules if is_in_force(rule, now) and comes_from(rule, address)),
            coming=tuple(
                rule
                for rule in self.rules
                if rule.terms.effect is Effect.DENY and rule.terms.starts_at is not None and rule.terms.starts_at > now
            ),
            elsewhere=tuple(
                rule
                for rule in self.rules
                if rule.terms.effect is Effect.DENY and is_in_force(rule, now) and not comes_from(rule, address)
            ),
            address=address if self.depends_on_address else None,
            chains=self.chains,
            children=self.children,
        )

    @cached_property
    def depends_on_address(self) -> bool:
        return any(rule.terms.ip_ranges or rule.terms.obligations.binds_ip for rule in self.rules)

    def next_change(self, now: datetime) -> datetime | None:
        """The next instant at which a rule begins or ends; None when none will."""
        edges = (edge for rule in self.rules for edge in (rule.terms.starts_at, rule.terms.ends_at))
        return min((edge for edge in edges if edge is not None and edge > now), default=None)


@dataclass(frozen=True)
class Standing:
    """``rules`` all apply now; ``coming`` are denials that will, ``elsewhere`` those that do from other addresses only.
    A thing's ``scopes`` are its own id, the folders above it, its owner's id and its labels. ``binds_links``: whether
    links can be bound to an address and made out to a person; a CDN's can, a store's cannot.
    """

    user_id: UserId | None
    is_token_admin: bool
    rules: tuple[AccessRule, ...] = ()
    coming: tuple[AccessRule, ...] = ()
    elsewhere: tuple[AccessRule, ...] = ()
    address: Address | None = None
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    binds_links: bool = True

    @cached_property
    def is_admin(self) -> bool:
        """Administrators may do everything, and no denial but one of ADMINISTER itself binds them."""
        if self.user_id is None:
            return False
        if self.is_token_admin:
            return True
        by_rule = ROOT in self.scopes_with(Effect.ALLOW, Permission.ADMINISTER)
        return by_rule and ROOT not in self.scopes_with(Effect.DENY, Permission.ADMINISTER)

    def scopes_with(self, effect: Effect, permission: Permission) -> Mapping[str, tuple[AccessRule, ...]]:
        """What the applying rules of this effect name for ``permission``, with the rules."""
        return self._index.get((effect, permission), {})

    @cached_property
    def _index(self) -> Mapping[tuple[Effect, Permission], Mapping[str, tuple[AccessRule, ...]]]:
        found: dict[tuple[Effect, Permission], dict[str, list[AccessRule]]] = {}
        for rule in self.rules:
            for permission in rule.terms.permissions:
                found.setdefault((rule.terms.effect, permission), {}).setdefault(rule.terms.resource, []).append(rule)
        return {key: {scope: tuple(rules) for scope, rules in scopes.items()} for key, scopes in found.items()}

    def may(self, permission: Permission, scopes: Set[str]) -> bool:
        """Whether ``permission`` is held on the thing with these ``scopes``; deny by default, and deny wins."""
        if self.is_admin:
            return True
        if not self.scopes_with(Effect.DENY, permission).keys().isdisjoint(scopes):  # looks up the few, not the many
            return False
        if self.owns(scopes) and permission in CONTENT_PERMISSIONS:
            return True
        return not self.scopes_with(Effect.ALLOW, permission).keys().isdisjoint(scopes)

    def owns(self, scopes: Set[str]) -> bool:
        return self.user_id is not None and self.user_id in scopes

    @cached_property
    def reads_plainly(self) -> bool:
        """Whether whatever may be read may be read on plain terms, so that no file has to be looked at closer."""
        if self.is_admin:
            return True
        conditional = any(Permission.READ in rule.terms.permissions for rule in (*self.coming, *self.elsewhere))
        allows = [rule for rules in self.scopes_with(Effect.ALLOW, Permission.READ).values() for rule in rules]
        return not conditional and all(
            rule.terms.obligations == NO_OBLIGATIONS and rule.terms.ends_at is None and not rule.terms.ip_ranges
            for rule in allows
        )

    def read_terms(self, scopes: Set[str]) -> ReadTerms | None:
        """On what terms the file with these ``scopes`` may be downloaded, None for not at all. The only place where
        terms are made.

        Of several rules that allow, the most generous wins as a whole: its obligations are never mixed with another's.
        A rule that needs a link bound to an address cannot win for an IPv6 caller: CloudFront binds IPv4 only. Without
        a CDN it wins for nobody, and neither does one that needs a personal link. Where
        reading is denied to other addresses, every link is bound to the caller's, or it would work there too.
        """
        if not self.may(Permission.READ, scopes):
            return None
        if self.is_admin:
            return PLAIN
        denied_from = min(
            (start for rule in _on(scopes, self.coming) if (start := rule.terms.starts_at) is not None), default=None
        )
        only_here = None
        if any(True for _ in _on(scopes, self.elsewhere)):
            only_here = self._this_address
            if only_here is None:
                return None
        if self.owns(scopes):
            return ReadTerms(ip_range=only_here, until=denied_from)
        allows = self.scopes_with(Effect.ALLOW, Permission.READ)
        for rule in sorted((rule for scope in scopes for rule in allows.get(scope, ())), key=generosity):
            if rule.terms.obligations.personal_links and not self.binds_links:
                continue
            ip_range = only_here
            if ip_range is None and is_bound_to_address(rule.terms):
                ip_range = self._link_range(rule)
                if ip_range is None:
                    continue
            ends = [end for end in (rule.terms.ends_at, denied_from) if end is not None]
            obligations = rule.terms.obligations
            return ReadTerms(
                obligations.max_lifetime,
                ip_range,
                obligations.forces_download,
                min(ends, default=None),
                obligations.personal_links,
            )
        return None

    def _link_range(self, rule: AccessRule) -> str | None:
        """The one IPv4 range that a link by this rule must be bound to; None when it cannot be."""
        if not self.binds_links:
            return None
        if not isinstance(self.address, IPv4Address) or rule.terms.obligations.binds_ip:
            return self._this_address
        return _range_of(rule.terms.ip_ranges, self.address)

    @property
    def _this_address(self) -> str | None:
        return f"{self.address}/32" if self.binds_links and isinstance(self.address, IPv4Address) else None


def _on(scopes: Set[str], denials: Iterable[AccessRule]) -> Iterator[AccessRule]:
    """Those of ``denials`` that deny READ on a thing with these scopes."""
    return (rule for rule in denials if Permission.READ in rule.terms.permissions and rule.terms.resource in scopes)


def is_bound_to_address(terms: RuleTerms) -> bool:
    """Whether a link on these terms must not work elsewhere: a condition that the edge ignored would be none."""
    return terms.obligations.binds_ip or bool(terms.ip_ranges)


def generosity(rule: AccessRule) -> tuple[bool, bool, bool, float, float, str]:
    """Sorts the most generous first: from anywhere, shown in the page, to pass on, for longest, until latest, the
    oldest rule.
    """
    lifetime, end = rule.terms.obligations.max_lifetime, rule.terms.ends_at
    return (
        is_bound_to_address(rule.terms),
        rule.terms.obligations.forces_download,
        rule.terms.obligations.personal_links,
        -math.inf if lifetime is None else -lifetime.total_seconds(),
        -math.inf if end is None else -end.timestamp(),
        rule.id,
    )


@lru_cache(maxsize=10_000)
def _networks(ranges: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, ranges))


def _range_of(ranges: tuple[str, ...], address: Address) -> str | None:
    """The widest of ``ranges`` that ``address`` is in."""
    networks = [network for network in _networks(ranges) if address in network]
    return str(min(networks, key=lambda network: network.prefixlen)) if networks else None
