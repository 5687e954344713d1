"""Rules as their viewer sees them: pages of them, one of them, and what stands for all on a resource."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import rules
from graphql_api.model.ids import FILE_PREFIX, RuleId, well_formed
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.rule import AccessRule, Scope, is_folder
from graphql_api.services.people import sees_everybody
from graphql_api.services.rule_json import tag_of
from graphql_api.services.rule_resources import Resource, find_resources, visible_rules
from graphql_api.services.rule_wishes import normal_resource

_NOTHING: Final = well_formed("", FILE_PREFIX)  # no rule is about it
_AT_ONCE: Final = 1_000  # rules about the viewer that are looked at for a page; it takes more if too few may be seen


async def find_visible(
    connection: AsyncConnection, book: Rulebook, standing: Standing, ids: Collection[RuleId]
) -> Mapping[RuleId, AccessRule]:
    """Those of ``ids`` that the viewer may see."""
    found = await rules.find_rules(connection, ids)
    return {rule.id: rule for rule in await visible_rules(connection, book, standing, found.values())}


async def list_visible(
    connection: AsyncConnection, book: Rulebook, standing: Standing, request: PageRequest
) -> Page[AccessRule]:
    """Wherever they stand: to auditors all, to others those about them. Raises: InvalidInput: a foreign cursor."""
    if sees_everybody(standing):
        return await rules.page_rules(connection, request)
    candidates = rules.rules_beyond(book.rules, request)
    found: list[AccessRule] = []
    for start in range(0, len(candidates), _AT_ONCE):
        found += await visible_rules(connection, book, standing, candidates[start : start + _AT_ONCE])
        if len(found) > request.size:
            break
    return rules.page_among(found, request)


async def list_visible_on(
    connection: AsyncConnection,
    book: Rulebook,
    standing: Standing,
    request: PageRequest,
    resources: Collection[Scope],
) -> Mapping[Scope, Page[AccessRule]]:
    """A page for each of ``resources``: the rules on it and above it. Raises: InvalidInput: a foreign cursor."""
    scopes = await _scopes_with_rules(connection, standing, resources)
    every = frozenset[str]().union(*scopes.values())
    above = await find_resources(connection, every)
    is_auditor = sees_everybody(standing)
    managed = {scope for scope in every if is_auditor or (scope in above and above[scope].is_managed_by(standing))}
    own = [rule for rule in book.rules if rule.terms.resource in every - managed and _shows(above, rule, standing)]
    there = by_resource([*own, *await rules.list_nearest_on(connection, managed, request)])
    return {
        resource: rules.page_among((rule for scope in about for rule in there.get(scope, ())), request)
        for resource, about in scopes.items()
    }


def _shows(resources: Mapping[str, Resource], rule: AccessRule, standing: Standing) -> bool:
    resource = resources.get(rule.terms.resource)
    return resource is not None and resource.shows(rule, standing)


def by_resource(found: Iterable[AccessRule]) -> Mapping[str, list[AccessRule]]:
    there: dict[str, list[AccessRule]] = {}
    for rule in found:
        there.setdefault(rule.terms.resource, []).append(rule)
    return there


async def _scopes_with_rules(
    connection: AsyncConnection, standing: Standing, resources: Collection[Scope]
) -> Mapping[Scope, Collection[str]]:
    """The scopes whose rules are about each resource; none when it is absent, or hidden from who is no auditor."""
    wanted = {resource: normal_resource(resource) or resource for resource in resources}
    found = await find_resources(connection, wanted.values())
    scopes: dict[Scope, Collection[str]] = {}
    for resource, scope in wanted.items():
        there = found.get(scope)
        if there is None or not (there.is_visible_to(standing) or sees_everybody(standing)):
            scopes[resource] = ()
        elif there.is_label:
            scopes[resource] = (scope,)
        else:
            scopes[resource] = there.shared if is_folder(scope) else there.scopes
    return scopes


async def find_tags(
    connection: AsyncConnection, standing: Standing, resources: Collection[Scope]
) -> Mapping[Scope, str]:
    """What stands for the rules on each resource itself; without those whose rules the viewer may not all see."""
    wanted = {resource: normal_resource(resource) or resource for resource in resources}
    found = await find_resources(connection, wanted.values())
    shown = {scope for scope, there in found.items() if there.is_managed_by(standing) or sees_everybody(standing)}
    there = by_resource(await rules.list_rules_on(connection, shown or [_NOTHING]))
    return {resource: tag_of(there.get(scope, ())) for resource, scope in wanted.items() if scope in shown}
