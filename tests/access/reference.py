"""The meaning of the rules, written as plainly as it reads: for one thing, walk up the tree and try every rule.

It shares nothing with ``graphql_api.access`` but the nouns, so that the two cannot be wrong together.
"""

from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, ip_network

from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.principal import Address, Permission, Principal
from graphql_api.model.rule import AccessRule, Effect, ReadTerms
from tests.access.worlds import GROUPS, RuledWorld


def visible(world: RuledWorld, principal: Principal, now: datetime, address: Address | None) -> set[FileId]:
    """The files that ``principal`` sees."""
    return {file.id for file in world.files if may(world, principal, Permission.READ, file, now, address)}


def visible_folders(world: RuledWorld, principal: Principal, now: datetime, address: Address | None) -> set[FolderId]:
    return {folder.id for folder in world.folders if may(world, principal, Permission.READ, folder, now, address)}


def may(
    world: RuledWorld,
    principal: Principal,
    permission: Permission,
    thing: File | Folder,
    now: datetime,
    address: Address | None,
) -> bool:
    """Administrators may; whom a rule denies may not; owners may; whom a rule allows may; nobody else may."""
    if is_administrator(world, principal, now, address):
        return True
    effects = {rule.terms.effect for rule in rules_on(world, thing, principal, permission, now, address)}
    if Effect.DENY in effects:
        return False
    if principal.user_id is not None and thing.owner_id == principal.user_id and permission.value in _CONTENT:
        return True
    return Effect.ALLOW in effects


def is_administrator(world: RuledWorld, principal: Principal, now: datetime, address: Address | None) -> bool:
    if principal.user_id is None:
        return False
    root = next(folder for folder in world.folders if folder.parent_id is None)
    rules = rules_on(world, root, principal, Permission.ADMINISTER, now, address)
    return principal.is_admin or {rule.terms.effect for rule in rules} == {Effect.ALLOW}


def terms(
    world: RuledWorld, principal: Principal, file: File, now: datetime, address: Address | None
) -> ReadTerms | None:
    """On what terms ``principal`` may download ``file``: of the rules that allow it and that a link can obey, the best;
    anywhere before here only, shown before downloaded, long before short, late before early, old before new.
    """
    if not may(world, principal, Permission.READ, file, now, address):
        return None
    if is_administrator(world, principal, now, address):
        return ReadTerms()
    dooms = [
        rule.terms.starts_at
        for rule in world.rules
        if rule.terms.effect is Effect.DENY
        and Permission.READ in rule.terms.permissions
        and _is_about(world, rule, principal)
        and _is_on(world, rule, file)
        and rule.terms.starts_at is not None
        and rule.terms.starts_at > now
    ]
    here_only: str | None = None
    for rule in world.rules:  # a denial in force that spares this address must not be got round with a link
        begun = rule.terms.starts_at is None or rule.terms.starts_at <= now
        over = rule.terms.ends_at is not None and rule.terms.ends_at <= now
        is_denial = rule.terms.effect is Effect.DENY and Permission.READ in rule.terms.permissions
        if is_denial and begun and not over and _is_about(world, rule, principal) and _is_on(world, rule, file):
            if not isinstance(address, IPv4Address):
                return None
            here_only = f"{address}/32"
    if file.owner_id == principal.user_id:
        return ReadTerms(ip_range=here_only, until=min(dooms, default=None))
    best: AccessRule | None = None
    for rule in rules_on(world, file, principal, Permission.READ, now, address):
        if here_only is None and _needs_address(rule) and not isinstance(address, IPv4Address):
            continue
        if best is None or _is_better(rule, best):
            best = rule
    if best is None:
        return None
    duties, ends = best.terms.obligations, [*dooms, *([best.terms.ends_at] if best.terms.ends_at else [])]
    return ReadTerms(
        duties.max_lifetime,
        here_only or _range(best, address),
        duties.forces_download,
        min(ends, default=None),
        duties.personal_links,
    )


_CONTENT = {"READ", "WRITE", "DELETE", "SHARE"}


def rules_on(
    world: RuledWorld,
    thing: File | Folder,
    principal: Principal,
    permission: Permission,
    now: datetime,
    address: Address | None,
) -> Iterator[AccessRule]:
    """Every rule that has a say, looked for one after the other."""
    for rule in world.rules:
        if permission not in rule.terms.permissions:
            continue
        if rule.terms.starts_at is not None and now < rule.terms.starts_at:
            continue
        if rule.terms.ends_at is not None and now >= rule.terms.ends_at:
            continue
        if _is_about(world, rule, principal) and _is_on(world, rule, thing) and _is_for(rule, address):
            yield rule


def _is_about(world: RuledWorld, rule: AccessRule, principal: Principal) -> bool:
    if rule.terms.subject == "anyone":
        return True
    if principal.user_id is None:
        return False
    if rule.terms.subject in ("signed-in", principal.user_id):
        return True
    for group in GROUPS:
        if str(group.id) == rule.terms.subject:
            is_claimed = group.claim is not None and group.claim in principal.groups
            return is_claimed or (group.id, principal.user_id) in world.members
    return False


def _is_on(world: RuledWorld, rule: AccessRule, thing: File | Folder) -> bool:
    """Whether the rule's resource is the thing, one of its labels, or a folder met on the way up."""
    if str(thing.id) == rule.terms.resource:
        return True
    if isinstance(thing, File) and rule.terms.resource in {f"label:{label}" for label in world.labels[thing.id]}:
        return True
    above = thing.folder_id if isinstance(thing, File) else thing.parent_id
    while above is not None:
        if str(above) == rule.terms.resource:
            return True
        above = next(folder.parent_id for folder in world.folders if folder.id == above)
    return False


def _is_for(rule: AccessRule, address: Address | None) -> bool:
    if len(rule.terms.ip_ranges) == 0:
        return True
    if address is None:
        return rule.terms.effect is Effect.DENY
    return any(address in ip_network(text) for text in rule.terms.ip_ranges)


def _needs_address(rule: AccessRule) -> bool:
    return rule.terms.obligations.binds_ip or len(rule.terms.ip_ranges) > 0


def _is_better(one: AccessRule, other: AccessRule) -> bool:
    if _needs_address(one) != _needs_address(other):
        return _needs_address(other)
    mine, theirs = one.terms.obligations, other.terms.obligations
    if mine.forces_download != theirs.forces_download:
        return theirs.forces_download
    if mine.personal_links != theirs.personal_links:
        return theirs.personal_links
    if mine.max_lifetime != theirs.max_lifetime:
        if mine.max_lifetime is None or theirs.max_lifetime is None:
            return mine.max_lifetime is None
        return mine.max_lifetime > theirs.max_lifetime
    if one.terms.ends_at != other.terms.ends_at:
        if one.terms.ends_at is None or other.terms.ends_at is None:
            return one.terms.ends_at is None
        return one.terms.ends_at > other.terms.ends_at
    return one.id < other.id


def _range(rule: AccessRule, address: Address | None) -> str | None:
    """The caller's own address when the rule says so, else the widest of its ranges that the caller is in."""
    if not _needs_address(rule):
        return None
    if rule.terms.obligations.binds_ip:
        return f"{address}/32"
    widest: IPv4Network | None = None
    for text in rule.terms.ip_ranges:
        network = ip_network(text)
        if isinstance(network, IPv4Network) and address in network:
            widest = network if widest is None or network.num_addresses > widest.num_addresses else widest
    return str(widest)
