"""Comparing what should agree, page by page: what is found, what of it is put right, and where to go on.

It runs beside everything else. So each check looks again right before it acts, touches nothing younger than a safe
age, and leaves removals to upkeep. Whatever it does may be done twice.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from graphql_api.errors import Conflict, NotFound
from graphql_api.model.finding import REMOVED, Finding, Remedy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedPage:
    """``examined``: things that were compared. ``last``: where the next page begins; None at the end."""

    examined: int
    findings: Sequence[Finding]
    last: str | None


class Check(Protocol):
    """One comparison, whose memory is a page. A new one is added where ``bootstrap`` makes the list of them."""

    @property
    def name(self) -> str:
        """In the plural, what it examines; it is kept in states and shown to people."""

    async def page(self, after: str | None) -> CheckedPage:
        """What is wrong with the next things. Changes nothing. Raises: Unavailable."""

    async def fix(self, findings: Sequence[Finding]) -> Mapping[Finding, Remedy]:
        """Put right what can be and is still wrong; what was, and how far. Raises: Unavailable: some may have been."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come: within which check, and after what."""

    check: str
    after: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One page that is done with. ``place``: where to go on; None at the end."""

    check: str
    page: CheckedPage
    fixed: Mapping[Finding, Remedy]
    place: Place | None


class Reconciling:
    """All checks, one after the other. ``max_removals``: things that one run may remove from the store."""

    def __init__(self, checks: Sequence[Check], *, max_removals: int) -> None:
        self._checks = checks
        self._max_removals = max_removals

    async def run(self, *, fix: bool, start: Place | None = None) -> AsyncGenerator[Step, None]:
        """Step by step; a run that ends early is taken up again at the place of its last step. Without ``fix`` nothing
        is changed.

        Raises: NotFound: there is no such check as ``start`` names. Conflict: the next page has more to remove than
        this run still may, and nothing of it was fixed: a database that is not that of the store, or is empty, would
        have all of it removed. Unavailable.
        """
        names = [check.name for check in self._checks]
        if start is not None and start.check not in names:
            raise NotFound(f"there is no comparison of {start.check}")
        index, after = (0, None) if start is None else (names.index(start.check), start.after)
        removals = 0
        while index < len(self._checks):
            check = self._checks[index]
            page = await check.page(after)
            fixed: Mapping[Finding, Remedy] = {}
            if fix and page.findings:
                removals += sum(finding.kind in REMOVED for finding in page.findings)
                if removals > self._max_removals:
                    raise Conflict(f"at least {removals} things would be removed, of at most {self._max_removals}")
                fixed = await check.fix(page.findings)
                for finding, remedy in fixed.items():
                    if remedy is Remedy.DONE:
                        log.info("reconciled kind=%s subject=%s", finding.kind, finding.subject)
            after = page.last
            if after is None:
                index += 1
            yield Step(check.name, page, fixed, Place(names[index], after) if index < len(names) else None)
