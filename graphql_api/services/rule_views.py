"""Rules as their viewer sees them: a page of them, one of them, and why they decide what they decide."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.explain import explain
from graphql_api.access.standing import Rulebook
from graphql_api.db import groups, rules, users
from graphql_api.db.rulebooks import load_rulebook, load_rulebook_of, subjects_of, with_rules
from graphql_api.errors import Forbidden, InputFault, InvalidInput
from graphql_api.model.decision import AccessDecision
from graphql_api.model.ids import FILE_PREFIX, GROUP_PREFIX, GroupId, RuleId, UserId, new_user_id, well_formed
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import ANONYMOUS, Address, Permission, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, AccessRule, Scope, Subject, is_folder
from graphql_api.services.people import sees_everybody
from graphql_api.services.rule_json import tag_of
from graphql_api.services.rule_resources import find_resources, managed_among, visible_rules
from graphql_api.services.rule_wishes import is_subject, normal_resource

_NOTHING: Final = well_formed("", FILE_PREFIX)  # no rule is about it


async def find_visible(
    connection: AsyncConnection, principal: Principal, ids: Collection[RuleId], now: datetime
) -> Mapping[RuleId, AccessRule]:
    """Those of ``ids`` that the principal may see."""
    book = await load_rulebook(connection, principal)
    found = await rules.find_rules(connection, ids)
    standing = book.standing(now, principal.address)
    return {rule.id: rule for rule in await visible_rules(connection, book, standing, found.values())}


async def list_visible(
    connection: AsyncConnection, principal: Principal, request: PageRequest, resource: Scope | None, now: datetime
) -> Page[AccessRule]:
    """The newest first. Raises: InvalidInput: a foreign cursor."""
    book = await load_rulebook(connection, principal)
    standing = book.standing(now, principal.address)
    own = subjects_of(book.user_id, book.groups)
    if resource is None:
        subjects = None if sees_everybody(standing) else own
        return await rules.page_rules(connection, request, subjects=subjects)
    scopes = await _scopes_with_rules(connection, book, resource, now, principal.address)
    managed = scopes if sees_everybody(standing) else await managed_among(connection, standing, scopes)
    return await rules.page_rules(connection, request, subjects=own, subjects_within=scopes, resources=managed)


async def _scopes_with_rules(
    connection: AsyncConnection, book: Rulebook, resource: Scope, now: datetime, address: Address | None
) -> Collection[str]:
    """The scopes whose rules are about ``resource``; none when it is absent, or hidden from who is no auditor."""
    standing = book.standing(now, address)
    wanted = normal_resource(resource) or resource
    found = (await find_resources(connection, [wanted])).get(wanted)
    if found is None or not (found.is_visible_to(standing) or sees_everybody(standing)):
        return ()
    if found.is_label:
        return (wanted,)
    return found.shared if is_folder(wanted) else found.scopes


async def find_tag(connection: AsyncConnection, principal: Principal, resource: Scope, now: datetime) -> str | None:
    """What stands for the rules on ``resource`` itself; None for who may not see them all."""
    book = await load_rulebook(connection, principal)
    standing = book.standing(now, principal.address)
    wanted = normal_resource(resource) or resource
    found = (await find_resources(connection, [wanted])).get(wanted)
    may_see = found is not None and (found.is_managed_by(standing) or sees_everybody(standing))
    there = await rules.list_rules_on(connection, [wanted] if may_see else [_NOTHING])
    return tag_of(there) if may_see else None


async def find_decision(
    connection: AsyncConnection,
    principal: Principal,
    thing: str,
    permission: Permission,
    subject: Subject | None,
    address: Address | None,
    now: datetime,
) -> AccessDecision | None:
    """None when the thing is absent, or hidden from who is no auditor.

    Raises: Forbidden: about somebody else. InvalidInput: an auditor asks about somebody who does not exist.
    """
    book = await load_rulebook(connection, principal)
    standing = book.standing(now, principal.address)
    is_about_others = subject is not None and (principal.user_id is None or subject != Subject(principal.user_id))
    if is_about_others and not sees_everybody(standing):
        raise Forbidden(
            "to explain the access of others takes the permission AUDIT",
            required_permission=Permission.AUDIT,
            path=("subject",),
        )
    found = (await find_resources(connection, [thing])).get(thing)
    if found is None or found.is_label or not (found.is_visible_to(standing) or sees_everybody(standing)):
        return None
    scopes = found.scopes
    considered = await rules.list_rules_on(connection, scopes)
    asked_about = book if subject is None or not is_about_others else await _book_of(connection, subject, now)
    subjects = frozenset(subjects_of(asked_about.user_id, asked_about.groups))
    if not sees_everybody(standing):
        considered = [rule for rule in considered if rule.terms.subject in subjects]
    asked_at = asked_about.standing(now, address)
    return explain(asked_at, considered, subjects, permission, scopes, now, address)


async def _book_of(connection: AsyncConnection, subject: Subject, now: datetime) -> Rulebook:
    """What the rules say about a user, about who is not signed in, or about somebody who is just that: in a group."""
    if subject == ANYONE:
        return await load_rulebook(connection, ANONYMOUS)
    is_user = is_subject(subject) and subject != SIGNED_IN and not subject.startswith(GROUP_PREFIX)
    if is_user and await users.find_users(connection, [UserId(subject)]):
        return await load_rulebook_of(connection, UserId(subject))
    group_ids = [GroupId(subject)] if subject.startswith(GROUP_PREFIX) else []
    known = await groups.find_groups(connection, group_ids)
    if is_user or not is_subject(subject) or len(known) != len(group_ids):
        raise InvalidInput(InputFault("no such user or group", ("subject",)))
    someone = Rulebook(new_user_id(now), is_admin=False, groups=frozenset(group_ids))
    about = await rules.list_rules_about(connection, subjects_of(someone.user_id, someone.groups))
    return await with_rules(connection, someone, about)
