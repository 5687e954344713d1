"""A world whose edge runs the function, and links in it."""

from datetime import timedelta
from typing import Final

from graphql_api.db import signing_keys
from graphql_api.errors import DeliveryError
from graphql_api.model.delivery import LinkWish
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId, new_signing_key_id
from graphql_api.model.principal import Principal
from graphql_api.model.signing_key import FROM_SETTINGS, HashAlgorithm, KeyEntry, KeyStatus
from graphql_api.services.outbox import Outbox
from graphql_api.services.revocation_telling import BACKOFF, MAX_ATTEMPTS, RevocationTelling
from graphql_api.services.revocations import JOB
from tests.memory_edge import MemoryEdge
from tests.services.stories import foldered
from tests.world import World

DAY: Final = timedelta(days=1)  # the longest that a link of a World lives


class Edge:
    """What tells the edge's store of the world's revocations: the two loops of a worker."""

    def __init__(self, world: World) -> None:
        self.store = MemoryEdge()
        self.telling = RevocationTelling(world.database, self.store, world.clock)
        self.outbox = Outbox(
            world.database, world.clock, {JOB: self.telling.tell}, backoff=BACKOFF, max_attempts=MAX_ATTEMPTS
        )

    async def told(self) -> None:
        """All that is due is done."""
        while (await self.outbox.turn()).is_more:
            pass

    async def swept(self) -> int:
        """How many things went."""
        done, is_more = 0, True
        while is_more:
            turn = await self.telling.turn()
            done, is_more = done + turn.done, turn.is_more
        return done


async def link(world: World, principal: Principal, file: File, wish: LinkWish | None = None) -> str:
    """What the principal is given, as the schema signs it."""
    services = world.services
    seen = (await services.files.find(principal, [FileId(file.id)]))[file.id]
    grant = services.delivery.grant(seen)
    assert grant is not None
    named = await services.revocations.named(principal, grant)
    [made] = services.delivery.sign([named], wish or LinkWish(timedelta(hours=1)))
    return made.url


async def signed_for(world: World, longest: timedelta, status: KeyStatus) -> None:
    """A key of the keyring whose links lived for up to ``longest``: the setting was that."""
    async with world.database.transaction() as connection:
        entry = KeyEntry(
            id=new_signing_key_id(world.clock()),
            key_pair_id=f"K{status}",
            reference=FROM_SETTINGS,
            hash_algorithm=HashAlgorithm.SHA256,
            public_pem="",
            status=status,
            longest_lifetime=longest // timedelta(seconds=1),
            created_at=world.clock(),
        )
        assert await signing_keys.insert_key(connection, entry)


async def nested(world: World, principal: Principal, depth: int, parent_id: FolderId | None = None) -> list[Folder]:
    """Folders, each in the one before."""
    made: list[Folder] = []
    for number in range(depth):
        made.append(await foldered(world, principal, f"level {number}", made[-1].id if made else parent_id))
    return made


async def outcome(work: object) -> str:
    try:
        await work  # type: ignore[misc]  # a coroutine of whatever result
    except DeliveryError as error:
        return error.code
    return "OK"
