"""Whether the parts we depend on answer."""

import asyncio
from typing import Final

from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.storage import ObjectStore

LONGEST_ANSWER: Final = 5.0  # seconds; a part that takes longer counts as silent


class Health:
    """Asks the database and the store."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def failing_parts(self) -> tuple[str, ...]:
        """Names of the parts that do not answer: "database", "store"; empty when all do."""
        checks = {"database": self._database.check(), "store": self._store.check()}

        async def answers(check: object) -> bool:
            try:
                await asyncio.wait_for(check, LONGEST_ANSWER)  # type: ignore[arg-type]  # a coroutine, see above
            except (Unavailable, TimeoutError):
                return False
            return True

        results = await asyncio.gather(*map(answers, checks.values()))
        return tuple(part for part, is_up in zip(checks, results, strict=True) if not is_up)
