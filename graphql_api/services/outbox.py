"""What transactions leave behind is done here: after the commit, at least once, by one worker at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from graphql_api.db import jobs
from graphql_api.db.engine import Database
from graphql_api.errors import DeliveryError, Unavailable
from graphql_api.model.job import Job
from graphql_api.services.clock import Clock
from graphql_api.services.turns import Backoff, Turn

log = logging.getLogger(__name__)

Handler = Callable[[str, Mapping[str, Any]], Awaitable[object]]
"""Does one kind of job to ``subject`` with ``payload``. It may be called again for what it has done already; when it
raises, it is. Of expected failures any ``DeliveryError`` will do.
"""

BATCH: Final = 10  # jobs that one worker does side by side; half of the connections to the database
LEASE: Final = timedelta(minutes=1)
"""How long the job of a worker that has died waits for another. A worker that lives extends its leases."""

BACKOFF: Final = Backoff(timedelta(seconds=5), timedelta(hours=1))
MAX_ATTEMPTS: Final = 20
"""With these waits, five to ten hours of failures: a night in which nobody mends what is broken costs no job."""


class Outbox:
    """Any number of processes may run it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        lease: timedelta = LEASE,
        backoff: Backoff = BACKOFF,
        max_attempts: int = MAX_ATTEMPTS,
        batch: int = BATCH,
    ) -> None:
        """``handlers``: by kind. Jobs of other kinds are left for processes, such as newer ones, that know them.

        ``batch``: jobs of one turn, which ends with the slowest of them. Where jobs may take hours it is 1, and several
        turns are taken at a time.
        """
        self._database = database
        self._clock = clock
        self._handlers = dict(handlers)
        self._lease = lease
        self._backoff = backoff
        self._max_attempts = max_attempts
        self._batch = batch

    async def turn(self) -> Turn:
        """Do some of the jobs that are due, each with its own outcome. Raises: Unavailable: the database."""
        if not self._handlers:
            return Turn(0, is_more=False)
        async with self._database.autocommit() as connection:
            taken = await jobs.claim(
                connection, list(self._handlers), now=self._clock(), lease=self._lease, limit=self._batch
            )
        outcomes = await asyncio.gather(*(self._do(job) for job in taken), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):  # the others have come to their end before this one is told
                raise outcome
        return Turn(sum(outcome is True for outcome in outcomes), is_more=len(taken) == self._batch)

    async def _do(self, job: Job) -> bool:
        """Whether it is done now, and by us."""
        if job.attempts > self._max_attempts:  # workers died of it, or they would have buried it
            return await self._bury(job, "LEASE_LOST")
        work = asyncio.create_task(self._call(job))
        try:
            while not (await asyncio.wait([work], timeout=self._lease.total_seconds() / 3))[0]:
                if not await self._is_still_ours(job):
                    log.warning("job_lost kind=%s job=%s attempt=%d", job.kind, job.id, job.attempts)
                    return False
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
        error = work.result()
        if error is not None:
            return await self._fail(job, error)
        async with self._database.autocommit() as connection:
            is_ours = await jobs.finish(connection, job, now=self._clock())
        if is_ours:
            log.info("job_done kind=%s job=%s attempt=%d", job.kind, job.id, job.attempts)
        else:
            log.warning("job_lost kind=%s job=%s attempt=%d", job.kind, job.id, job.attempts)
        return is_ours

    async def _call(self, job: Job) -> str | None:
        """Why it failed, as a code, or None."""
        try:
            await self._handlers[job.kind](job.subject, job.payload)
        except DeliveryError as error:
            return error.code
        except Exception:  # a bug in one handler is no reason to stop the others; the log shows it
            log.exception("job_failed kind=%s job=%s attempt=%d", job.kind, job.id, job.attempts)
            return "INTERNAL"
        return None

    async def _is_still_ours(self, job: Job) -> bool:
        try:
            async with self._database.autocommit() as connection:
                return await jobs.extend(connection, job, until=self._clock() + self._lease)
        except Unavailable:
            return True  # nobody else can take it either while the database does not answer

    async def _fail(self, job: Job, error: str) -> bool:
        if job.attempts >= self._max_attempts:
            return await self._bury(job, error)
        due_at = self._clock() + self._backoff.after(job.attempts)
        async with self._database.autocommit() as connection:
            await jobs.postpone(connection, job, due_at=due_at, error=error)
        log.warning("job_postponed kind=%s job=%s attempt=%d code=%s", job.kind, job.id, job.attempts, error)
        return False

    async def _bury(self, job: Job, error: str) -> bool:
        async with self._database.autocommit() as connection:
            await jobs.bury(connection, job, now=self._clock(), error=error)
        log.error("job_given_up kind=%s job=%s attempts=%d code=%s", job.kind, job.id, job.attempts, error)
        return False
