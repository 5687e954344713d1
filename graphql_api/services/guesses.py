"""How often something may be tried in vain: in the memory of one process, so that of several each counts for itself."""

from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_network
from typing import Final

from graphql_api.errors import RateLimited
from graphql_api.model.principal import Address
from graphql_api.services.clock import Clock

MAX_REMEMBERED: Final = 100_000  # keys; of more, those that failed longest ago are forgotten
_SUBSCRIBER: Final = 64  # bits of an IPv6 address that one household or server has to itself


class Guesses:
    """``limit`` failures at once, and from then on one for each ``limit``-th part of ``window``.

    For each key the instant is kept at which all its failures will have been forgotten, which is a leaky bucket.
    Source: ATM Forum, "Traffic Management Specification 4.1", 4.4.2, the generic cell rate algorithm.
    """

    def __init__(self, clock: Clock, *, limit: int, window: timedelta, max_remembered: int = MAX_REMEMBERED) -> None:
        self._clock = clock
        self._window = window
        self._each = window / limit
        self._max_remembered = max_remembered
        self._forgotten_at: OrderedDict[str, datetime] = OrderedDict()

    def require_room(self, key: str) -> None:
        """Raises: RateLimited: there is no room for another failure."""
        now = self._clock()
        wait = self._forgotten_at.get(key, now) + self._each - self._window - now
        if wait > timedelta():
            raise RateLimited(retry_after=wait)

    def count(self, key: str) -> None:
        """It was tried in vain."""
        now = self._clock()
        self._forgotten_at[key] = max(self._forgotten_at.pop(key, now), now) + self._each
        if len(self._forgotten_at) > self._max_remembered:
            self._forgotten_at.popitem(last=False)

    def take_back(self, key: str) -> None:
        """It was counted, and was not in vain."""
        if key in self._forgotten_at:
            self._forgotten_at[key] -= self._each


def address_key(address: Address | None) -> str:
    """One for all addresses that one visitor is likely to have; for those who have none, one together."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SUBSCRIBER), strict=False))
    return str(address)
