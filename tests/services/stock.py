"""What is stored and reserved, as it is kept and as it really is."""

from graphql_api.db import usage, usage_sums
from graphql_api.db.recount import recount
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.principal import Principal
from graphql_api.model.quota import Gate, Quota
from tests.world import World


async def administrator(world: World) -> Principal:
    return await world.principal("root", is_admin=True)


async def quota_of(world: World, principal: Principal) -> Quota:
    assert principal.user_id is not None
    return (await world.services.quotas.of_users(principal, [principal.user_id]))[principal.user_id]


async def taken(world: World, holder: Principal | FolderId) -> tuple[int, int]:
    """Bytes stored and reserved, as they are kept."""
    id_ = str(holder.user_id) if isinstance(holder, Principal) else holder
    async with world.database.autocommit() as connection:
        found = (await usage.find_counted(connection, [id_])).get(id_, Quota(0, 0, None))
    return found.used, found.reserved


async def limited(world: World, folder_id: FolderId, quota: int | None, **gate: object) -> None:
    """The folder has this quota, and the gate."""
    wished = Gate(quota, **gate)  # type: ignore[arg-type]  # the fields of Gate
    await world.services.quotas.set_folder_gate(await administrator(world), folder_id, wished)


async def granted(world: World, principal: Principal, quota: int | None) -> None:
    """The user may store so much."""
    assert principal.user_id is not None
    await world.services.quotas.set_user_quota(await administrator(world), UserId(principal.user_id), quota)


async def require_exact(world: World) -> None:
    """Counting anew finds nothing to correct."""
    async with world.database.transaction() as connection:
        ids = await usage_sums.list_user_ids(connection, "", 1_000)
        kept = await usage.find_counted(connection, ids)
        real = await usage_sums.sums_of_users(connection, ids)
    assert {id_: (quota.used, quota.reserved) for id_, quota in kept.items()} == {id_: real[id_] for id_ in kept}
    assert all(sums == (0, 0) for id_, sums in real.items() if id_ not in kept)
    assert await recount(world.database) == 0
