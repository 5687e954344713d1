"""What runs without being asked: loops, each of which takes one turn after another. Any number of processes may run
them, because every use case behind them takes what it works on under a lease.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from graphql_api.errors import DeliveryError
from graphql_api.services.turns import Backoff, Turn

log = logging.getLogger(__name__)

STOP_DEADLINE: Final = timedelta(seconds=20)
"""For what is under way when told to stop: Kubernetes kills after 30 s. What is cut off is done again by others."""

BACKOFF: Final = Backoff(timedelta(seconds=1), timedelta(minutes=1))
"""A database that is restarted is back in seconds; the end of a long outage is noticed within a minute."""


@dataclass(frozen=True, slots=True)
class Loop:
    """``turn`` is taken at once while there is more to do, else after ``interval``, and later when it fails."""

    name: str
    turn: Callable[[], Awaitable[Turn]]
    interval: timedelta


class Worker:
    """Runs loops side by side; one that fails is made good by its next turn, and holds up no other."""

    def __init__(
        self, loops: Sequence[Loop], *, backoff: Backoff = BACKOFF, stop_deadline: timedelta = STOP_DEADLINE
    ) -> None:
        self._loops = tuple(loops)
        self._backoff = backoff
        self._stop_deadline = stop_deadline

    async def run(self, stop: asyncio.Event) -> bool:
        """Until ``stop``: turns under way come to their end, no other begins. Whether all ended in time; those that
        did not are cut off.
        """
        return await self._until_stopped([self._run(loop, stop) for loop in self._loops], stop)

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Every loop until nothing is due, or until ``stop``. Whether all went well."""
        succeeded: list[bool] = []

        async def note(loop: Loop) -> None:
            succeeded.append(await self._run_once(loop, stop))

        return await self._until_stopped([note(loop) for loop in self._loops], stop) and all(succeeded)

    async def _until_stopped(self, runs: Sequence[Awaitable[None]], stop: asyncio.Event) -> bool:
        tasks = [asyncio.ensure_future(run) for run in runs]
        stopping = asyncio.create_task(stop.wait())
        everything: asyncio.Future[Any] = asyncio.gather(*tasks)
        try:
            await asyncio.wait([everything, stopping], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([everything], timeout=self._stop_deadline.total_seconds())
        finally:
            stopping.cancel()
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, stopping, everything, return_exceptions=True)
        if late:
            log.warning("worker_cut_off loops=%d", len(late))
        return not late

    async def _run(self, loop: Loop, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            turn = await self._take(loop)
            failures = failures + 1 if turn is None else 0
            if turn is None:
                await _wait(stop, self._backoff.after(failures))
            elif not turn.is_more:
                await _wait(stop, loop.interval)

    async def _run_once(self, loop: Loop, stop: asyncio.Event) -> bool:
        turn: Turn | None = Turn(0, is_more=True)
        while turn is not None and turn.is_more and not stop.is_set():
            turn = await self._take(loop)
        return turn is not None

    async def _take(self, loop: Loop) -> Turn | None:
        """One turn; None when it failed."""
        try:
            turn = await loop.turn()
        except DeliveryError as error:
            log.warning("turn_postponed loop=%s code=%s", loop.name, error.code)
        except Exception:  # the loop must outlive a bug in one turn, and the log must show it
            log.exception("turn_failed loop=%s", loop.name)
        else:
            if turn.done:
                log.info("turn loop=%s done=%d", loop.name, turn.done)
            return turn
        return None


async def _wait(stop: asyncio.Event, span: timedelta) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), span.total_seconds())
