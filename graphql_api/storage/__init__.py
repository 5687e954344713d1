"""Where bytes live (the origin), behind one protocol. Vendors stand in this package's modules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from graphql_api.model.stored_object import PromisedObject, PutUploadTarget, StoredObject


class ObjectStore(Protocol):
    """One bucket. What goes over the network raises ``Unavailable("store")`` when the store does not answer."""

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        """A request that stores exactly what is promised, once, until it expires. Arithmetic: no request is sent.

        ``expires_at`` of the target may come before ``now + lifetime`` when the store's credentials end earlier.
        """

    async def find(self, key: str) -> StoredObject | None:
        """What the store holds at ``key``, or None."""

    async def read_start(self, key: str, length: int) -> bytes:
        """At most the first ``length`` bytes; empty when the object is empty or absent."""

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        """Remove the objects; absent ones count as removed. Returns those that the store refuses to remove."""

    async def check(self) -> None:
        """Return when the bucket can be reached with our credentials."""
