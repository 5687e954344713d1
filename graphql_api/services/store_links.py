"""Without a CDN, links are signed with the store's credentials: as one process knows them, renewed in time."""

import asyncio
import logging
from typing import Final

from graphql_api.errors import Unavailable
from graphql_api.services.clock import Clock
from graphql_api.services.link_signing import SignerInUse
from graphql_api.storage import LinkSource

log = logging.getLogger(__name__)

EVERY: Final = 5.0  # seconds between two looks, which ask nobody while the credentials are good


class StoreLinks:
    """One for each process that signs, in the place of a ``Keyring``."""

    def __init__(self, source: LinkSource, in_use: SignerInUse, clock: Clock, *, every: float = EVERY) -> None:
        """``every``: seconds between two looks."""
        self._source = source
        self._in_use = in_use
        self._clock = clock
        self._every = every

    async def start(self) -> None:
        """To be done before the first link: from here on there is something that signs. Raises: Unavailable."""
        held = await self._source.link_signer(self._clock())
        end = held.ends_at
        self._in_use.use(held.signer, until=None if end is None else int(end.timestamp()))

    async def take_in(self) -> None:
        """There is no key to enter anywhere."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.start()
            except Unavailable:
                pass  # the log has it; links end with the credentials that there are, and the next look is soon
            except Exception:  # it must outlive a bug, and the log must show it
                log.exception("store_links_failed")
            await asyncio.sleep(self._every)
