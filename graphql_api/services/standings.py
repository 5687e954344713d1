"""What everybody may do right now: rulebooks are remembered until the policy changes, standings until time does it."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import rulebooks, rules
from graphql_api.model.ids import UserId
from graphql_api.model.principal import ANONYMOUS, Address, Principal
from graphql_api.services.clock import Clock

MAX_BOOKS: Final = 10_000
MAX_REMEMBERED: Final = 200_000  # rules and folders in all remembered books, about 450 bytes each
MAX_ADDRESSES: Final = 16  # standings of one book, which differ by address where rules have conditions on it

_Key = tuple[UserId | None, bool, frozenset[str]]


@dataclass
class _Remembered:
    """A rulebook, and its standings as they are from ``since`` until ``until``."""

    book: Rulebook
    version: int
    since: datetime
    until: datetime | None
    standings: OrderedDict[Address | None, Standing] = field(default_factory=OrderedDict)

    @property
    def weight(self) -> int:
        return 1 + len(self.book.rules) + len(self.book.chains) + sum(map(len, self.book.children.values()))


class Standings:
    """One for the process. A request that began before a change of policy was committed may end under the old one.
    ``binds_links``: see ``Standing``.
    """

    def __init__(self, clock: Clock, *, max_remembered: int = MAX_REMEMBERED, binds_links: bool = True) -> None:
        self._clock = clock
        self._binds_links = binds_links
        self._max_remembered = max_remembered
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()
        self._weight = 0

    @property
    def weight(self) -> int:
        """How many rules and folders are remembered: what bounds the memory."""
        return self._weight

    async def of(self, connection: AsyncConnection, principal: Principal) -> Standing:
        """What ``principal`` may do now, from where it asks. Raises: Unavailable."""
        _, standing = await self.with_book(connection, principal)
        return standing

    def recall(self, principal: Principal) -> tuple[int, Standing] | None:
        """What ``principal`` may do by what is remembered, and the version of the policy under which that is true: for
        a statement that asks for the version itself.
        """
        now = self._clock()
        key = (principal.user_id, principal.is_admin, principal.groups)
        found = self._remembered.get(key)
        if found is None or now < found.since or (found.until is not None and found.until <= now):
            return None
        self._remembered.move_to_end(key)
        address = principal.address if found.book.depends_on_address else None
        return found.version, self._standing_in(found, address, now)

    async def with_book(self, connection: AsyncConnection, principal: Principal) -> tuple[Rulebook, Standing]:
        """The same, and all that the rules say about ``principal``, whenever it applies. Raises: Unavailable."""
        key = (principal.user_id, principal.is_admin, principal.groups)

        def load() -> Awaitable[Rulebook]:
            return rulebooks.load_rulebook(connection, principal)

        return await self._of(connection, key, principal.address, load)

    async def of_anonymous(self, connection: AsyncConnection, address: Address | None = None) -> Standing:
        """What everybody may do. Raises: Unavailable."""
        return await self.of(connection, replace(ANONYMOUS, address=address))

    async def of_anonymous_here(self, connection: AsyncConnection) -> Standing:
        """What everybody may do as this transaction has it so far. Raises: Unavailable.

        Neither remembered nor recalled: what it has changed may be undone, and the version does not tell.
        """
        return self.standing(await rulebooks.load_rulebook(connection, ANONYMOUS), self._clock(), None)

    async def of_absent(self, connection: AsyncConnection, user_id: UserId, *, is_admin: bool) -> Standing:
        """What somebody may do who is not asking, in the groups of their last token. Raises: Unavailable.

        Not remembered: it is asked once for an upload. ``is_admin``: a token or the settings said so.
        """
        book = replace(await rulebooks.load_rulebook_of(connection, user_id), is_admin=is_admin)
        return self.standing(book, self._clock(), None)

    async def _of(
        self,
        connection: AsyncConnection,
        key: _Key,
        address: Address | None,
        load: Callable[[], Awaitable[Rulebook]],
    ) -> tuple[Rulebook, Standing]:
        now = self._clock()
        if rules.is_changing_policy(connection):
            book = await load()
            return book, self.standing(book, now, address)
        version = await rules.policy_version(connection)
        found = self._remembered.get(key)
        if found is None or found.version != version:
            # What is read after the version may be newer than it: then the next request reads once more.
            found = _Remembered(await load(), version, now, None)
            found.until = found.book.next_change(now)
            self._remember(key, found)
        elif now < found.since or (found.until is not None and found.until <= now):
            found.since, found.until = now, found.book.next_change(now)
            found.standings.clear()
        self._remembered.move_to_end(key)
        return found.book, self._standing_in(found, address if found.book.depends_on_address else None, now)

    def _remember(self, key: _Key, found: _Remembered) -> None:
        if (old := self._remembered.pop(key, None)) is not None:
            self._weight -= old.weight
        self._remembered[key] = found
        self._weight += found.weight
        while len(self._remembered) > 1 and (self._weight > self._max_remembered or len(self._remembered) > MAX_BOOKS):
            _, oldest = self._remembered.popitem(last=False)
            self._weight -= oldest.weight

    def standing(self, book: Rulebook, now: datetime, address: Address | None) -> Standing:
        """What ``book`` comes to at ``now`` for requests from ``address``, with the links that there are here."""
        found = book.standing(now, address)
        return found if self._binds_links else replace(found, binds_links=False)

    def _standing_in(self, found: _Remembered, address: Address | None, now: datetime) -> Standing:
        standing = found.standings.get(address)
        if standing is None:
            standing = found.standings[address] = self.standing(found.book, now, address)
            if len(found.standings) > MAX_ADDRESSES:
                found.standings.popitem(last=False)
        return standing
