"""A link signed by a new key, opened at the CDN, before anybody else is given one."""

from datetime import timedelta
from typing import Final

from graphql_api.db import files
from graphql_api.db.engine import Database
from graphql_api.edge import Edge
from graphql_api.errors import Conflict, EdgeRefused
from graphql_api.services.clock import Clock
from graphql_api.services.key_loading import LoadedKey
from graphql_api.services.link_signing import RemoteSigner

LIFETIME: Final = timedelta(minutes=5)  # long enough for an edge whose clock is ahead


class Canary:
    """Opens the newest file, one byte of it; where there are only bundles, the main entry of one of them. Its link
    says nothing by which it could be revoked.
    """

    def __init__(self, database: Database, edge: Edge, clock: Clock) -> None:
        self._database = database
        self._edge = edge
        self._clock = clock

    async def try_key(self, key_pair_id: str, key: LoadedKey) -> None:
        """Return if the CDN lets through what ``key`` signs. In no transaction: it asks the network.

        Raises: EdgeRefused: it does not. Conflict: there is nothing to try it on. Unavailable: the CDN, the key's place
        or the database does not answer.
        """
        async with self._database.autocommit() as connection:
            object_key = await files.newest_object_key(connection)
        if object_key is None:
            raise Conflict(
                "there is no file to try the key on, nor a bundle without revoked links: upload a file first"
            )
        path, expires_at = "/" + object_key, self._clock() + LIFETIME
        if isinstance(key.signer, RemoteSigner):
            unsigned = key.signer.writer.write(path, expires_at=expires_at)
            signed = unsigned.signed(await key.signer.signature(unsigned))
        else:
            signed = key.signer.sign(path, expires_at=expires_at)
        answer = await self._edge.open(signed.url)
        if not answer.is_let_through:
            said = f"{answer.status} {answer.code} {answer.message}".strip()
            raise EdgeRefused(
                f"the edge does not let through what {key_pair_id} signs: it says {said}",
                status=answer.status,
                edge_code=answer.code,
            )
