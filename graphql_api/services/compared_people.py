"""Whom a rehearsal compares, each under the rules before and after the change."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from graphql_api.access.standing import Rulebook
from graphql_api.db import rehearsal
from graphql_api.db.rule_counts import count_rules_between
from graphql_api.db.rulebooks import subjects_of
from graphql_api.db.rules import list_rules_between
from graphql_api.model.ids import GROUP_PREFIX, GroupId, UserId, new_user_id
from graphql_api.model.rule import ANYONE, SIGNED_IN, AccessRule, Subject
from graphql_api.services.comparison import Person, Thing, evenly
from graphql_api.services.rule_draft import RuleDraft
from graphql_api.services.rule_resources import visible_rules

MAX_RULES: Final = 100_000  # that are read


@dataclass(frozen=True, slots=True)
class _Books:
    """Somebody's rulebooks before and after, still without rules: ``subject`` is what the lines call them."""

    subject: Subject
    before: Rulebook
    after: Rulebook

    @property
    def texts(self) -> set[str]:
        """The subjects that mean them."""
        return {text for book in (self.before, self.after) for text in subjects_of(book.user_id, book.groups)}


async def list_people(draft: RuleDraft, users: Sequence[Subject], things: Collection[Thing]) -> list[Person]:
    """Each user, under all rules that are about both them and the things; fewer, evenly, when these are too many."""
    ids = [UserId(user) for user in users if user != ANYONE]
    memberships = dict(await rehearsal.groups_of(draft.connection, ids))
    if draft.book.user_id in memberships:
        memberships[draft.book.user_id] = draft.book.groups  # the token that is here, not the one before
    every = []
    for user in users:
        user_id = None if user == ANYONE else UserId(user)
        is_admin = user_id == draft.book.user_id and draft.book.is_admin
        groups = frozenset[GroupId]() if user_id is None else memberships[user_id]
        before = after = Rulebook(user_id, is_admin, groups)
        if user_id is not None:
            after = replace(before, groups=draft.regrouping.after(user_id, groups))
        every.append(_Books(user, before, after))
    books, rules = await _read(draft, every, things)
    return _under(draft, books, rules)


async def list_subjects(draft: RuleDraft, subjects: Sequence[Subject], things: Collection[Thing]) -> list[Person]:
    """Each subject as somebody who is just that, under the rules that the caller may see; fewer, evenly, when these are
    too many.
    """
    every = [_Books(subject, book, book) for subject in subjects for book in [_book_of(draft, subject)]]
    books, rules = await _read(draft, every, things)
    return _under(draft, books, await visible_rules(draft.connection, draft.book, draft.standing, rules))


async def _read(
    draft: RuleDraft, books: Sequence[_Books], things: Collection[Thing]
) -> tuple[Sequence[_Books], list[AccessRule]]:
    scopes = frozenset[str]().union(*(thing.scopes for thing in things))
    counts = await count_rules_between(draft.connection, _texts(books), scopes)
    while len(books) > 1 and sum(counts.get(text, 0) for text in _texts(books)) > MAX_RULES:
        books = evenly(books, len(books) // 2)
    return books, await list_rules_between(draft.connection, _texts(books), scopes)


def _texts(books: Iterable[_Books]) -> set[str]:
    return {text for one in books for text in one.texts}


def _book_of(draft: RuleDraft, subject: Subject) -> Rulebook:
    if draft.book.user_id is not None and subject == Subject(draft.book.user_id):
        return Rulebook(draft.book.user_id, draft.book.is_admin, draft.book.groups)
    if subject == ANYONE:
        return Rulebook(None, is_admin=False)
    if subject.startswith(GROUP_PREFIX):
        return Rulebook(new_user_id(draft.now), is_admin=False, groups=frozenset({GroupId(subject)}))
    return Rulebook(new_user_id(draft.now) if subject == SIGNED_IN else UserId(subject), is_admin=False)


def _under(draft: RuleDraft, books: Iterable[_Books], rules: Collection[AccessRule]) -> list[Person]:
    before, after = _by_subject(rules), _by_subject(draft.after(rules))
    return [Person(one.subject, _with_rules(one.before, before), _with_rules(one.after, after)) for one in books]


def _by_subject(rules: Iterable[AccessRule]) -> Mapping[str, list[AccessRule]]:
    found: dict[str, list[AccessRule]] = {}
    for rule in rules:
        found.setdefault(rule.terms.subject, []).append(rule)
    return found


def _with_rules(book: Rulebook, by_subject: Mapping[str, Iterable[AccessRule]]) -> Rulebook:
    meant = dict.fromkeys(subjects_of(book.user_id, book.groups))
    return replace(book, rules=tuple(rule for text in meant for rule in by_subject.get(text, ())))
