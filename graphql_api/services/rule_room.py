"""How many rules there may be: who is meant by them carries them all with each request."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.rule_counts import count_rules_about, count_rules_made_by
from graphql_api.db.rules import count_rules_on
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.ids import UserId
from graphql_api.model.rule import (
    ANYONE,
    EVERYBODY,
    MAX_RULES_ABOUT_EVERYBODY,
    MAX_RULES_ABOUT_SUBJECT,
    MAX_RULES_ON_RESOURCE,
    MAX_SHARED_WITH_EVERYBODY,
    AccessRule,
    Subject,
)

Path = tuple[str, ...]

_EVERYBODY: Final = "anyone and who is signed in together"
_ONE: Final = "one user or group"


@dataclass(frozen=True, slots=True)
class Turnover:
    """The rules that a draft takes away, and those that it leaves in their place."""

    gone: Collection[AccessRule]
    come: Collection[AccessRule]

    def by_subject(self) -> Counter[str]:
        """How many more rules there are about each; ANYONE and SIGNED_IN are one."""
        more = Counter(_counted_as(rule.terms.subject) for rule in self.come)
        more.subtract(_counted_as(rule.terms.subject) for rule in self.gone)
        return more

    def on(self, resource: str) -> int:
        return _on(self.come, resource) - _on(self.gone, resource)

    def shared_by(self, maker: UserId) -> int:
        """How many more of these rules about everybody have this maker."""
        return _shared_by(self.come, maker) - _shared_by(self.gone, maker)


async def require_room_on(connection: AsyncConnection, resource: str, earlier: Turnover) -> None:
    """For one more rule there, after what was drafted ``earlier``. Raises: InvalidInput."""
    if await count_rules_on(connection, resource) + earlier.on(resource) >= MAX_RULES_ON_RESOURCE:
        raise full(("resource",))


async def require_room_about(
    connection: AsyncConnection,
    paths: Mapping[Subject, Path],
    earlier: Turnover,
    new: Turnover,
    *,
    maker: UserId | None,
) -> None:
    """For ``new`` rules after what was drafted ``earlier``; who has too many may have as many, or fewer, still.

    ``paths``: where the request names the subjects of ``new``. ``maker``: who asks, None for an administrator.

    Raises: InvalidInput: a fault for each subject about which there would be too many.
    """
    faults = await _faults_of_subjects(connection, paths, earlier, new)
    shared = paths.keys() & EVERYBODY
    if not faults and shared and maker is not None and new.shared_by(maker) > 0:
        count = await count_rules_made_by(connection, maker, EVERYBODY)
        if count + earlier.shared_by(maker) + new.shared_by(maker) > MAX_SHARED_WITH_EVERYBODY:
            message = f"only administrators can make more than {MAX_SHARED_WITH_EVERYBODY} rules about {_EVERYBODY}"
            faults = [InputFault(message, paths[min(shared)])]
    if faults:
        raise InvalidInput(*faults)


async def _faults_of_subjects(
    connection: AsyncConnection, paths: Mapping[Subject, Path], earlier: Turnover, new: Turnover
) -> list[InputFault]:
    before, more = earlier.by_subject(), new.by_subject()
    growing = sorted(subject for subject in paths if more[_counted_as(subject)] > 0)
    if not growing:
        return []
    there: Counter[str] = Counter()
    for subject, count in (await count_rules_about(connection, {*growing, *EVERYBODY})).items():
        there[_counted_as(subject)] += count
    faults = []
    for subject in growing:
        is_shared, key = subject in EVERYBODY, _counted_as(subject)
        limit, whom = (MAX_RULES_ABOUT_EVERYBODY, _EVERYBODY) if is_shared else (MAX_RULES_ABOUT_SUBJECT, _ONE)
        if there[key] + before[key] + more[key] > limit:
            faults.append(InputFault(f"at most {limit} rules can be about {whom}", paths[subject]))
    return faults


def full(at: Path) -> InvalidInput:
    """No more rules can stand on the resource."""
    return InvalidInput(InputFault(f"at most {MAX_RULES_ON_RESOURCE} rules can stand on one resource", at))


def _counted_as(subject: str) -> str:
    return ANYONE if subject in EVERYBODY else subject


def _on(rules: Iterable[AccessRule], resource: str) -> int:
    return sum(rule.terms.resource == resource for rule in rules)


def _shared_by(rules: Iterable[AccessRule], maker: UserId) -> int:
    return sum(rule.terms.subject in EVERYBODY and rule.made_by == maker for rule in rules)
