"""A service with a proxy between it and its store, and whether all is in order when time has passed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from graphql_api.bootstrap import Assembly, assemble, reconciling
from graphql_api.db.recount import recount
from graphql_api.localcloud.store import connect
from graphql_api.model.finding import Finding
from graphql_api.model.ids import OBJECT_PREFIX
from graphql_api.services.clock import utc_now
from graphql_api.settings import Settings
from tests.e2e.service import Service, Surroundings, serving
from tests.faults import FaultyProxy, Request

PROGRAM: Final = Path(sys.executable).with_name("graphql-api")
ALL_OVER: Final = timedelta(days=9)  # by then every promise has ended, and no request for it can be under way
T = TypeVar("T")


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

    async def findings(self) -> list[Finding]:
        """What is still wrong once upkeep has had its time: orphans and strays of any age, broken and altered files.

        Whoever has quotas must have them to the byte, or this fails.
        """
        later = ALL_OVER * next(self._times)
        await self._upkept(later)
        return await self._upkept(later + ALL_OVER / 3)  # what has landed late goes with the second removal

    async def _upkept(self, ahead: timedelta) -> list[Finding]:
        async with self.assembled(ahead=ahead, S3_ENDPOINT_URL=self.around.store.endpoint_url) as parts:
            await parts.services.lookout.look()
            await parts.services.upkeep.sweep()
            await parts.services.strays.sweep()
            check = reconciling(parts, prefix=OBJECT_PREFIX, safe_age=timedelta(), clock=lambda: utc_now() + ahead)
            found = [finding async for step in check.run(fix=False) for finding in step.page.findings]
            assert await recount(parts.database) == 0
        return found

    def stored(self) -> set[str]:
        """Keys of what the store holds."""
        store = self.around.store
        with closing(connect(store.endpoint_url, store.admin)) as client:
            found = client.list_objects_v2(Bucket=store.bucket).get("Contents", ())
        return {one["Key"] for one in found}

    def require_order(self) -> None:
        assert asyncio.run(self.findings()) == []


def of(method: str, *, having: str = "", lacking: str = "\0") -> Callable[[Request], bool]:
    """Requests of this method, with and without something in their query."""
    return lambda request: request.method == method and having in request.query and lacking not in request.query
