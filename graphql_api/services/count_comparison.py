"""What users and folders have stored and reserved, as it is counted and as it is."""

from collections.abc import Mapping, Sequence
from typing import Final

from graphql_api.db import rules, usage_sums
from graphql_api.db.engine import Database
from graphql_api.model.finding import Finding, FindingKind, Remedy
from graphql_api.model.ids import FOLDER_PREFIX, USER_PREFIX
from graphql_api.services.reconciling import CheckedPage

PAGE: Final = 500  # users and folders


class CountCheck:
    """Finds counters that are not the sums of what they count, which are compared as they are at one moment."""

    name = "counters"

    def __init__(self, database: Database, *, page_size: int = PAGE) -> None:
        self._database = database
        self._page_size = page_size

    async def page(self, after: str | None) -> CheckedPage:
        async with self._database.snapshot() as connection:
            holders = await usage_sums.list_holders(connection, after or "", self._page_size)
            wrong = await usage_sums.find_miscounted(connection, holders)
        findings = [
            Finding(FindingKind.MISCOUNTED, holder, f"counted are {_told(kept)}, there are {_told(real)}")
            for holder, (kept, real) in sorted(wrong.items())
        ]
        return CheckedPage(len(holders), findings, holders[-1] if len(holders) == self._page_size else None)

    async def fix(self, findings: Sequence[Finding]) -> Mapping[Finding, Remedy]:
        """Count them anew, while nobody else counts: what is stored meanwhile waits for it."""
        users = [finding.subject for finding in findings if finding.subject.startswith(USER_PREFIX)]
        if users:
            async with self._database.transaction() as connection:
                await usage_sums.recount_users(connection, users)
        if any(finding.subject.startswith(FOLDER_PREFIX) for finding in findings):
            async with self._database.transaction() as connection:
                await rules.lock_version(connection)
                await usage_sums.recount_folders(connection)
        return dict.fromkeys(findings, Remedy.DONE)


def _told(sums: usage_sums.Sums) -> str:
    stored, reserved = sums
    return f"{stored} bytes stored and {reserved} reserved"
