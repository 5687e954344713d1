"""The archive as rows of the product's tables, and of two more for those who do without scopes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from benchmarks.access.archive import START, Archive, created_at, file_ulid, group_id, rule_id, user_id
from benchmarks.access.archive import folder_id as id_of_folder
from benchmarks.access.viewers import Viewer
from graphql_api.db.rules import values_of
from graphql_api.model.ids import ROOT_FOLDER_ID, RuleId
from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule, RuleTerms, Scope, Subject

_TYPES: Final = (("jpg", "image/jpeg"), ("png", "image/png"), ("pdf", "application/pdf"), ("mp4", "video/mp4"))

_FILE_COLUMNS: Final = (
    *("id", "folder_id", "owner_id", "name", "name_key", "size", "content_type", "stored_content_type"),
    *("object_key", "created_at", "updated_at"),
)

SIDE_TABLES: Final = (
    "CREATE TABLE naive_paths (folder_id {text} PRIMARY KEY, path {text} NOT NULL)",
    "CREATE TABLE naive_labels (file_id {text}, label {text}, PRIMARY KEY (file_id, label))",
    "CREATE TABLE naive_rules (subject {text}, effect {text}, resource {text}, path {text})",
    "CREATE INDEX naive_rules_of_subject ON naive_rules (subject, effect)",
)
"""What people write who do not know scopes: the path of each folder, beside the folder and beside each rule that names
it; a row for each label of a file. ``text``: the type that the product's columns have, or no index would serve a join.
"""

ABOVE: Final = f"""
    CREATE TEMPORARY TABLE above AS
    WITH RECURSIVE chain (folder_id, scope, parent_id) AS (
        SELECT id, id, parent_id FROM folders
        UNION ALL
        SELECT chain.folder_id, folders.id, folders.parent_id FROM chain JOIN folders ON folders.id = chain.parent_id
    )
    SELECT folder_id, scope FROM chain WHERE scope <> '{ROOT_FOLDER_ID}'
"""
SCOPES: Final = """
    INSERT INTO file_scopes (scope, created_at, file_id)
    SELECT above.scope, files.created_at, files.id FROM files JOIN above ON above.folder_id = files.folder_id
    UNION ALL SELECT owner_id, created_at, id FROM files
    UNION ALL SELECT label, created_at, id FROM naive_labels JOIN files ON id = file_id
    ORDER BY {order}
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Those of one table."""

    table: str
    columns: tuple[str, ...]
    values: Iterable[Sequence[object]]


def rows_of(archive: Archive, people: Sequence[Viewer]) -> Iterator[Rows]:
    """Everything but ``file_scopes``, which the database makes of it, in an order that foreign keys allow."""
    names = [user_id(number) for number in range(archive.extent.users + len(people))]
    yield Rows(
        "users",
        ("id", "issuer", "subject", "display_name", "signed_in_at", "created_at"),
        [(id_, "https://login.example.com", id_, id_, START, START) for id_ in names],
    )
    groups = [group_id(number) for number in range(archive.extent.groups + 5)]
    yield Rows(
        "groups",
        ("id", "name", "name_key", "created_at", "updated_at"),
        [(id_, id_, id_, START, START) for id_ in groups],
    )
    members = chain(archive.other_members(), ((group, viewer.user) for viewer in people for group in viewer.groups))
    yield Rows("group_members", ("group_id", "user_id"), [(groups[group], names[user]) for group, user in members])
    yield from _folders(archive, names)
    yield from _files(archive, names)
    yield from _rules(archive, people)


def _folders(archive: Archive, users: Sequence[str]) -> Iterator[Rows]:
    yield Rows(
        "folders",
        ("id", "parent_id", "owner_id", "home_of", "name", "name_key", "created_at", "updated_at"),
        [
            (
                folder.id,
                id_of_folder(folder.parent),
                users[folder.owner],
                users[folder.owner] if folder.is_home else None,
                _folder_name(number),
                name_key(_folder_name(number)),
                START,
                START,
            )
            for number, folder in enumerate(archive.folders)
        ],
    )
    yield Rows(
        "folder_entries",
        ("folder_id", "name_key", "entry_id"),
        [
            (id_of_folder(folder.parent), name_key(_folder_name(number)), folder.id)
            for number, folder in enumerate(archive.folders)
        ],
    )
    yield Rows("naive_paths", ("folder_id", "path"), _paths(archive).items())


def _paths(archive: Archive) -> dict[str, str]:
    """Of each folder, by its id: the numbers of the folders above it and its own."""
    found: dict[str, str] = {ROOT_FOLDER_ID: "/"}
    for number, folder in enumerate(archive.folders):
        found[folder.id] = f"{found[id_of_folder(folder.parent)]}{number}/"
    return found


def _files(archive: Archive, users: Sequence[str]) -> Iterator[Rows]:
    yield Rows(
        "files",
        _FILE_COLUMNS,
        (_file(archive, users, number) for number in range(archive.extent.files)),
    )
    yield Rows(
        "folder_entries",
        ("folder_id", "name_key", "entry_id"),
        (
            (archive.folders[folder].id, name_key(_file_name(number)), archive.file_ids[number])
            for number, folder in enumerate(archive.folder_of)
        ),
    )
    yield Rows(
        "naive_labels",
        ("file_id", "label"),
        [(archive.file_ids[number], label) for number, labels in archive.labels_of.items() for label in labels],
    )


def _file(archive: Archive, users: Sequence[str], number: int) -> Sequence[object]:
    name, content_type, now = _file_name(number), _TYPES[number % 4][1], created_at(number)
    return (
        archive.file_ids[number],
        archive.folders[archive.folder_of[number]].id,
        users[archive.owner_of[number]],
        name,
        name_key(name),
        1_000 + number * 7919 % 1_000_003,
        content_type,
        content_type,
        f"o/{file_ulid(number)}",
        now,
        now,
    )


def _rules(archive: Archive, people: Sequence[Viewer]) -> Iterator[Rows]:
    theirs = [rule for viewer in people for rule in viewer.rules]
    rules = [*archive.other_rules(max(0, archive.extent.rules - len(theirs))), *theirs]
    values = []
    for number, rule in enumerate(rules):
        permissions = frozenset({Permission.READ})
        if rule.subject == archive.owner_of_home_id:
            permissions |= {Permission.WRITE, Permission.DELETE, Permission.SHARE}
        terms = RuleTerms(rule.effect, permissions, Subject(rule.subject), Scope(rule.resource))
        values.append(values_of(AccessRule(RuleId(rule_id(number)), terms, 1, None, START, START)))
    yield Rows("access_rules", tuple(values[0]), [tuple(one.values()) for one in values])
    paths = _paths(archive)
    yield Rows(
        "naive_rules",
        ("subject", "effect", "resource", "path"),
        [(rule.subject, rule.effect.value, rule.resource, paths.get(rule.resource)) for rule in rules],
    )


def _folder_name(number: int) -> str:
    return f"Folder {number}"


def _file_name(number: int) -> str:
    return f"Site survey {number:07} final.{_TYPES[number % 4][0]}"
