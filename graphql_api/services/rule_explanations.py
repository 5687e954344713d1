"""Why somebody may or may not, with the rules that the viewer may see."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.explain import explain
from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import groups, rules, users
from graphql_api.db.rulebooks import load_rulebook, load_rulebook_of, subjects_of, with_rules
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.decision import AccessDecision
from graphql_api.model.ids import GROUP_PREFIX, FileId, FolderId, GroupId, UserId, new_user_id
from graphql_api.model.principal import ANONYMOUS, Address, Permission
from graphql_api.model.rule import ANYONE, SIGNED_IN, AccessRule, Subject, is_label
from graphql_api.services.people import sees_everybody
from graphql_api.services.rule_resources import find_resources
from graphql_api.services.rule_views import by_resource
from graphql_api.services.rule_wishes import is_subject

Question = tuple[FileId | FolderId, Permission]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a question is about, as of ``now`` and from ``address``."""

    book: Rulebook
    standing: Standing
    now: datetime
    address: Address | None


async def find_decisions(
    connection: AsyncConnection, book: Rulebook, standing: Standing, asked: Asked, questions: Collection[Question]
) -> Mapping[Question, AccessDecision]:
    """For the viewer of whom ``book`` and ``standing`` are. Without those about things that are absent, or hidden from
    who is no auditor. The number of statements does not depend on that of the questions.
    """
    found = await find_resources(connection, {thing for thing, _ in questions})
    scopes = {
        thing: there.scopes
        for thing, there in found.items()
        if not there.is_label and (there.is_visible_to(standing) or sees_everybody(standing))
    }
    told = by_resource(await _told(connection, book, standing, frozenset[str]().union(*scopes.values())))
    subjects = frozenset(subjects_of(asked.book.user_id, asked.book.groups))
    decisions = {}
    for thing, permission in questions:
        if thing in scopes:
            considered = [rule for scope in scopes[thing] for rule in told.get(scope, ())]
            decision = explain(
                asked.standing, considered, subjects, permission, scopes[thing], asked.now, asked.address
            )
            decisions[thing, permission] = _without_hidden(decision)
    return decisions


async def _told(
    connection: AsyncConnection, book: Rulebook, standing: Standing, scopes: Collection[str]
) -> Sequence[AccessRule]:
    """The rules on ``scopes`` that the viewer may be told of: auditors all, others those about them, except on folders
    that they do not see. Of labels too what they deny: the scopes are of files that the viewer sees with their labels.
    """
    if sees_everybody(standing):
        return await rules.list_rules_on(connection, scopes)
    above = await find_resources(connection, scopes)
    seen = {scope for scope, there in above.items() if is_label(scope) or there.is_visible_to(standing)}
    return [rule for rule in book.rules if rule.terms.resource in seen]


def _without_hidden(decision: AccessDecision) -> AccessDecision:
    """The rule that decided, which comes first, is not told when it is not among those considered."""
    is_told = decision.deciding_rule in [one.rule for one in decision.considered[:1]]
    return decision if is_told else replace(decision, deciding_rule=None)


async def book_of(connection: AsyncConnection, subject: Subject, now: datetime) -> Rulebook:
    """What the rules say about a user, about who is not signed in, or about somebody who is just that: in a group.

    Raises: InvalidInput: there is no such subject.
    """
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
