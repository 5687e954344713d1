"""Files of rules as tests write them, and what comes of planning and applying them."""

from datetime import timedelta
from typing import Any

from graphql_api.db.rules import list_rules_on
from graphql_api.errors import ConfigurationError
from graphql_api.model.preview import Direction
from graphql_api.model.principal import Identity, Permission, Principal
from graphql_api.model.rule import AccessRule
from graphql_api.policyfile import PolicyFile, read, write
from graphql_api.services.policy_files import PolicyFiles, PolicyPlan
from tests.services.rulings import outcome
from tests.world import ISSUER, World


def policy_files(world: World, issuer: str = ISSUER) -> PolicyFiles:
    return PolicyFiles(
        world.database, world.clock, issuer=issuer, link_max_lifetime=timedelta(days=1), binds_links=True
    )


def parsed(text: str) -> PolicyFile:
    return read(f"version: 1\n{text}".encode(), "p.yaml")


def on_root(*rules: str) -> str:
    return "\n".join(
        ["resources:", "- root: true", "  rules:" + (" []" if not rules else ""), *(f"  - {it}" for it in rules)]
    )


async def exported(world: World, **how: Any) -> str:
    return write(await policy_files(world).export(**how))


async def planned_and_applied(world: World, text: str) -> PolicyPlan:
    """The plan, which was applied."""
    file = parsed(text)
    plan = await policy_files(world).plan(file)
    await policy_files(world).apply(file, plan.id)
    return plan


async def faults(world: World, text: str) -> list[str]:
    """What is said of a file; the same whether it is planned or applied, and nothing is changed."""
    before = await exported(world, with_homes=True)
    error = await outcome(policy_files(world).plan(parsed(text)))
    assert isinstance(error, ConfigurationError), error
    again = await outcome(policy_files(world).apply(parsed(text), "0-0"))
    assert isinstance(again, ConfigurationError)
    assert again.faults == error.faults
    assert await exported(world, with_homes=True) == before
    return [fault.removeprefix("p.yaml:") for fault in error.faults]


async def rules_on(world: World, scope: str) -> list[AccessRule]:
    async with world.database.autocommit() as connection:
        return await list_rules_on(connection, [scope])


async def with_email(world: World, name: str, email: str, **more: Any) -> Principal:
    identity = Identity(more.pop("issuer", ISSUER), name, name.capitalize(), email=email, **more)
    return await world.services.accounts.principal_of(identity)


def lines(plan: PolicyPlan) -> set[tuple[str, Direction, Permission]]:
    assert plan.preview is not None
    return {(plan.names[line.subject], line.direction, line.permission) for line in plan.preview.lines}
