"""Operations are charged for what the guard finds that they cost, however it is written."""

from dataclasses import replace
from datetime import timedelta

import pytest

from graphql_api.model.principal import ANONYMOUS
from graphql_api.services.rates import BASE_COST, RateLimits
from tests.services.stories import filed, foldered
from tests.world import START, World

LIMITS = RateLimits(per_viewer=1_000, per_address=600, window=timedelta(minutes=1))
LEFT = "rateLimit { cost limit remaining resetAt }"


@pytest.fixture
def counting(sqlite_world: World) -> World:
    return World(sqlite_world.database, rate_limits=LIMITS)


async def test_who_asks_is_told_what_it_cost_and_what_is_left(counting: World) -> None:
    ada = await counting.principal("ada")
    for asked, limit in ((ada, 1_000), (ANONYMOUS, 600)):
        for times in (1, 2):
            left = (await counting.data(f"{{ {LEFT} }}", as_=asked))["rateLimit"]
            spent = times * (BASE_COST + 1)
            reset_at = START + spent * timedelta(minutes=1) / limit
            assert left == {
                "cost": BASE_COST + 1,
                "limit": limit,
                "remaining": limit - spent,
                "resetAt": reset_at.isoformat().replace("+00:00", "Z"),
            }


COSTS = {
    "a page and its links": ("{ files(first: 100) { nodes { id signedUrl { url } } } }", {}, 301),
    "a page by a variable": ("query ($n: Int) { files(first: $n) { nodes { signedUrl { url } } } }", {"n": 100}, 301),
    "aliases": ("{ " + " ".join(f"a{n}: viewer {{ id }}" for n in range(20)) + " }", {}, 20),
    "fragments": ("{ ...a ...a } fragment a on Query { viewer { id } folder { id } }", {}, 4),
    "mutations": ('mutation { revokeLinks(input: {fileId: "x"}) { userErrors { code } } }', {}, 31),
}  # fmt: skip


@pytest.mark.parametrize("what", COSTS)
async def test_the_whole_cost_is_charged(counting: World, what: str) -> None:
    document, variables, cost = COSTS[what]
    ada = await counting.principal("ada")
    await counting.ask(document, variables, as_=ada)
    left = (await counting.data(f"{{ {LEFT} }}", as_=ada))["rateLimit"]
    assert left["remaining"] == 1_000 - (BASE_COST + cost) - (BASE_COST + 1)


async def test_a_folder_is_revoked_for_a_point_for_each_thing_that_is_revoked_with_it(counting: World) -> None:
    world = World(counting.database, rate_limits=LIMITS, revokes=True)
    ada = await world.principal("ada")
    source, target = await foldered(world, ada, "source"), await foldered(world, ada, "target")
    for number in range(5):
        await world.services.files.move(ada, (await filed(world, ada, f"{number}", folder_id=source.id)).id, target.id)
    revoke = "mutation ($id: ID!) { revokeLinks(input: {folderId: $id}) { userErrors { code } } }"
    assert (await world.data(revoke, {"id": target.id}, as_=ada))["revokeLinks"] == {"userErrors": []}
    left = (await world.data(f"{{ {LEFT} }}", as_=ada))["rateLimit"]
    assert left["remaining"] == 1_000 - (BASE_COST + 31 + 5) - (BASE_COST + 1)
    few = World(world.database, rate_limits=replace(LIMITS, per_viewer=BASE_COST + 31 + 2), revokes=True)
    assert (await few.data(revoke, {"id": target.id}, as_=ada))["revokeLinks"] == {"userErrors": []}
    refused = await few.ask(f"{{ {LEFT} }}", as_=ada)
    assert refused.errors
    assert refused.errors[0].extensions == {"code": "RATE_LIMITED", "retryAfter": 24}


async def test_an_operation_that_is_refused_is_not_executed_and_says_when_to_come_back(counting: World) -> None:
    ada, bea = await counting.principal("ada"), await counting.principal("bea")
    home = (await counting.data("{ viewer { topFolders(first: 1) { nodes { id } } } }", as_=bea))["viewer"]
    folder_id = home["topFolders"]["nodes"][0]["id"]
    create = "mutation ($in: CreateFolderInput!) { createFolder(input: $in) { folder { name } userErrors { code } } }"
    wish = {"in": {"parentId": folder_id, "name": "new"}}
    page = "{ files(first: 100) { nodes { signedUrl { url } } } }"
    for _ in range(3):
        assert (await counting.ask(page, as_=bea)).errors is None
    refused = await counting.ask(create, wish, as_=bea)
    assert refused.data is None
    assert refused.errors
    assert refused.errors[0].extensions == {"code": "RATE_LIMITED", "retryAfter": 3}
    assert (await counting.ask(page, as_=ada)).errors is None
    counting.clock.advance(seconds=3)
    made = await counting.data(create, wish, as_=bea)  # under the same name
    assert made == {"createFolder": {"folder": {"name": "new"}, "userErrors": []}}


async def test_what_the_guard_refuses_costs_what_a_request_costs(counting: World) -> None:
    ada = await counting.principal("ada")
    nested = "files(first: 100) { nodes { folder { files(first: 100) { nodes { folder { id } } } } } }"
    refused = await counting.ask(f"{{ {nested} }}", as_=ada)
    assert refused.errors
    assert [error.extensions and error.extensions["code"] for error in refused.errors] == ["COST_LIMITED"]
    left = (await counting.data(f"{{ {LEFT} }}", as_=ada))["rateLimit"]
    assert left["remaining"] == 1_000 - BASE_COST - (BASE_COST + 1)


async def test_where_nobody_counts_there_is_no_limit_to_tell_of(sqlite_world: World) -> None:
    assert await sqlite_world.data(f"{{ {LEFT} }}") == {"rateLimit": None}


async def test_a_subscription_is_charged_when_it_begins(counting: World) -> None:
    ada = await counting.principal("ada")
    watch = "subscription ($id: ID!) { uploadStatusChanged(uploadId: $id) { upload { id } } }"
    async with counting.subscribed(watch, {"id": "upload_unknown"}, as_=ada) as events:
        assert (await anext(events)).errors
    left = (await counting.data(f"{{ {LEFT} }}", as_=ada))["rateLimit"]
    assert left["remaining"] == 1_000 - (BASE_COST + 2) - (BASE_COST + 1)
