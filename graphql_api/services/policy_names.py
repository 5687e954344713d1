"""The names in policy files: what they mean in the database at this moment, and by what names a file can say things."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import policy_names
from graphql_api.db.groups import find_groups
from graphql_api.db.policy_names import NamedUser
from graphql_api.model.group import Group, claim_fault, email_fault
from graphql_api.model.ids import GROUP_PREFIX, USER_PREFIX, GroupId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.rule import ANYONE, LABEL_PREFIX, ROOT, SIGNED_IN, Scope, Subject, is_file, is_label, label_scope
from graphql_api.policyfile import Kind, Path, PolicyFile, Target, Whom

Key = tuple[Kind, str]

PEOPLE: Final = frozenset({Kind.USER, Kind.SUBJECT, Kind.ID})
_EVERYBODY: Final[Mapping[str, Whom]] = {ANYONE: Whom(Kind.ANYONE), SIGNED_IN: Whom(Kind.SIGNED_IN)}


@dataclass(frozen=True)
class Meaning:
    """``scopes``: of the file's sections, in order. ``groups``: all there are, by the key of their name. ``people``:
    whom the file names, but for ``newcomers``, who have yet to be invited.
    """

    scopes: tuple[Scope, ...]
    groups: Mapping[str, Group]
    people: Mapping[Key, UserId]
    newcomers: Mapping[Key, Whom]


async def meaning_of(connection: AsyncConnection, file: PolicyFile, issuer: str) -> Meaning:
    """Raises: ConfigurationError: a line for each name that means nothing, or more than one thing. Unavailable."""
    faults: list[tuple[Path, str]] = []
    entries = await policy_names.find_entries(connection, [section.target.path for section in file.document.sections])
    scopes = []
    for number, section in enumerate(file.document.sections):
        scope = _scope_of(section.target, entries.get(section.target.path))
        if scope is None:
            faults.append((("resources", number, section.target.kind), f"there is no {section.target.kind} here"))
        else:
            scopes.append(scope)
    groups = {name_key(group.name): group for group in await policy_names.list_all_groups(connection)}
    known = groups.keys() | {name_key(group.name) for group in file.document.groups}
    faults += [
        (path, f"there is no group {whom.name!r}, and the file makes none")
        for path, whom in _named(file)
        if whom.kind is Kind.GROUP and name_key(whom.name) not in known
    ]
    people, newcomers = await _people(connection, file, issuer, faults)
    if faults:
        raise file.refused(faults)
    return Meaning(tuple(scopes), groups, people, newcomers)


async def whom_of(connection: AsyncConnection, subjects: Collection[str], issuer: str) -> Mapping[str, Whom]:
    """How a file names each of ``subjects``; a file that says so means the same."""
    group_ids = [GroupId(subject) for subject in subjects if subject.startswith(GROUP_PREFIX)]
    groups = await find_groups(connection, group_ids)
    users = await policy_names.find_people(
        connection, issuer, ids=[subject for subject in subjects if subject.startswith(USER_PREFIX)]
    )
    keys = {user.email_key for user in users if user.email_key is not None}
    by_email = _by_email(await policy_names.find_people(connection, issuer, email_keys=keys))
    return {
        **_EVERYBODY,
        **{group.id: Whom(Kind.GROUP, group.name) for group in groups.values()},
        **{user.id: _whom(user, issuer, is_only_one=by_email.get(user.email_key) == {user.id}) for user in users},
    }


async def targets_of(connection: AsyncConnection, scopes: Collection[str]) -> Mapping[str, Target]:
    """How a file names each of ``scopes`` that exists."""
    targets = {scope: Target("label", label=scope.removeprefix(LABEL_PREFIX)) for scope in scopes if is_label(scope)}
    paths = await policy_names.paths_of(connection, [scope for scope in scopes if not is_label(scope)])
    for scope, path in paths.items():
        kind = "file" if is_file(scope) else "folder"
        targets[scope] = Target("root") if scope == ROOT else Target(kind, path)
    return targets


def subject_of(whom: Whom, groups: Mapping[str, GroupId], people: Mapping[Key, UserId]) -> Subject:
    """The text that rules have."""
    match whom.kind:
        case Kind.ANYONE:
            return ANYONE
        case Kind.SIGNED_IN:
            return SIGNED_IN
        case Kind.GROUP:
            return Subject(groups[name_key(whom.name)])
        case _:
            return Subject(people[whom.key])


async def _people(
    connection: AsyncConnection, file: PolicyFile, issuer: str, faults: list[tuple[Path, str]]
) -> tuple[dict[Key, UserId], dict[Key, Whom]]:
    """Who is known already, and who is not."""
    named = [(path, whom) for path, whom in _named(file) if whom.kind in PEOPLE]
    found = await policy_names.find_people(
        connection,
        issuer,
        email_keys=_names(named, Kind.USER),
        subjects=_names(named, Kind.SUBJECT),
        ids=_names(named, Kind.ID),
    )
    meant: dict[Key, set[UserId]] = {}
    for user in found:
        meant.setdefault((Kind.ID, user.id), set()).add(user.id)
        if user.issuer == issuer:
            meant.setdefault((Kind.SUBJECT, user.subject), set()).add(user.id)
    of_issuer = [user for user in found if user.issuer == issuer]
    meant.update(((Kind.USER, key), ids) for key, ids in _by_email(of_issuer).items() if key is not None)
    people: dict[Key, UserId] = {}
    newcomers: dict[Key, Whom] = {}
    for path, whom in named:
        ids = meant.get(whom.key, set())
        if len(ids) > 1:
            faults.append((path, "more than one user has this e-mail address; name one by subject or id"))
        elif ids:
            people[whom.key] = next(iter(ids))
        elif whom.kind is Kind.ID:
            faults.append((path, "there is no user with this id"))
        else:
            newcomers.setdefault(whom.key, whom)
    return people, newcomers


def _by_email(users: Iterable[NamedUser]) -> dict[str | None, set[UserId]]:
    """Whom each address means: who has signed in with it, or else who was named by it."""
    meant: dict[str | None, set[UserId]] = {}
    for user in sorted(users, key=lambda user: not user.has_signed_in):
        named = meant.setdefault(user.email_key, set())
        if user.has_signed_in or not named:
            named.add(user.id)
    return meant


def _named(file: PolicyFile) -> Iterator[tuple[Path, Whom]]:
    """Everybody whom the file names, with the place."""
    for number, group in enumerate(file.document.groups):
        for position, member in enumerate(group.members or ()):
            yield ("groups", number, "members", position), member
    for number, section in enumerate(file.document.sections):
        for position, rule in enumerate(section.rules):
            yield ("resources", number, "rules", position, "to"), rule.to


def _names(named: Iterable[tuple[Path, Whom]], kind: Kind) -> set[str]:
    return {whom.key[1] for _, whom in named if whom.kind is kind}


def _scope_of(target: Target, entry: str | None) -> Scope | None:
    if target.kind == "root":
        return ROOT
    if target.kind == "label":
        return label_scope(target.label)
    return None if entry is None or is_file(entry) != (target.kind == "file") else Scope(entry)


def _whom(user: NamedUser, issuer: str, *, is_only_one: bool) -> Whom:
    if user.issuer == issuer:
        if user.email is not None and is_only_one and email_fault(user.email) is None:
            return Whom(Kind.USER, user.email)
        if claim_fault(user.subject) is None:
            return Whom(Kind.SUBJECT, user.subject)
    return Whom(Kind.ID, user.id)
