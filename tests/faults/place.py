"""A service with a proxy between it and its store, and whether all is in order when time has passed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.localcloud.store import connect
from graphql_api.services.clock import utc_now
from graphql_api.settings import Settings
from tests.agreement import assert_in_agreement, disagreements
from tests.e2e.service import Service, Surroundings, serving
from tests.faults import FaultyProxy, Which

PROGRAM: Final = Path(sys.executable).with_name("graphql-api")
ALL_OVER: Final = timedelta(days=9)  # by then every promise has ended, and no request for it can be under way


@dataclass(frozen=True)
class Place:
    """Only the service goes through the proxy, and whoever uses a target that it gave."""

    around: Surroundings
    proxy: FaultyProxy
    database_url: str
    _times: "count[int]" = field(default_factory=lambda: count(1))

    def environ(self, **changes: str) -> dict[str, str]:
        """Of a process that sees the store through the proxy. Nothing is swept unless told."""
        through = {"S3_ENDPOINT_URL": self.proxy.address, "SWEEP_SECONDS": "0", "PART_BYTES": str(5 * 1024**2)}
        return self.around.environ(self.database_url, **(through | changes))

    @contextmanager
    def serving(self, folder: Path, **changes: str) -> Iterator[Service]:
        with serving(PROGRAM, folder, self.around, self.environ(**changes)) as running:
            yield running

    @asynccontextmanager
    async def assembled(self, *, ahead: timedelta = timedelta(), **changes: str) -> AsyncIterator[Assembly]:
        """The parts of a process, in this one, whose clock is ``ahead``."""
        environ = self.environ(**changes)
        ours = {name: value for name, value in environ.items() if name.startswith("GRAPHQL_API_")}
        parts = assemble(Settings.read(ours), clock=lambda: utc_now() + ahead)
        try:
            yield parts
        finally:
            await parts.close()

    async def settle(self) -> None:
        """Store and database agree, now and when all that was promised is over and upkeep has had its turns."""
        past_the_proxy = self.around.store.endpoint_url
        async with self.assembled(S3_ENDPOINT_URL=past_the_proxy) as now:
            assert await disagreements(now) == []
        later = ALL_OVER * next(self._times)
        for ahead in (later, later + ALL_OVER / 3):  # what has landed late goes with the second removal
            async with self.assembled(ahead=ahead, S3_ENDPOINT_URL=past_the_proxy) as then:
                await assert_in_agreement(then)

    def stored(self) -> set[str]:
        """Keys of what the store holds."""
        store = self.around.store
        with closing(connect(store.endpoint_url, store.admin)) as client:
            found = client.list_objects_v2(Bucket=store.bucket).get("Contents", ())
        return {one["Key"] for one in found}

    def read(self, key: str) -> bytes:
        """What the store holds there."""
        store = self.around.store
        with closing(connect(store.endpoint_url, store.admin)) as client:
            return client.get_object(Bucket=store.bucket, Key=key)["Body"].read()

    def require_order(self) -> None:
        """``settle``, for a test that does not wait."""
        asyncio.run(self.settle())


def of(method: str, *, having: str = "", lacking: str = "\0") -> Which:
    """Requests of this method, with and without something in their query."""
    return lambda request: request.method == method and having in request.query and lacking not in request.query


def at(key: str, method: str) -> Which:
    """Requests of this method for one object."""
    return lambda request: request.method == method and request.path.endswith(f"/{key}")
