"""Store and database of a world, compared as ``graphql-api reconcile`` does it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from graphql_api.bootstrap import reconciling
from graphql_api.model.finding import Finding, FindingKind
from graphql_api.model.ids import OBJECT_PREFIX
from graphql_api.services.object_comparison import ObjectCheck
from graphql_api.services.reconciling import Place, Reconciling, Step
from graphql_api.storage import ObjectStore
from tests.world import World

SAFE_AGE = timedelta(hours=24)


def object_check(world: World, store: ObjectStore | None = None, *, page_size: int = 1_000) -> ObjectCheck:
    return ObjectCheck(
        world.database,
        store or world.store,
        world.services.upkeep,
        world.clock,
        prefix=OBJECT_PREFIX,
        safe_age=SAFE_AGE,
        page_size=page_size,
    )


def everything(world: World, *, max_removals: int = 100, prefix: str = OBJECT_PREFIX) -> Reconciling:
    return reconciling(
        world.database,
        world.store,
        world.services,
        world.clock,
        prefix=prefix,
        safe_age=SAFE_AGE,
        max_removals=max_removals,
    )


async def steps_of(checks: Reconciling, *, fix: bool, start: Place | None = None) -> list[Step]:
    return [step async for step in checks.run(fix=fix, start=start)]


def told(steps: Sequence[Step]) -> list[Finding]:
    return [finding for step in steps for finding in step.page.findings]


def fixed(steps: Sequence[Step]) -> list[Finding]:
    return [finding for step in steps for finding in step.fixed]


def kinds(findings: Iterable[Finding]) -> list[tuple[FindingKind, str]]:
    return [(finding.kind, finding.subject) for finding in findings]


async def found(world: World) -> list[tuple[FindingKind, str]]:
    """What a run without --fix says."""
    return kinds(told(await steps_of(everything(world), fix=False)))
