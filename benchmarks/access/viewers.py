"""Who asks, and by which rules they see what they see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.access.archive import EMBARGO, Archive, Rule, file_id, group_id, user_id
from graphql_api.model.ids import GroupId, UserId
from graphql_api.model.principal import Principal
from graphql_api.model.rule import ROOT, Effect

ONE: Final = "1 rule"
TEN: Final = "10 rules and a deny"
TWENTY: Final = "20 rules"
CARVED: Final = "a tenant but 19 of its departments"
THOUSAND: Final = "1000 rules and 20 denies"
GROUPS: Final = "5 groups, 500 rules, 51 denies"
THREE_FILES: Final = "three files by rules"
THREE_OLDEST: Final = "a folder of the three oldest files"
TENANT: Final = "a tenant"
EVERYTHING: Final = "everything"
ADMIN: Final = "an administrator"
HOME: Final = "a home of their own"
LABEL: Final = "a label"
LABEL_DENIED: Final = "everything but a label"
NEWEST_DENIED: Final = "everything but the newest 1000"


@dataclass(frozen=True, slots=True)
class Viewer:
    """``rules``: all that are about them or about one of their groups."""

    name: str
    user: int
    rules: tuple[Rule, ...] = ()
    groups: tuple[int, ...] = ()
    is_admin: bool = False

    @property
    def principal(self) -> Principal:
        return Principal(UserId(user_id(self.user)), self.name, is_admin=self.is_admin)

    @property
    def group_ids(self) -> tuple[GroupId, ...]:
        return tuple(GroupId(group_id(group)) for group in self.groups)

    def named(self, effect: Effect) -> frozenset[str]:
        """What their rules of this effect name."""
        return frozenset(rule.resource for rule in self.rules if rule.effect is effect)


def viewers(archive: Archive) -> Sequence[Viewer]:
    """One of each kind; none of them owns anything, but for the one with the home."""
    chance = Random(3)
    ids = [folder.id for folder in archive.folders]
    departments = [department for tenant in archive.departments for department in tenant]
    leaves = [leaf for tenant in archive.leaves for department in tenant for leaf in department]
    number = archive.extent.users  # the first user who is nobody yet, and the first home's
    found: list[Viewer] = []

    def add(name: str, allow: Iterable[str] = (), deny: Iterable[str] = (), *, is_admin: bool = False) -> None:
        user = number + len(found)
        rules = [Rule(user_id(user), Effect.ALLOW, resource) for resource in allow]
        rules += [Rule(user_id(user), Effect.DENY, resource) for resource in deny]
        found.append(Viewer(name, user, tuple(rules), is_admin=is_admin))

    def some(folders: Sequence[int], most: int) -> list[str]:
        return [ids[folder] for folder in chance.sample(folders, min(most, len(folders)))]

    add(HOME, [ids[archive.homes[0]]])
    add(ONE, [ids[archive.departments[0][0]]])
    add(
        TEN,
        [ids[archive.departments[0][1]], *some(departments[2:], 4), *some(leaves, 5)],
        [ids[archive.leaves[0][1][0]]],
    )
    add(TWENTY, [*some(departments, 8), *some(leaves, 12)])
    add(CARVED, [ids[archive.tenants[0]]], [ids[folder] for folder in archive.departments[0][1:]])
    add(THOUSAND, [*some(departments, 100), *some(leaves, 900)], some(leaves[::7], 20))
    add(THREE_FILES, [file_id(archive.extent.files * part // 8) for part in (1, 4, 7)])
    add(THREE_OLDEST, [ids[archive.oldest]])
    add(TENANT, [ids[archive.tenants[0]]])
    add(EVERYTHING, [ROOT])
    add(ADMIN, is_admin=True)
    add(LABEL, [archive.labels[1]])
    add(LABEL_DENIED, [ROOT], [archive.labels[0]])
    add(NEWEST_DENIED, [ROOT], [EMBARGO])
    allow = [*some(departments, 50), *some(leaves, 399)]
    deny = [*some(leaves, 48), *archive.labels[-3:]]
    found.append(_in_groups(archive, number + len(found), allow, deny))
    return found


def _in_groups(archive: Archive, user: int, allow: Sequence[str], deny: Sequence[str]) -> Viewer:
    groups = tuple(range(archive.extent.groups, archive.extent.groups + 5))
    rules = [Rule(group_id(groups[number % 5]), Effect.ALLOW, resource) for number, resource in enumerate(allow)]
    rules += [Rule(group_id(groups[number % 5]), Effect.DENY, resource) for number, resource in enumerate(deny)]
    return Viewer(GROUPS, user, tuple(rules), groups)
