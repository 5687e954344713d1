"""How long links that were issued under the rules before a change may go on working."""

from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import is_bound_to_address
from graphql_api.db import signing_keys
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, AccessRule, Effect, RuleTerms

_READING = (Permission.READ, Permission.ADMINISTER)  # who administers reads everything, and by nothing else


async def longest_life(connection: AsyncConnection, link_max_lifetime: timedelta) -> timedelta:
    """Of any link that is alive. ``link_max_lifetime``: what the settings let this process sign; they may have let
    others sign for longer, and be lower since.
    """
    return max(link_max_lifetime, await signing_keys.longest_lifetime(connection))


def old_links_expire_by(
    before: AccessRule | None,
    after: AccessRule | None,
    *,
    now: datetime,
    link_max_lifetime: timedelta,
    binds_links: bool,
) -> datetime | None:
    """The latest instant at which a link could still work for somebody from whom the change takes READ, or every link.

    None when it takes them from nobody, whatever other rules say, or only when the last such link has ended.
    ``binds_links``: as in ``Standing``; where they cannot be bound, rules that want it have given none.
    """
    latest = now + link_max_lifetime
    found = []
    for by in _READING:
        allowed = _after_less_allowed(before, after, by, now, link_max_lifetime, binds_links=binds_links)
        denied_from = _after_more_denied(before, after, by, now)
        if allowed is not None:
            found.append(min(allowed, latest))
        if denied_from is not None and denied_from < latest:
            found.append(latest)
    return max(found, default=None)


def takes_links(before: AccessRule | None, after: AccessRule | None, *, binds_links: bool) -> bool:
    """Whether the rule gives no links any more to some who may go on reading by it: it binds them to an address, which
    can be done for IPv4 only, and at a store for nobody; and at a store they cannot be personal.
    """
    if before is None or after is None:
        return False
    old, new = before.terms, after.terms
    if not (_reads(old, Effect.ALLOW, Permission.READ) and _reads(new, Effect.ALLOW, Permission.READ)):
        return False
    if binds_links:
        return new.obligations.binds_ip and not is_bound_to_address(old)
    return _is_never_linked(new) and not _is_never_linked(old)


def _is_never_linked(terms: RuleTerms) -> bool:
    """Whether nobody gets a store's link on these terms."""
    return is_bound_to_address(terms) or terms.obligations.personal_links


def _after_less_allowed(
    before: AccessRule | None,
    after: AccessRule | None,
    by: Permission,
    now: datetime,
    link_max_lifetime: timedelta,
    *,
    binds_links: bool,
) -> datetime | None:
    """When the last link ends that was made on the terms ``before``, if these allowed what is not allowed now."""
    if before is None or not _reads(before.terms, Effect.ALLOW, by):
        return None
    terms = before.terms
    if terms.starts_at is not None and terms.starts_at > now:
        return None
    last = now + link_max_lifetime
    if by is Permission.ADMINISTER:  # what a rule imposes on links does not bind administrators, nor does its end
        if terms.ends_at is not None and terms.ends_at <= now:
            last = now
    else:
        last = min(last, now + (terms.obligations.max_lifetime or link_max_lifetime), terms.ends_at or last)
        if not binds_links and _is_never_linked(terms):
            last = now
    if before.version > 1:  # it may have been more generous before it was changed the last time
        last = max(last, before.updated_at + link_max_lifetime)
    if last <= now:
        return None
    if after is not None and _covers(after.terms, terms, by, now, last):
        is_less = by is Permission.READ and takes_links(before, after, binds_links=binds_links)
        return last if is_less else None
    return last


def _after_more_denied(
    before: AccessRule | None, after: AccessRule | None, by: Permission, now: datetime
) -> datetime | None:
    """From when on ``after`` denies what ``before`` did not."""
    if after is None or not _reads(after.terms, Effect.DENY, by):
        return None
    terms = after.terms
    if terms.ends_at is not None and terms.ends_at <= now:
        return None
    starts_at = max(now, terms.starts_at or now)
    if before is not None and _covers(before.terms, terms, by, starts_at, terms.ends_at):
        return None
    return starts_at


def _reads(terms: RuleTerms, effect: Effect, by: Permission) -> bool:
    """Whether it says who reads, ``by`` which permission: administrators are whom the rules on the root say."""
    return terms.effect is effect and by in terms.permissions and (by is Permission.READ or terms.resource == ROOT)


def _covers(wide: RuleTerms, narrow: RuleTerms, by: Permission, since: datetime, until: datetime | None) -> bool:
    """Whether, from ``since`` to ``until``, ``wide`` says about ``by`` all that ``narrow`` says."""
    return (
        _reads(wide, narrow.effect, by)
        and (wide.subject, wide.resource) == (narrow.subject, narrow.resource)
        and (wide.starts_at is None or wide.starts_at <= since)
        and (wide.ends_at is None or (until is not None and until <= wide.ends_at))
        and (not wide.ip_ranges or (bool(narrow.ip_ranges) and all(_is_in(text, wide) for text in narrow.ip_ranges)))
    )


def _is_in(text: str, terms: RuleTerms) -> bool:
    network = ip_network(text)
    return any(_contains(ip_network(range_), network) for range_ in terms.ip_ranges)


def _contains(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return outer.version == inner.version and inner[0] in outer and inner[-1] in outer
