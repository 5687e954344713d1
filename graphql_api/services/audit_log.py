"""The audit log, for auditors, for as long as it is kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from graphql_api.access.standing import Standing
from graphql_api.db import audit, idempotency
from graphql_api.db.engine import Database
from graphql_api.errors import Forbidden
from graphql_api.model.audit import AuditEvent, AuditFilter
from graphql_api.model.ids import EventId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.services.clock import Clock
from graphql_api.services.people import sees_everybody
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn

KEYS_KEPT: Final = timedelta(days=1)  # how long a mutation can be asked again with its idempotency key
BATCH: Final = 10_000  # rows of one DELETE, which holds up SQLite's other writers


class AuditLog:
    """What was changed, by whom. Only time removes anything from it."""

    def __init__(
        self, database: Database, standings: Standings, clock: Clock, *, retention: timedelta | None, batch: int = BATCH
    ) -> None:
        """``retention``: None keeps events for ever. ``batch``: how many rows are forgotten in one statement."""
        self._database = database
        self._standings = standings
        self._clock = clock
        self._retention = retention
        self._batch = batch

    async def find(self, principal: Principal, ids: Sequence[EventId]) -> Mapping[EventId, AuditEvent]:
        """Those of ``ids`` that there are; none for who is no auditor. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            found = await audit.find_events(connection, ids)
        return found if sees_everybody(standing) else {}

    async def list(self, principal: Principal, wanted: AuditFilter, request: PageRequest) -> Page[AuditEvent]:
        """Newest first. Raises: Forbidden: neither auditor nor administrator. InvalidInput: a foreign cursor.
        Unavailable.
        """
        async with self._database.autocommit() as connection:
            _require_auditor(await self._standings.of(connection, principal))
            return await audit.list_events(connection, wanted, request)

    async def sweep(self) -> int:
        """Forget events past their retention and old idempotency keys; how many rows went. Raises: Unavailable."""
        now = self._clock()
        swept = 0
        while (batch := await self._sweep_batch(now)) > 0:
            swept += batch
        return swept

    async def turn(self) -> Turn:
        """A batch of what ``sweep`` does. Raises: Unavailable."""
        swept = await self._sweep_batch(self._clock())
        return Turn(swept, is_more=swept > 0)

    async def _sweep_batch(self, now: datetime) -> int:
        async with self._database.autocommit() as connection:
            swept = await idempotency.delete_keys_before(connection, now - KEYS_KEPT, self._batch)
            if self._retention is not None:
                swept += await audit.delete_events_before(connection, now - self._retention, self._batch)
        return swept


def _require_auditor(standing: Standing) -> None:
    if not sees_everybody(standing):
        raise Forbidden("only auditors may see the audit log", required_permission=Permission.AUDIT)
