"""What was delivered: shown to those whom it concerns.

Of a file: to those who may SHARE it, for they decide who downloads it, and to auditors. Of all that a user owns: to
that user. Which files of all are the busiest: to auditors. Administrators are all of these.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, traffic
from graphql_api.db.engine import Database
from graphql_api.errors import Forbidden, InputFault, InvalidInput
from graphql_api.model.ids import FileId, UserId
from graphql_api.model.page import MAX_PAGE_SIZE
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.traffic import (
    DEFAULT_DAYS,
    MAX_DAYS,
    BusyFile,
    TrafficBucket,
    TrafficInterval,
    TrafficOrder,
    TrafficSpan,
)
from graphql_api.services.clock import Clock
from graphql_api.services.people import sees_everybody
from graphql_api.services.standings import Standings

BATCH: Final = 1_000  # files that are looked at together, once those that were asked for are not all seen
MAX_LOOKED_AT: Final = 10_000  # files: beyond, a list of the busiest is short


class Traffic:
    """What has not been counted yet is not shown: see ``log_counting``."""

    def __init__(self, database: Database, standings: Standings, clock: Clock) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock

    def span(
        self, since: date | None, until: date | None, interval: TrafficInterval = TrafficInterval.DAY
    ) -> TrafficSpan:
        """The days from ``since`` on, before ``until``; those up to today, or the 30 before ``until``, if not said.

        Raises: InvalidInput: no day at all, or more than 366.
        """
        try:
            until = until or self._clock().date() + timedelta(days=1)
            since = since or until - timedelta(days=DEFAULT_DAYS)
        except OverflowError:
            raise InvalidInput(InputFault("is before all days", ("until",))) from None
        if not since < until:
            raise InvalidInput(InputFault("until must be after since", ("until",)))
        if (until - since).days > MAX_DAYS:
            raise InvalidInput(InputFault(f"at most {MAX_DAYS} days at a time", ("since",)))
        return TrafficSpan(since, until, interval)

    async def of_files(
        self, principal: Principal, span: TrafficSpan, ids: Sequence[FileId]
    ) -> Mapping[FileId, Sequence[TrafficBucket]]:
        """Of those of ``ids`` of which the principal may know it, in order of time, without what is empty.

        Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            scopes = await files.find_scopes(connection, standing, ids)
            is_auditor = sees_everybody(standing)
            shown = [id_ for id_, each in scopes.items() if is_auditor or standing.may(Permission.SHARE, each)]
            found = await traffic.list_traffic_of_files(connection, shown, span)
        return {id_: found.get(id_, ()) for id_ in shown}

    async def of_viewer(self, principal: Principal, span: TrafficSpan) -> Sequence[TrafficBucket]:
        """Of all that was the principal's, in order of time, without what is empty. Raises: Unavailable."""
        if principal.user_id is None:
            return ()
        async with self._database.autocommit() as connection:
            return await traffic.list_traffic_of_user(connection, principal.user_id, span)

    async def busiest(
        self, principal: Principal, span: TrafficSpan, order: TrafficOrder, limit: int
    ) -> Sequence[BusyFile]:
        """At most ``limit`` of all files that the principal may see, the busiest first. Looks at 10,000 at most.

        Raises: InvalidInput: more than 100, or none. Forbidden: neither auditor nor administrator. Unavailable.
        """
        _require_page(limit)
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            if not sees_everybody(standing):
                raise Forbidden("only auditors may see how busy all files are", required_permission=Permission.AUDIT)
            return await _busiest_seen(connection, standing, span, order, limit)

    async def busiest_own(
        self, principal: Principal, span: TrafficSpan, order: TrafficOrder, limit: int
    ) -> Sequence[BusyFile]:
        """The same of the principal's own files, which anybody may ask for. Raises: InvalidInput. Unavailable."""
        _require_page(limit)
        if principal.user_id is None:
            return ()
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await _busiest_seen(connection, standing, span, order, limit, principal.user_id)


def _require_page(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise InvalidInput(InputFault(f"first must be from 1 to {MAX_PAGE_SIZE}", ("first",)))


async def _busiest_seen(
    connection: AsyncConnection,
    standing: Standing,
    span: TrafficSpan,
    order: TrafficOrder,
    limit: int,
    owner_id: UserId | None = None,
) -> Sequence[BusyFile]:
    """The first ``limit`` that may be seen; of the busiest ``MAX_LOOKED_AT`` at most."""
    found: dict[FileId, BusyFile] = {}
    looked_at, batch = 0, limit
    while True:
        counted = await traffic.list_busiest(connection, span, order, batch, owner_id, skipped=looked_at)
        seen = await files.find_files(connection, standing, list(counted))
        for id_, counts in counted.items():
            if id_ in seen and len(found) < limit:
                found.setdefault(id_, BusyFile(seen[id_], *counts))
        looked_at += len(counted)
        if len(found) == limit or len(counted) < batch or looked_at >= MAX_LOOKED_AT:
            return list(found.values())
        batch = min(BATCH, MAX_LOOKED_AT - looked_at)
