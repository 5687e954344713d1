"""Rehearsal: what drafted changes would do to whom.

Who may explain everybody's access (administrators and auditors) is told about each user, with every rule counted. To
others a user's line would tell what other rules say about that user, and a group's members. They are told what each
changed subject, being just that, gains and loses by the rules that they may see themselves, which is never exact.
Nobody is told about things that they may not read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from anyio import to_thread

from graphql_api.db import folders, rehearsal
from graphql_api.db.rules import list_rules_about
from graphql_api.db.scopes import scopes_of_files
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.page import MAX_COUNTED
from graphql_api.model.preview import Direction, Preview
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Permission
from graphql_api.model.rule import (
    ANYONE,
    RuleTerms,
    Subject,
    is_file,
    is_folder,
)
from graphql_api.services.compared_people import list_people, list_subjects
from graphql_api.services.comparison import (
    Person,
    Situation,
    Thing,
    bearable,
    evenly,
    fitted,
    lines_of,
    permissions_to_compare,
    situations_of,
)
from graphql_api.services.old_links import longest_life, old_links_expire_by, takes_links
from graphql_api.services.people import sees_everybody
from graphql_api.services.rule_draft import RuleDraft, Step

MAX_USERS: Final = 200
MAX_THINGS: Final = 2_000
MAX_PAIRS: Final = 100_000  # of a user and a thing
MAX_SITUATIONS: Final = 24
MAX_DECISIONS: Final = 1_000_000  # about a second; a user, a thing, a situation and a permission, before and after


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All that has to be read to say what drafted changes would do; the rest is arithmetic."""

    people: Sequence[Person]
    things: Sequence[Thing]
    permissions: frozenset[Permission]
    situations: Sequence[Situation]
    is_exact: bool
    users_total: int
    things_total: int
    newcomers: Mapping[Subject, str | None]  # what those are called who would be invited
    old_links_expire_by: datetime | None  # if somebody loses READ, or links
    takes_links: bool  # from some who may go on reading


async def compare(draft: RuleDraft, link_max_lifetime: timedelta) -> Preview:
    """The preview of all that ``draft`` holds, at once, for who keeps nobody waiting. Raises: Unavailable."""
    return await tell(await collect(draft, link_max_lifetime))


async def collect(draft: RuleDraft, link_max_lifetime: timedelta) -> Rehearsal:
    """What is to be compared, for the one who drafted it. Raises: Unavailable."""
    subjects: set[str] = {terms.subject for terms in _terms(draft.steps)}
    steps = [*draft.steps, *await _steps_of_regrouping(draft)]
    changed = _terms(steps)
    permissions = permissions_to_compare(changed)
    situations, has_all_situations = situations_of(changed, draft.now, MAX_SITUATIONS)
    tells_all = sees_everybody(draft.standing)
    users = await _users(draft, subjects) if tells_all else sorted(map(Subject, subjects))
    concerned = await _concerned(draft, changed)
    users_total, things_total = len(users), min(MAX_COUNTED, len(concerned))
    pairs = fitted([min(users_total, MAX_USERS), min(things_total, MAX_THINGS)], MAX_PAIRS)
    max_users, max_things, max_situations = fitted(
        [*pairs, len(situations)], MAX_DECISIONS // max(1, 2 * len(permissions))
    )
    things = await _sampled(draft, concerned, max_things)
    people = await (list_people if tells_all else list_subjects)(draft, evenly(users, max_users), things)
    examined, fewer = bearable(people, evenly(situations, max_situations), MAX_DECISIONS)
    is_whole = (len(examined), len(things), len(fewer)) == (users_total, things_total, len(situations))
    link_max_lifetime = await longest_life(draft.connection, link_max_lifetime)
    ends = [
        old_links_expire_by(
            step.before,
            step.after,
            now=draft.now,
            link_max_lifetime=link_max_lifetime,
            binds_links=draft.standing.binds_links,
        )
        for step in steps
    ]
    return Rehearsal(
        people=examined,
        things=things,
        permissions=permissions,
        situations=fewer,
        is_exact=tells_all and has_all_situations and is_whole and max(users_total, things_total) < MAX_COUNTED,
        users_total=users_total,
        things_total=things_total,
        newcomers={Subject(id_): one.email or one.subject for id_, one in draft.subjects.invitees.items()},
        old_links_expire_by=max(filter(None, ends), default=None),
        takes_links=any(takes_links(step.before, step.after, binds_links=draft.standing.binds_links) for step in steps),
    )


