"""How long links that were issued under the rules before a change may go on working."""

from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from graphql_api.access.standing import is_bound_to_address
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule, Effect, RuleTerms


def old_links_expire_by(
    before: AccessRule | None,
    after: AccessRule | None,
    *,
    now: datetime,
    link_max_lifetime: timedelta,
    binds_links: bool,
) -> datetime | None:
    """The latest instant at which a link could still work for somebody from whom the change takes READ.

    None when it takes it from nobody, whatever other rules say, or only when the last such link has ended.
    ``binds_links``: as in ``Standing``; where they cannot be bound, rules that want it have given none.
    """
    latest = now + link_max_lifetime
    allowed = _after_less_allowed(before, after, now, link_max_lifetime, binds_links=binds_links)
    denied_from = _after_more_denied(before, after, now)
    found = [] if allowed is None else [min(allowed, latest)]
    if denied_from is not None and denied_from < latest:
        found.append(latest)
    return max(found, default=None)


def _after_less_allowed(
    before: AccessRule | None,
    after: AccessRule | None,
    now: datetime,
    link_max_lifetime: timedelta,
    *,
    binds_links: bool,
) -> datetime | None:
    """When the last link ends that was made on the terms ``before``, if these allowed what is not allowed now."""
    if before is None or not _reads(before.terms, Effect.ALLOW):
        return None
    terms = before.terms
    if terms.starts_at is not None and terms.starts_at > now:
        return None
    last = now + min(link_max_lifetime, terms.obligations.max_lifetime or link_max_lifetime)
    if terms.ends_at is not None:
        last = min(last, terms.ends_at)
    if not binds_links and (is_bound_to_address(before) or terms.obligations.personal_links):
        last = now
    if before.version > 1:  # it may have been more generous before it was changed the last time
        last = max(last, before.updated_at + link_max_lifetime)
    if last <= now or (after is not None and _covers(after.terms, terms, now, last)):
        return None
    return last


def _after_more_denied(before: AccessRule | None, after: AccessRule | None, now: datetime) -> datetime | None:
    """From when on ``after`` denies what ``before`` did not."""
    if after is None or not _reads(after.terms, Effect.DENY):
        return None
    terms = after.terms
    if terms.ends_at is not None and terms.ends_at <= now:
        return None
    starts_at = max(now, terms.starts_at or now)
    if before is not None and _covers(before.terms, terms, starts_at, terms.ends_at):
        return None
    return starts_at


def _reads(terms: RuleTerms, effect: Effect) -> bool:
    return terms.effect is effect and Permission.READ in terms.permissions


def _covers(wide: RuleTerms, narrow: RuleTerms, since: datetime, until: datetime | None) -> bool:
    """Whether, from ``since`` to ``until``, ``wide`` says about READ all that ``narrow`` says."""
    return (
        _reads(wide, narrow.effect)
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
