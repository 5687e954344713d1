"""Small worlds full of rules, for property tests: trees, files with labels, people in groups, and rules about them.

Few users, instants, addresses and labels, so that rules meet. Everything is drawn as small numbers, which shrink well.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Final, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from graphql_api.access.plan import folders_to_open
from graphql_api.access.standing import Rulebook
from graphql_api.model.file import File, Folder
from graphql_api.model.group import Group
from graphql_api.model.ids import (
    FILE_PREFIX,
    FOLDER_PREFIX,
    GROUP_PREFIX,
    ROOT_FOLDER_ID,
    RULE_PREFIX,
    USER_PREFIX,
    FileId,
    FolderId,
    GroupId,
    RuleId,
    UserId,
)
from graphql_api.model.principal import ANONYMOUS, CONTENT_PERMISSIONS, Address, Permission, Principal
from graphql_api.model.rule import (
    ANYONE,
    NO_OBLIGATIONS,
    ROOT,
    SIGNED_IN,
    AccessRule,
    Effect,
    Obligations,
    RuleTerms,
    Scope,
    Subject,
    is_folder,
    label_scope,
)

_T = TypeVar("_T")

BEGINNING: Final = datetime(2026, 11, 22, tzinfo=UTC)
INSTANTS: Final = tuple(BEGINNING + timedelta(hours=hour) for hour in range(5))
ADDRESSES: Final[tuple[Address | None, ...]] = (
    None,
    ip_address("192.0.2.7"),
    ip_address("192.0.2.99"),
    ip_address("198.51.100.1"),
    ip_address("2001:db8::1"),
)
_RANGES: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("192.0.2.0/24",),
    ("192.0.2.7/32", "2001:db8::/32"),
    ("0.0.0.0/1", "128.0.0.0/1"),  # two halves of all IPv4
    ("2001:db8::/32",),
)
_OBLIGATIONS: Final = (
    NO_OBLIGATIONS,
    Obligations(max_lifetime=timedelta(minutes=1)),
    Obligations(max_lifetime=timedelta(hours=1), forces_download=True),
    Obligations(binds_ip=True),
    Obligations(forces_download=True),
    Obligations(personal_links=True),
)
LABELS: Final = ("blue", "green", "red")


def _id(prefix: str, number: int) -> str:
    return f"{prefix}{number:026d}"


USERS: Final = tuple(UserId(_id(USER_PREFIX, number)) for number in range(1, 4))
GROUPS: Final = tuple(
    Group(GroupId(_id(GROUP_PREFIX, number)), name, claim, BEGINNING, BEGINNING)
    for number, (name, claim) in enumerate((("Designers", None), ("Staff", "staff")), start=1)
)
_SUBJECTS: Final = (  # the first user is the one whom most rules are about
    *[Subject(USERS[0])] * 3,
    *map(Subject, USERS[1:]),
    *(Subject(group.id) for group in GROUPS),
    SIGNED_IN,
    ANYONE,
)
PRINCIPALS: Final = (
    ANONYMOUS,
    *(Principal(user) for user in USERS),
    Principal(USERS[0], groups=frozenset({"staff"})),
    Principal(USERS[2], is_admin=True),
    Principal(None, groups=frozenset({"staff"}), is_admin=True),  # a pretender: nobody is no administrator
)


@dataclass(frozen=True)
class RuledWorld:
    """``folders``: the root first. ``crowded``: those with more subfolders than a rulebook would carry."""

    folders: tuple[Folder, ...]
    files: tuple[File, ...]
    labels: Mapping[FileId, frozenset[str]]
    members: frozenset[tuple[GroupId, UserId]]  # of ``GROUPS``
    rules: tuple[AccessRule, ...]
    crowded: frozenset[FolderId] = frozenset()

    @property
    def things(self) -> tuple[File | Folder, ...]:
        return (*self.files, *self.folders)

    @cached_property
    def chains(self) -> Mapping[str, tuple[str, ...]]:
        """Each folder and file with the folders above it."""
        parents = {folder.id: folder.parent_id for folder in self.folders}
        found: dict[str, tuple[str, ...]] = {}
        for folder in self.folders:
            chain: list[str] = []
            here: FolderId | None = folder.id
            while here is not None:
                chain.append(here)
                here = parents[here]
            found[folder.id] = tuple(chain)
        return found | {file.id: (file.id, *found[file.folder_id]) for file in self.files}

    def scopes(self, thing: File | Folder) -> frozenset[str]:
        scopes = {*self.chains[thing.id], *([thing.owner_id] if thing.owner_id else [])}
        if isinstance(thing, File):
            scopes |= {label_scope(label) for label in self.labels[thing.id]}
        return frozenset(scopes)

    def groups_of(self, principal: Principal) -> frozenset[GroupId]:
        return frozenset(
            group.id
            for group in GROUPS
            if (group.id, principal.user_id) in self.members
            or (principal.user_id is not None and group.claim in principal.groups)
        )

    def rulebook(self, principal: Principal) -> Rulebook:
        """What the database would load for ``principal``."""
        groups = self.groups_of(principal)
        subjects = subjects_of(principal, groups)
        rules = tuple(rule for rule in self.rules if rule.terms.subject in subjects)
        named = {rule.terms.resource for rule in rules}
        chains = {scope: chain for scope, chain in self.chains.items() if scope in named}
        children = {
            parent: tuple(folder.id for folder in self.folders if folder.parent_id == parent)
            for parent in folders_to_open(rules, chains) - self.crowded
        }
        return Rulebook(principal.user_id, principal.is_admin, groups, rules, chains, children)


def subjects_of(principal: Principal, groups: Collection[str]) -> frozenset[str]:
    return frozenset({ANYONE} if principal.user_id is None else {ANYONE, SIGNED_IN, principal.user_id, *groups})


THOROUGH: Final = settings(max_examples=1000, derandomize=True, deadline=None)  # the same worlds on every run
BRISK: Final = settings(THOROUGH, max_examples=300)

_SMALL: Final = st.integers(0, 63)
_BITS: Final = st.integers(0, 2**16 - 1)
_TERMS: Final = st.tuples(*[_SMALL] * 8)

_PERMISSIONS: Final = (
    *[frozenset({Permission.READ})] * 5,
    frozenset({Permission.READ, Permission.WRITE}),
    frozenset({Permission.READ, Permission.SHARE}),
    frozenset(CONTENT_PERMISSIONS),
)
_WINDOWS: Final[tuple[tuple[datetime | None, datetime | None], ...]] = (
    *[(None, None)] * 8,
    (INSTANTS[1], INSTANTS[3]),
    (INSTANTS[2], None),
    (None, INSTANTS[2]),
    (INSTANTS[3], INSTANTS[4]),
)


def worlds(*, max_rules: int = 8) -> st.SearchStrategy[RuledWorld]:
    """Up to 9 folders, 10 files and ``max_rules`` valid rules, no two alike."""
    folders = st.lists(st.tuples(_SMALL, _SMALL), min_size=2, max_size=8)
    files = st.lists(st.tuples(_SMALL, _SMALL, _BITS), min_size=1, max_size=10)
    rules = st.lists(_TERMS, min_size=1, max_size=max_rules)
    return st.builds(_world, folders, files, rules, members=_BITS, crowded=_BITS)


def moments() -> st.SearchStrategy[datetime]:
    return st.sampled_from(INSTANTS)


def addresses() -> st.SearchStrategy[Address | None]:
    return st.sampled_from(ADDRESSES)


def principals() -> st.SearchStrategy[Principal]:
    return st.sampled_from(PRINCIPALS)


def _world(
    folders_drawn: Sequence[tuple[int, int]],
    files_drawn: Sequence[tuple[int, int, int]],
    rules_drawn: Sequence[Sequence[int]],
    *,
    members: int,
    crowded: int,
) -> RuledWorld:
    folders = [Folder(ROOT_FOLDER_ID, None, None, "", BEGINNING, BEGINNING)]
    for number, (parent, owner) in enumerate(folders_drawn, start=1):
        above = folders[-1 - parent % min(3, len(folders))].id  # deep rather than broad
        id_, owner_id = FolderId(_id(FOLDER_PREFIX, number)), USERS[owner % 3]
        folders.append(Folder(id_, above, owner_id, f"folder {number}", BEGINNING, BEGINNING))
    files = [
        _file(number, folders[folder % len(folders)].id, USERS[owner % 3])
        for number, (folder, owner, _) in enumerate(files_drawn, start=1)
    ]
    resources = [*(folder.id for folder in folders), *(file.id for file in files)]
    terms = dict.fromkeys(_rule_terms(drawn, resources) for drawn in rules_drawn)
    pairs = [(group.id, user) for group in GROUPS for user in USERS]
    return RuledWorld(
        folders=tuple(folders),
        files=tuple(files),
        labels={
            file.id: frozenset(_chosen(LABELS, drawn[2] & drawn[2] >> 3))
            for file, drawn in zip(files, files_drawn, strict=True)
        },
        members=frozenset(_chosen(pairs, members)),
        rules=tuple(rule_of(number, each) for number, each in enumerate(terms, start=1)),
        crowded=frozenset(_chosen([folder.id for folder in folders], crowded if crowded % 3 else 0)),
    )


def rule_of(number: int, terms: RuleTerms) -> AccessRule:
    return AccessRule(RuleId(_id(RULE_PREFIX, number)), terms, 1, None, BEGINNING, BEGINNING)


def _file(number: int, folder_id: FolderId, owner_id: UserId) -> File:
    """Two files at a time are as old as each other."""
    made_at = BEGINNING + timedelta(minutes=number // 2)
    return File(
        id=FileId(_id(FILE_PREFIX, number)),
        folder_id=folder_id,
        owner_id=owner_id,
        name=f"{'zebra' if number % 3 else 'apple'} {number}.txt",
        size=1000 - 100 * (number % 4),
        content_type="text/plain",
        stored_content_type="text/plain",
        sha256=None,
        object_key=f"o/{number}",
        created_at=made_at,
        updated_at=made_at,
    )


def _rule_terms(drawn: Sequence[int], resources: Sequence[str]) -> RuleTerms:
    effect = Effect.DENY if drawn[0] % 5 < 2 else Effect.ALLOW
    named = [resource for resource in resources if is_folder(resource) or drawn[1] % 8 > 3]
    resource = label_scope(LABELS[drawn[2] % 3]) if drawn[1] % 8 == 7 else Scope(named[drawn[2] % len(named)])
    subject = _SUBJECTS[drawn[4] % len(_SUBJECTS)]
    permissions = _PERMISSIONS[drawn[3] % len(_PERMISSIONS)]
    if subject == ANYONE and effect is Effect.ALLOW:
        permissions = frozenset({Permission.READ})
    if resource == ROOT and drawn[3] > 55 and subject not in (ANYONE, SIGNED_IN):
        permissions = frozenset({Permission.ADMINISTER, Permission.AUDIT})
    starts_at, ends_at = _WINDOWS[drawn[5] % len(_WINDOWS)]
    takes_obligations = effect is Effect.ALLOW and Permission.READ in permissions
    return RuleTerms(
        effect=effect,
        permissions=permissions,
        subject=subject,
        resource=resource,
        starts_at=starts_at,
        ends_at=ends_at,
        ip_ranges=_RANGES[max(0, drawn[6] % 10 - 5)],
        obligations=_OBLIGATIONS[max(0, drawn[7] % 10 - 5)] if takes_obligations else NO_OBLIGATIONS,
    )


def _chosen(values: Sequence[_T], bits: int) -> list[_T]:
    return [value for position, value in enumerate(values) if bits >> position & 1]