async def tell(rehearsal: Rehearsal) -> Preview:
    """Needs no database, so that nobody else's work is held up."""
    lines = await to_thread.run_sync(
        lines_of, rehearsal.people, rehearsal.things, rehearsal.permissions, rehearsal.situations
    )
    lines = [replace(line, newcomer=rehearsal.newcomers.get(line.subject)) for line in lines]
    loses_read = any(line.permission is Permission.READ and line.direction is Direction.LOSES for line in lines)
    is_told = loses_read or rehearsal.takes_links or not rehearsal.is_exact
    return Preview(
        lines=tuple(lines),
        is_exact=rehearsal.is_exact,
        users_examined=len(rehearsal.people),
        users_total=rehearsal.users_total,
        things_examined=len(rehearsal.things),
        things_total=rehearsal.things_total,
        old_links_expire_by=rehearsal.old_links_expire_by if is_told else None,
    )


def _terms(steps: Iterable[Step]) -> list[RuleTerms]:
    return [rule.terms for step in steps for rule in (step.before, step.after) if rule is not None]


async def _steps_of_regrouping(draft: RuleDraft) -> list[Step]:
    """A rule about a group is gone for who leaves it, and new for who joins it."""
    joined = frozenset[str]().union(*draft.regrouping.joined.values())
    left = frozenset[str]().union(*draft.regrouping.left.values())
    if not joined | left:
        return []
    before = await list_rules_about(draft.connection, joined | left)
    gone = [Step(rule, None) for rule in before if rule.terms.subject in left]
    return gone + [Step(None, rule) for rule in draft.after(before) if rule.terms.subject in joined]


async def _users(draft: RuleDraft, subjects: Collection[str]) -> Sequence[Subject]:
    """Everybody whom the changed rules mean, or who changes groups; those who are not signed in are one. Who would be
    invited is there, too.
    """
    users = await rehearsal.list_users_meant(draft.connection, subjects, MAX_COUNTED)
    invited = [Subject(user_id) for user_id in draft.subjects.invitees if user_id in subjects]
    anonymous = [ANYONE] if ANYONE in subjects else []
    moved = sorted(map(Subject, draft.regrouping.joined.keys() | draft.regrouping.left.keys()))
    return list(dict.fromkeys((*anonymous, *map(Subject, users), *invited, *moved)))[:MAX_COUNTED]


async def _concerned(draft: RuleDraft, changed: Collection[RuleTerms]) -> Mapping[str, Thing | None]:
    """The things that the rules are about and that the caller may read, up to a limit: folders as they are, files still
    to be found.
    """
    found: dict[str, Thing | None] = {}
    files: dict[FileId, None] = {}
    for scope in sorted({terms.resource for terms in changed}):
        if is_folder(scope):
            is_about_content = any(
                terms.permissions - ADMINISTRATIVE_PERMISSIONS or Permission.ADMINISTER in terms.permissions
                for terms in changed
                if terms.resource == scope
            )
            if len(found) < MAX_COUNTED:
                found |= await _folders(draft, FolderId(scope), MAX_COUNTED if is_about_content else 1)
            if not is_about_content:
                continue
        if is_file(scope):
            files[FileId(scope)] = None
        elif len(files) < MAX_COUNTED:
            files |= dict.fromkeys(await rehearsal.list_files_on(draft.connection, scope, MAX_COUNTED))
    file_ids = list(files)[:MAX_COUNTED]
    if not draft.standing.is_admin:
        file_ids = [FileId(thing.id) for thing in await _files(draft, file_ids)]
    return found | dict.fromkeys(file_ids)


async def _sampled(draft: RuleDraft, concerned: Mapping[str, Thing | None], limit: int) -> list[Thing]:
    ids = evenly(list(concerned), limit)
    folders_among = [thing for id_ in ids if (thing := concerned[id_]) is not None]
    return folders_among + await _files(draft, [FileId(id_) for id_ in ids if concerned[id_] is None])


async def _folders(draft: RuleDraft, folder_id: FolderId, limit: int) -> dict[str, Thing]:
    """The folder and those below that the caller may see."""
    top = (await folders.find_placed(draft.connection, draft.standing, [folder_id])).get(folder_id)
    if top is None:
        return {}
    below = await folders.list_subtree(draft.connection, top, limit=limit)
    return {
        id_: Thing(id_, found.scopes)
        for id_, found in below.items()
        if draft.standing.may(Permission.READ, found.scopes)
    }


async def _files(draft: RuleDraft, ids: Collection[FileId]) -> list[Thing]:
    """Those that the caller may see, in the order of ``ids``."""
    found = await scopes_of_files(draft.connection, ids)
    return [Thing(id_, found[id_]) for id_ in ids if id_ in found and draft.standing.may(Permission.READ, found[id_])]
