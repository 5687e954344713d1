"""Rehearsal: what drafted changes would do to whom.

Who may explain everybody's access (administrators and auditors) is told about each user, with every rule counted. To
others a user's line would tell what other rules say about that user, and a group's members. They are told what each
changed subject, being just that, gains and loses by the rules that they may see themselves, which is never exact.
Nobody is told about things that they may not read.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from anyio import to_thread

from graphql_api.access.standing import Rulebook
from graphql_api.db import folders, rehearsal
from graphql_api.db.rulebooks import subjects_of
from graphql_api.db.rules import list_rules_about, list_rules_between
from graphql_api.db.scopes import scopes_of_files
from graphql_api.model.ids import GROUP_PREFIX, FileId, FolderId, GroupId, UserId, new_user_id
from graphql_api.model.page import MAX_COUNTED
from graphql_api.model.preview import Direction, Preview
from graphql_api.model.principal import ADMINISTRATIVE_PERMISSIONS, Permission
from graphql_api.model.rule import (
    ANYONE,
    SIGNED_IN,
    AccessRule,
    RuleTerms,
    Subject,
    is_file,
    is_folder,
)
from graphql_api.services.comparison import (
    Person,
    Thing,
    lines_of,
    permissions_to_compare,
    situations_of,
)
from graphql_api.services.old_links import old_links_expire_by
from graphql_api.services.people import sees_everybody
from graphql_api.services.rule_draft import RuleDraft, Step
from graphql_api.services.rule_resources import visible_rules

MAX_USERS: Final = 200
MAX_THINGS: Final = 2_000
MAX_PAIRS: Final = 100_000  # of a user and a thing
MAX_SITUATIONS: Final = 24

T = TypeVar("T")


async def compare(draft: RuleDraft, link_max_lifetime: timedelta) -> Preview:
    """The preview of all that ``draft`` holds, for the one who drafted it. Raises: Unavailable."""
    subjects: set[str] = {terms.subject for terms in _terms(draft.steps)}
    steps = [*draft.steps, *await _steps_of_regrouping(draft)]
    changed = _terms(steps)
    permissions = permissions_to_compare(changed)
    tells_all = sees_everybody(draft.standing)
    users = await _users(draft, subjects) if tells_all else sorted(map(Subject, subjects))
    users_total = len(users)
    users = _evenly(users, MAX_USERS)
    things_total, things = await _things(draft, changed, min(MAX_THINGS, MAX_PAIRS // max(1, len(users))))
    people = await (_people if tells_all else _subjects)(draft, users, things)
    every_situation = situations_of(changed, draft.now)
    situations = _evenly(every_situation, MAX_SITUATIONS)
    lines = await to_thread.run_sync(lines_of, people, things, permissions, situations)
    is_exact = (
        tells_all
        and len(users) == users_total < MAX_COUNTED
        and len(things) == things_total < MAX_COUNTED
        and len(situations) == len(every_situation)
    )
    ends = [
        old_links_expire_by(step.before, step.after, now=draft.now, link_max_lifetime=link_max_lifetime)
        for step in steps
    ]
    names = {Subject(id_): invitee.email or invitee.subject for id_, invitee in draft.subjects.invitees.items()}
    lines = [replace(line, newcomer=names.get(line.subject)) for line in lines]
    loses_read = any(line.permission is Permission.READ and line.direction is Direction.LOSES for line in lines)
    return Preview(
        lines=tuple(lines),
        is_exact=is_exact,
        users_examined=len(users),
        users_total=users_total,
        things_examined=len(things),
        things_total=things_total,
        old_links_expire_by=max(filter(None, ends), default=None) if loses_read or not is_exact else None,
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


async def _things(draft: RuleDraft, changed: Collection[RuleTerms], limit: int) -> tuple[int, list[Thing]]:
    """How many things are concerned that the caller may read, counted up to a limit, and an even sample of them."""
    folder_things: dict[str, Thing] = {}
    file_ids: dict[FileId, None] = {}
    for scope in sorted({terms.resource for terms in changed}):
        if is_folder(scope):
            is_about_content = any(
                terms.permissions - ADMINISTRATIVE_PERMISSIONS or Permission.ADMINISTER in terms.permissions
                for terms in changed
                if terms.resource == scope
            )
            folder_things |= await _folders(draft, FolderId(scope), MAX_COUNTED if is_about_content else 1)
            if not is_about_content:
                continue
        if is_file(scope):
            file_ids[FileId(scope)] = None
        else:
            file_ids |= dict.fromkeys(await rehearsal.list_files_on(draft.connection, scope, MAX_COUNTED))
    files = list(file_ids)[:MAX_COUNTED]
    if not draft.standing.is_admin:
        files = [FileId(thing.id) for thing in await _files(draft, files)]
    total = min(MAX_COUNTED, len(files) + len(folder_things))
    sampled = _evenly([*folder_things, *files], limit)
    sampled_files = await _files(draft, [FileId(id_) for id_ in sampled if is_file(id_)])
    return total, [*(folder_things[id_] for id_ in sampled if is_folder(id_)), *sampled_files]


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


async def _people(draft: RuleDraft, users: Sequence[Subject], things: Sequence[Thing]) -> list[Person]:
    """Each user, under all rules that are about both them and the things."""
    ids = [UserId(user) for user in users if user != ANYONE]
    memberships = dict(await rehearsal.groups_of(draft.connection, ids))
    if draft.book.user_id in memberships:
        memberships[draft.book.user_id] = draft.book.groups  # the token that is here, not the one before
    subjects = {ANYONE, SIGNED_IN, *ids}.union(*memberships.values(), *draft.regrouping.joined.values())
    rules = await list_rules_between(draft.connection, subjects, _scopes(things))
    people = []
    for user in users:
        user_id = None if user == ANYONE else UserId(user)
        is_admin = user_id == draft.book.user_id and draft.book.is_admin
        groups = frozenset[GroupId]() if user_id is None else memberships[user_id]
        before = after = Rulebook(user_id, is_admin, groups)
        if user_id is not None:
            after = replace(before, groups=draft.regrouping.after(user_id, groups))
        people.append(_person(draft, user, before, after, rules))
    return people


async def _subjects(draft: RuleDraft, subjects: Sequence[Subject], things: Sequence[Thing]) -> list[Person]:
    """Each subject as somebody who is just that, under the rules that the caller may see."""
    books = {subject: _book_of(draft, subject) for subject in subjects}
    about = {text for book in books.values() for text in subjects_of(book.user_id, book.groups)}
    rules = await list_rules_between(draft.connection, about, _scopes(things))
    visible = await visible_rules(draft.connection, draft.book, draft.standing, rules)
    return [_person(draft, subject, book, book, visible) for subject, book in books.items()]


def _book_of(draft: RuleDraft, subject: Subject) -> Rulebook:
    if draft.book.user_id is not None and subject == Subject(draft.book.user_id):
        return Rulebook(draft.book.user_id, draft.book.is_admin, draft.book.groups)
    if subject == ANYONE:
        return Rulebook(None, is_admin=False)
    if subject.startswith(GROUP_PREFIX):
        return Rulebook(new_user_id(draft.now), is_admin=False, groups=frozenset({GroupId(subject)}))
    return Rulebook(new_user_id(draft.now) if subject == SIGNED_IN else UserId(subject), is_admin=False)


def _person(
    draft: RuleDraft, subject: Subject, before: Rulebook, after: Rulebook, rules: Collection[AccessRule]
) -> Person:
    return Person(subject, _with_rules(before, rules), _with_rules(after, draft.after(rules)))


def _with_rules(book: Rulebook, rules: Iterable[AccessRule]) -> Rulebook:
    meant = frozenset(subjects_of(book.user_id, book.groups))
    return replace(book, rules=tuple(rule for rule in rules if rule.terms.subject in meant))


def _scopes(things: Collection[Thing]) -> frozenset[str]:
    return frozenset[str]().union(*(thing.scopes for thing in things))


def _evenly(values: Sequence[T], limit: int) -> Sequence[T]:
    """At most ``limit`` of ``values``, at even distances."""
    if len(values) <= limit:
        return values
    return [values[position * len(values) // limit] for position in range(limit)]
