"""Jobs: written with the change that calls for them, taken by one worker at a time under a lease.

Every change of a job that a worker holds is on the condition that its lease is still the one it was given, so a worker
that was thought dead can neither finish nor postpone what another has taken over.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Executable, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.tables import JobRow
from graphql_api.model.ids import JobId, new_job_id
from graphql_api.model.job import Job

_IS_OPEN: Final = JobRow.failed_at.is_(None)


async def enqueue(
    connection: AsyncConnection,
    kind: str,
    subject: str,
    payload: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    due_at: datetime | None = None,
    hurries: bool = True,
) -> None:
    """Part of the caller's transaction: have a worker do ``kind`` to ``subject`` once it is committed, from ``due_at``.

    While such a job is open this is not another one, but the same: it gets the new ``payload`` (JSON) and comes as soon
    as either was asked for. If a worker is at it already, it is done once more afterwards. ``hurries`` False: one that
    has failed waits until it is due again, so that a crowd of wishes does not use up its attempts.
    """
    row = _new(kind, subject, payload, now, due_at)
    await connection.execute(_insert(connection, hurries=hurries), row)


async def enqueue_each(
    connection: AsyncConnection,
    kind: str,
    subjects: Sequence[str],
    payload: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    due_at: datetime | None = None,
) -> None:
    """The same for each of ``subjects``, in their order."""
    if subjects:
        rows = [_new(kind, subject, payload, now, due_at) for subject in subjects]
        await connection.execute(_insert(connection, hurries=True), rows)


def _new(
    kind: str, subject: str, payload: Mapping[str, Any] | None, now: datetime, due_at: datetime | None
) -> dict[str, object]:
    return {
        "id": new_job_id(now),
        "kind": kind,
        "subject": subject,
        "payload": orjson.dumps(payload or {}).decode(),
        "version": 1,
        "due_at": due_at or now,
        "attempts": 0,
        "created_at": now,
    }


def _insert(connection: AsyncConnection, *, hurries: bool) -> Executable:
    statement = sqlite.insert(JobRow) if connection.dialect.name == "sqlite" else postgresql.insert(JobRow)
    new = statement.excluded
    is_sooner = new.due_at < JobRow.due_at
    sooner = case((is_sooner if hurries else is_sooner & (JobRow.attempts == 0), new.due_at), else_=JobRow.due_at)
    return statement.on_conflict_do_update(
        index_elements=[JobRow.kind, JobRow.subject],
        index_where=_IS_OPEN,
        set_={"payload": new.payload, "version": JobRow.version + 1, "due_at": sooner},
    )


async def claim(
    connection: AsyncConnection, kinds: Collection[str], *, now: datetime, lease: timedelta, limit: int
) -> Sequence[Job]:
    """Take at most ``limit`` due jobs of these kinds, the longest due first; nobody else takes them for ``lease``."""
    due = (
        select(JobRow.id)
        .where(_IS_OPEN, JobRow.kind.in_(kinds), JobRow.due_at <= now)
        .where(or_(JobRow.leased_until.is_(None), JobRow.leased_until <= now))
        .order_by(JobRow.due_at)
        .limit(limit)
    )
    if not list(await connection.scalars(due)):
        return ()  # a look costs no lock, and mostly nothing is due
    # A CTE that locks is computed once. A subquery in its place may be run again for each row, and lock others.
    chosen = due.with_for_update(skip_locked=True).cte("due")
    statement = (
        update(JobRow)
        .where(JobRow.id.in_(select(chosen.c.id)))
        .values(lease=secrets.token_hex(16), leased_until=now + lease, attempts=JobRow.attempts + 1)
        .returning(
            JobRow.id, JobRow.kind, JobRow.subject, JobRow.payload, JobRow.version, JobRow.attempts, JobRow.lease
        )
    )
    return [
        Job(JobId(row.id), row.kind, row.subject, orjson.loads(row.payload), row.version, row.attempts, row.lease or "")
        for row in await connection.execute(statement)
    ]


async def extend(connection: AsyncConnection, job: Job, *, until: datetime) -> bool:
    """Hold the job until then; False when it is no longer ours."""
    statement = update(JobRow).where(_is_held(job)).values(leased_until=until).returning(JobRow.id)
    return await connection.scalar(statement) is not None


async def finish(connection: AsyncConnection, job: Job, *, now: datetime) -> bool:
    """It is done: gone, unless it was asked for again meanwhile, which makes it due. False when no longer ours."""
    statement = delete(JobRow).where(_is_held(job), JobRow.version == job.version).returning(JobRow.id)
    if await connection.scalar(statement) is not None:
        return True
    return await _let_go(connection, job, due_at=now, attempts=0, last_error=None)


async def postpone(connection: AsyncConnection, job: Job, *, due_at: datetime, error: str) -> bool:
    """It failed: from ``due_at`` on whoever comes first takes it. False when it is no longer ours."""
    return await _let_go(connection, job, due_at=due_at, last_error=error)


async def bury(connection: AsyncConnection, job: Job, *, now: datetime, error: str) -> bool:
    """It failed for good: kept, but never taken again. False when it is no longer ours."""
    return await _let_go(connection, job, failed_at=now, last_error=error)


async def count_failed(connection: AsyncConnection) -> int:
    """Jobs that were given up."""
    return await connection.scalar(select(func.count()).select_from(JobRow).where(~_IS_OPEN)) or 0


async def delete_failed_before(connection: AsyncConnection, instant: datetime, limit: int) -> int:
    """Forget at most ``limit`` jobs given up before ``instant``; how many went."""
    old = select(JobRow.id).where(JobRow.failed_at < instant).order_by(JobRow.failed_at).limit(limit)
    return (await connection.execute(delete(JobRow).where(JobRow.id.in_(old)))).rowcount


async def _let_go(connection: AsyncConnection, job: Job, **changes: object) -> bool:
    statement = update(JobRow).where(_is_held(job)).values(lease=None, leased_until=None, **changes)
    return await connection.scalar(statement.returning(JobRow.id)) is not None


def _is_held(job: Job) -> ColumnElement[bool]:
    return (JobRow.id == job.id) & (JobRow.lease == job.lease)
