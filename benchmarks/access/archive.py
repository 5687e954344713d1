"""An archive of files, generated: the same one for the same extent, whichever database will hold it."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from graphql_api.model.ids import FILE_PREFIX, FOLDER_PREFIX, GROUP_PREFIX, ROOT_FOLDER_ID, RULE_PREFIX, USER_PREFIX
from graphql_api.model.rule import Effect, label_scope

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
EMBARGO: Final = label_scope("embargo")  # what the newest files have
MOVED: Final = 10_000  # files in the folder that is moved, or a tenth of all when there are not so many
EMBARGOED: Final = 1_000  # as above

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SCATTER: Final = 0x9E37_79B9_7F4A_7C15_F39D  # odd: no two numbers are scattered to the same place
_SKEW: Final = 1.7  # the first folders have most of the files
_FILES_AT_ONE_INSTANT: Final = 3  # so that ties have to be broken by id
_SECONDS_BETWEEN: Final = 7


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of everything. ``departments`` are those of a tenant, ``leaves`` those of a department."""

    files: int
    rules: int = 100_000
    tenants: int = 50
    departments: int = 20
    leaves: int = 20
    users: int = 2_000
    homes: int = 950
    groups: int = 200
    labels: int = 50

    @classmethod
    def quick(cls, files: int) -> "Extent":
        """Little besides the files: to see that it works."""
        return cls(files, rules=400, tenants=4, departments=5, leaves=4, users=30, homes=10, groups=6, labels=8)


@dataclass(frozen=True, slots=True)
class Folder:
    """``parent``, ``owner``: their numbers; a parent of -1 is the root."""

    id: str
    parent: int
    owner: int
    is_home: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may or may not READ what; all other terms are plain."""

    subject: str
    effect: Effect
    resource: str


class Archive:
    """Numbers stand for users, groups, folders and files; ``*_id`` gives their ids."""

    def __init__(self, extent: Extent) -> None:
        self.extent: Final = extent
        self.labels: Final = [label_scope(f"subject {number:02}") for number in range(extent.labels)]
        self.folders: Final[list[Folder]] = []
        self._build_tree()
        self.folder_of: Final = array("i")
        self.owner_of: Final = array("i")
        self.labels_of: Final[dict[int, tuple[str, ...]]] = {}  # of the files that have any
        self._place_files(Random(1))
        self.file_ids: Final = [file_id(number) for number in range(extent.files)]
        self.newest_first: Final = self._newest_first()

    @property
    def owner_of_home_id(self) -> str:
        """Whose home the first one is; they own nothing elsewhere."""
        return user_id(self.extent.users)

    def _build_tree(self) -> None:
        extent = self.extent
        somebody = Random(2)

        def add(parent: int) -> int:
            self.folders.append(Folder(folder_id(len(self.folders)), parent, somebody.randrange(extent.users)))
            return len(self.folders) - 1

        self.tenants = [add(-1) for _ in range(extent.tenants)]
        self.departments = [[add(tenant) for _ in range(extent.departments)] for tenant in self.tenants]
        self.leaves = [[[add(one) for _ in range(extent.leaves)] for one in those] for those in self.departments]
        self.oldest = add(self.departments[-1][-1])  # holds the three oldest files
        self.moved = add(self.departments[1][0])
        self.homes = []
        for user in (extent.users, *range(extent.homes)):  # the first is that of the first user who owns nothing else
            self.homes.append(len(self.folders))
            self.folders.append(Folder(folder_id(len(self.folders)), -1, user, is_home=True))

    def _place_files(self, chance: Random) -> None:
        extent = self.extent
        leaves = [leaf for tenant in self.leaves for department in tenant for leaf in department]
        departments = [department for tenant in self.departments for department in tenant]
        moved_every = max(10, extent.files // MOVED)
        embargoed_from = extent.files - min(EMBARGOED, extent.files // 10)
        for number in range(extent.files):
            owner = int(extent.users * chance.random() ** _SKEW)
            kind, position = chance.random(), chance.random() ** _SKEW
            if number < 3:
                folder = self.oldest
            elif number % moved_every == 5:
                folder = self.moved
            elif number % 100 == 7:
                folder, owner = self.homes[0], extent.users
            elif kind < 0.03:
                folder = self.homes[1 + int(position * extent.homes)]
                owner = self.folders[folder].owner
            elif kind < 0.08:
                folder = departments[int(position * len(departments))]
            else:
                folder = leaves[int(position * len(leaves))]
            self.folder_of.append(folder)
            self.owner_of.append(owner)
            found = {self.labels[int(extent.labels * chance.random() ** _SKEW)]} if chance.random() < 0.2 else set()
            if number >= embargoed_from:
                found.add(EMBARGO)
            if found:
                self.labels_of[number] = tuple(sorted(found))

    def _newest_first(self) -> Sequence[int]:
        """All files in the order of lists: by instant, then by id."""
        found = array("i")
        for first in range((self.extent.files - 1) // _FILES_AT_ONE_INSTANT, -1, -1):
            start = first * _FILES_AT_ONE_INSTANT
            end = min(start + _FILES_AT_ONE_INSTANT, self.extent.files)
            found.extend(sorted(range(start, end), key=self.file_ids.__getitem__, reverse=True))
        return found

    def other_rules(self, number: int) -> Iterator[Rule]:
        """``number`` rules about users and groups of which nobody is asked anything here."""
        chance, extent = Random(4), self.extent
        for _ in range(number):
            to_group = chance.random() < 0.4
            subject = group_id(chance.randrange(extent.groups)) if to_group else user_id(chance.randrange(extent.users))
            kind = chance.random()
            if kind < 0.8:
                resource = folder_id(chance.randrange(len(self.folders)))
            elif kind < 0.95:
                resource = file_id(chance.randrange(extent.files))
            else:
                resource = chance.choice(self.labels)
            yield Rule(subject, Effect.DENY if chance.random() < 0.1 else Effect.ALLOW, resource)

    def other_members(self) -> Iterator[tuple[int, int]]:
        """Group and user: each of these users is in two groups."""
        chance = Random(5)
        for user in range(self.extent.users):
            for group in chance.sample(range(self.extent.groups), 2):
                yield group, user


def created_at(file: int) -> datetime:
    return START + timedelta(seconds=file // _FILES_AT_ONE_INSTANT * _SECONDS_BETWEEN)


def file_id(number: int) -> str:
    return FILE_PREFIX + file_ulid(number)


def file_ulid(number: int) -> str:
    return _ulid(number // _FILES_AT_ONE_INSTANT * _SECONDS_BETWEEN, number)


def folder_id(number: int) -> str:
    return ROOT_FOLDER_ID if number < 0 else FOLDER_PREFIX + _ulid(0, number)


def user_id(number: int) -> str:
    return USER_PREFIX + _ulid(0, number)


def group_id(number: int) -> str:
    return GROUP_PREFIX + _ulid(0, number)


def rule_id(number: int) -> str:
    return RULE_PREFIX + _ulid(number, number)


def _ulid(seconds: int, number: int) -> str:
    value = (_START_MS + seconds * 1000 << 80) | (number * _SCATTER & (1 << 80) - 1)
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


_START_MS: Final = int(START.timestamp() * 1000)
