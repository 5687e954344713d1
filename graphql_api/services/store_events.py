"""The store tells of objects that arrived, so that an upload is completed though its client never says so.

Nothing depends on it: an event that is lost, or given up here, costs time, because upkeep finds the bytes later. What
is told may come twice, in any order, and before the upload is known.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import timedelta
from typing import Final

from graphql_api.db import failed_events
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.events import Delivery, EventSource
from graphql_api.model.store_event import ScanVerdict, StoreEvent
from graphql_api.services.clock import Clock
from graphql_api.services.turns import Backoff, Turn

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=1)
"""How long the messages of a worker that has died wait for another. A worker that lives extends its leases."""

UNKNOWN_BACKOFF: Final = Backoff(timedelta(seconds=2), timedelta(seconds=30))
UNKNOWN_RECEIVES: Final = 5
"""An event may come before the commit of what it is about, which takes milliseconds. After some fifteen to thirty
seconds nothing of ours has this key.
"""
FAILED_BACKOFF: Final = Backoff(timedelta(seconds=5), timedelta(minutes=15))
MAX_RECEIVES: Final = 10
"""For a message on which we fail by our own mistake: some twenty to forty minutes. Where a part is down, the message is
put off, and the queue's redrive policy has the last word.
"""


class StoreEvents:
    """Any number of processes may run it.

    ``arrived``: completes the upload that has this object key, None if there is none. ``judged``: the same for a scan's
    verdict. Both are idempotent, and raise ``Unavailable`` when asking again makes sense.
    """

    def __init__(
        self,
        database: Database,
        source: EventSource,
        clock: Clock,
        *,
        arrived: Callable[[str], Awaitable[object | None]],
        judged: Callable[[ScanVerdict], Awaitable[object | None]],
        lease: timedelta = LEASE,
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._arrived = arrived
        self._judged = judged
        self._lease = lease

    async def turn(self) -> Turn:
        """Deal with one batch of messages; waits some seconds for a first one.

        Raises: Unavailable: the queue or what the events needed; what could not be done will be handed out again.
        """
        deliveries = await self._source.receive(lease=self._lease)
        if not deliveries:
            return Turn(0, is_more=False)
        under_way = set(deliveries)
        holding = asyncio.create_task(self._hold(under_way))
        try:
            failures = await asyncio.gather(*(self._deal_with(each, under_way) for each in deliveries))
        finally:
            holding.cancel()
            await asyncio.wait([holding])
        for failure in failures:
            if failure is not None:
                raise failure
        return Turn(len(deliveries), is_more=True)

    async def _deal_with(self, delivery: Delivery, under_way: set[Delivery]) -> Unavailable | None:
        """Bring one message to its end or its next try; which part did not answer, if one did not."""
        try:
            await self._handle(delivery)
        except Unavailable as error:
            with suppress(Unavailable):  # the lease will run out all the same
                await self._source.hide([delivery], lasting=FAILED_BACKOFF.after(delivery.receives))
            return error
        finally:
            under_way.discard(delivery)
        return None

    async def _handle(self, delivery: Delivery) -> None:
        if delivery.fault is not None:
            await self._give_up(delivery, delivery.fault)
            return
        is_known = True
        try:
            for event in delivery.events:
                is_known = await self._tell(event) and is_known
        except Unavailable:
            raise
        except Exception:  # a bug met by one message is no reason to stop the others; the log shows it
            log.exception("store_event_failed message=%s receives=%d", delivery.message_id, delivery.receives)
            if delivery.receives >= MAX_RECEIVES:
                await self._give_up(delivery, "failed")
            else:
                await self._source.hide([delivery], lasting=FAILED_BACKOFF.after(delivery.receives))
            return
        if is_known or delivery.receives >= UNKNOWN_RECEIVES:
            await self._source.acknowledge([delivery])
            outcome = "taken" if is_known else "unknown"
            log.info("store_event message=%s events=%d outcome=%s", delivery.message_id, len(delivery.events), outcome)
        else:
            await self._source.hide([delivery], lasting=UNKNOWN_BACKOFF.after(delivery.receives))

    async def _tell(self, event: StoreEvent) -> bool:
        """Whether something of ours has the key."""
        if not (event.key.isascii() and event.key.isprintable()):
            return True  # so it is no key of ours, and no text for a database; nothing will change that
        found = await (self._judged(event) if isinstance(event, ScanVerdict) else self._arrived(event.key))
        return found is not None

    async def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Keep it where somebody can look at it, then take it from the queue."""
        async with self._database.autocommit() as connection:
            await failed_events.record_failed_event(
                connection,
                delivery.message_id,
                reason=reason,
                receives=delivery.receives,
                body=delivery.body,
                now=self._clock(),
            )
        await self._source.acknowledge([delivery])
        log.error("store_event_given_up message=%s reason=%s", delivery.message_id, reason)

    async def _hold(self, under_way: Collection[Delivery]) -> None:
        """Extend the leases of what is not dealt with yet, until cancelled."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with suppress(Unavailable):  # then they may be handed out again, which is harmless
                await self._source.hide(list(under_way), lasting=self._lease)
