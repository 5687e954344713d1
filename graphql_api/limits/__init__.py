"""Who has asked for how much, behind one protocol: in the memory of one process, or in PostgreSQL for several."""

from datetime import datetime
from ipaddress import IPv6Address, ip_network
from typing import Final, Protocol

from graphql_api.limits.buckets import Buckets
from graphql_api.model.principal import Address
from graphql_api.model.rate import Allowance

__all__ = ["Buckets", "RateStore", "address_key"]

_SUBSCRIBER: Final = 64  # bits of an IPv6 address that one household or server has to itself


class RateStore(Protocol):
    """Counts points by key. Of charges that come at the same time no more are let through than fit."""

    async def charge(self, key: str, points: int, allowance: Allowance, *, now: datetime) -> datetime:
        """Take so many of the key's points, or none. When all of them will be there again.

        Raises: RateLimited: so many are not there.
        """

    async def sweep(self, *, now: datetime) -> int:
        """Forget keys that have all their points again; how many these were. Raises: Unavailable."""


def address_key(address: Address | None) -> str:
    """One for all addresses that one visitor is likely to have; for those who have none, one together."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SUBSCRIBER), strict=False))
    return str(address)
