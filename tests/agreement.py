"""Whether store and database agree: what every test of faults may ask at the end.

::

    await assert_in_agreement(world)  # upkeep has its turn before

``world`` is a ``World``, or an ``Assembly`` of ``tests.e2e.inside`` for a stack whose bucket holds nothing of others.
Nothing is too young for it: a row comes before its bytes and goes with a promise to remove them, whatever happens. Only
an upload that is open at the store and that no row names has two hours, after which upkeep has aborted it for sure.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from graphql_api.bootstrap import reconciling
from graphql_api.db.engine import Database
from graphql_api.model.finding import Finding
from graphql_api.model.ids import OBJECT_PREFIX
from graphql_api.services import Services
from graphql_api.services.clock import Clock
from graphql_api.storage import ObjectStore


class Reconcilable(Protocol):
    """What the comparison needs of a world."""

    @property
    def database(self) -> Database: ...
    @property
    def store(self) -> ObjectStore: ...
    @property
    def services(self) -> Services: ...
    @property
    def clock(self) -> Clock: ...


async def disagreements(world: Reconcilable) -> Sequence[Finding]:
    """All that does not agree now: orphans, broken and altered files, strays, counters. Changes nothing."""
    checks = reconciling(
        world.database,
        world.store,
        world.services,
        world.clock,
        prefix=OBJECT_PREFIX,
        safe_age=timedelta(),
        max_removals=0,
    )
    return [finding async for step in checks.run(fix=False) for finding in step.page.findings]


async def upkeep(world: Reconcilable) -> None:
    """Everything that a worker's loops do about uploads and objects, until nothing is due."""
    services = world.services
    await services.lookout.look()
    await services.upkeep.sweep()
    await services.strays.sweep()
    await services.rechecks.sweep()


async def assert_in_agreement(world: Reconcilable) -> None:
    """Once upkeep had its turn."""
    await upkeep(world)
    assert await disagreements(world) == []
