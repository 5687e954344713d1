"""The audit log: written in the transaction of what it tells about, read newest first, shortened by retention only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, delete, insert, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import AuditEventRow
from graphql_api.model.audit import AuditAction, AuditEvent, AuditFilter
from graphql_api.model.ids import EventId, UserId
from graphql_api.model.page import Page, PageRequest

_COLUMNS: tuple[Any, ...] = (
    AuditEventRow.id,
    AuditEventRow.occurred_at,
    AuditEventRow.actor_id,
    AuditEventRow.action,
    AuditEventRow.target,
    AuditEventRow.resource,
    AuditEventRow.before,
    AuditEventRow.after,
    AuditEventRow.address,
    AuditEventRow.request_id,
)
_NEWEST_FIRST = Ordering("event", AuditEventRow.occurred_at, AuditEventRow.id, datetime, is_descending=True)


async def insert_events(connection: AsyncConnection, events: Sequence[AuditEvent]) -> None:
    """Part of the transaction that makes the change; nothing to write is fine."""
    rows = [
        {
            "id": event.id,
            "occurred_at": event.occurred_at,
            "actor_id": event.actor_id,
            "action": event.action.value,
            "target": event.target,
            "resource": event.resource,
            "before": _json(event.before),
            "after": _json(event.after),
            "address": event.address,
            "request_id": event.request_id,
        }
        for event in events
    ]
    if rows:
        await connection.execute(insert(AuditEventRow), rows)


async def find_events(connection: AsyncConnection, ids: Sequence[EventId]) -> Mapping[EventId, AuditEvent]:
    """Those of ``ids`` that there are."""
    rows = await connection.execute(select(*_COLUMNS).where(AuditEventRow.id.in_(ids)))
    return {event.id: event for event in map(_event_of, rows)}


async def list_events(connection: AsyncConnection, wanted: AuditFilter, request: PageRequest) -> Page[AuditEvent]:
    """Newest first. Raises: InvalidInput: a cursor of another list."""

    def page(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
        statement = select(*_COLUMNS).where(*_conditions(wanted), *conditions)
        return seek(statement, _NEWEST_FIRST, is_backward=request.is_backward, has_cursor=request.cursor is not None)

    parameters = seek_parameters(_NEWEST_FIRST, request)
    statement = page() if wanted.resource_id is None else _merged(page, wanted.resource_id, request)
    rows: Any = (await connection.execute(statement, parameters)).all()
    return page_of(rows, request, _NEWEST_FIRST, _event_of, lambda event: (event.occurred_at, event.id))


def _merged(page: Any, resource_id: str, request: PageRequest) -> Select[*tuple[Any, ...]]:
    """Two walks down two indexes: with an OR, either database would read the log instead."""
    is_target = AuditEventRow.target == resource_id
    is_resource = AuditEventRow.resource == resource_id
    halves = [select(half.subquery()) for half in (page(is_target), page(is_resource, ~is_target))]
    both = union_all(*halves).subquery()
    ordering = Ordering(_NEWEST_FIRST.name, both.c.occurred_at, both.c.id, datetime, is_descending=True)
    return seek(select(both), ordering, is_backward=request.is_backward, has_cursor=False)


async def delete_events_before(connection: AsyncConnection, instant: datetime, limit: int) -> int:
    """Forget at most ``limit`` of the oldest events from before ``instant``; how many went."""
    old = (
        select(AuditEventRow.id)
        .where(AuditEventRow.occurred_at < instant)
        .order_by(AuditEventRow.occurred_at, AuditEventRow.id)
        .limit(limit)
    )
    return (await connection.execute(delete(AuditEventRow).where(AuditEventRow.id.in_(old)))).rowcount


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor_id is not None:
        conditions.append(AuditEventRow.actor_id == wanted.actor_id)
    if wanted.actions:
        conditions.append(AuditEventRow.action.in_([action.value for action in wanted.actions]))
    if wanted.since is not None:
        conditions.append(AuditEventRow.occurred_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEventRow.occurred_at < wanted.until)
    return conditions


def _event_of(row: Any) -> AuditEvent:
    return AuditEvent(
        id=EventId(row.id),
        occurred_at=row.occurred_at,
        actor_id=None if row.actor_id is None else UserId(row.actor_id),
        action=AuditAction(row.action),
        target=row.target,
        resource=row.resource,
        before=None if row.before is None else orjson.loads(row.before),
        after=None if row.after is None else orjson.loads(row.after),
        address=row.address,
        request_id=row.request_id,
    )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
