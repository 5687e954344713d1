"""How much a viewer, or an address that nobody has signed in from, may ask for in a while.

What is asked is charged before it is executed, to the viewer if they are signed in, and else to their address: people
behind one address do not get in each other's way by signing in.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

import anyio

from graphql_api.errors import RateLimited
from graphql_api.limits import RateStore, address_key
from graphql_api.model.principal import Principal
from graphql_api.model.rate import Allowance, RateLimit
from graphql_api.services.clock import Clock
from graphql_api.services.turns import Turn

BASE_COST: Final = 20
"""Points of a request besides what the guard measures, whatever becomes of it: to read and answer it takes time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Points in ``window``: of a viewer, and of an address. 0: as many as they like."""

    per_viewer: int
    per_address: int
    window: timedelta


class Meter:
    """What one request spends: once, and of a subscription for each further event. ``charge``: None where nobody
    counts.

    ``admitted`` is set as soon as it was charged and may be executed. ``rate_limit``: what was left then; None if
    nobody counts, and before.
    """

    def __init__(self, charge: Callable[[int], Awaitable[RateLimit]] | None = None) -> None:
        self.admitted: Final = anyio.Event()
        self.rate_limit: RateLimit | None = None
        self._charge = charge
        self._refusal: RateLimited | None = None
        self._cost = 0

    async def charge(self, cost: int) -> None:
        """For what costs so much besides ``BASE_COST``. Raises: RateLimited: it is not to be executed."""
        self._cost = cost
        if self._charge is not None:
            try:
                self.rate_limit = await self._charge(BASE_COST + cost)
            except RateLimited as refusal:
                self._refusal = refusal
                raise
        self.admitted.set()

    async def charge_afterwards(self, points: int) -> None:
        """What it turned out to take besides, as far as there are points left: it has been done."""
        if self._charge is not None and self.rate_limit is not None and points:
            with suppress(RateLimited):  # another request was faster
                left = await self._charge(min(points, self.rate_limit.remaining))
                self.rate_limit = replace(left, cost=self.rate_limit.cost + left.cost)

    async def charge_event(self) -> None:
        """For what was charged already, once more: it is executed again. Raises: RateLimited: it is not to be."""
        if self._charge is not None:
            self.rate_limit = await self._charge(self._cost)

    async def settle(self) -> None:
        """Charge what was refused before it could be measured, if nothing has been. Raises: RateLimited: so was this,
        or what was charged before.
        """
        if self._refusal is not None:
            raise self._refusal
        if not self.admitted.is_set():
            await self.charge(0)


class Rates:
    """One for the process."""

    def __init__(self, store: RateStore, clock: Clock, limits: RateLimits) -> None:
        self._store = store
        self._clock = clock
        self._of_viewers = Allowance(limits.per_viewer, limits.window) if limits.per_viewer else None
        self._of_addresses = Allowance(limits.per_address, limits.window) if limits.per_address else None

    def meter(self, principal: Principal) -> Meter:
        """For one request."""
        if principal.user_id is not None:
            key, allowance = str(principal.user_id), self._of_viewers
        else:
            key, allowance = address_key(principal.address), self._of_addresses
        return Meter() if allowance is None else Meter(partial(self._charge, key, allowance))

    async def turn(self) -> Turn:
        """Forget those who have all their points again. Raises: Unavailable."""
        return Turn(await self._store.sweep(now=self._clock()), is_more=False)

    async def _charge(self, key: str, allowance: Allowance, points: int) -> RateLimit:
        now = self._clock()
        try:
            restored_at = await self._store.charge(key, points, allowance, now=now)
        except RateLimited as refusal:
            log.info("rate_limited key=%s points=%d seconds=%d", key, points, refusal.seconds)
            raise
        return RateLimit(points, allowance.points, allowance.left(restored_at, now), restored_at)
