"""What a change of rules would do, before it is made."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from graphql_api.model.principal import Permission
from graphql_api.model.rule import Subject

MAX_PROPOSED: Final = 20  # changes in one rehearsal
MAX_SAMPLE: Final = 10  # ids in one line


class Direction(StrEnum):
    """Which way access changes."""

    GAINS = "GAINS"
    LOSES = "LOSES"


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One subject gains or loses one permission on so many things; ``sample`` are the ids of some of them.

    ``subject`` is a user, or ANYONE for those who are not signed in. To callers who may not explain other people's
    access it is the subject of the changed rule, so that nothing is told about who is in a group. ``newcomer``: the
    e-mail address or token subject of somebody who is not known yet, whose id is only made up for the rehearsal.
    """

    subject: Subject
    permission: Permission
    direction: Direction
    files: int
    folders: int
    sample: tuple[str, ...]
    newcomer: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """``is_exact``: everybody and everything concerned was looked at, with every rule. Else the lines come from an
    even sample, or only from the rules that the caller may see. Totals are counted up to ``MAX_COUNTED``.
    """

    lines: tuple[PreviewLine, ...]
    is_exact: bool
    users_examined: int
    users_total: int
    things_examined: int
    things_total: int
    old_links_expire_by: datetime | None
