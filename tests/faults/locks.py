"""Where PostgreSQL holds somebody in the middle of a transaction."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped]  # it brings no types


@contextmanager
def nothing_is_inserted_into_files(database_url: str) -> Iterator[Callable[[], int]]:
    """Gives how many wait to. Whoever completes an upload has claimed it and its name by then."""
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'files'::regclass AND NOT granted"
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database_url))
        runner.run(connection.execute("BEGIN; LOCK TABLE files IN EXCLUSIVE MODE"))
        try:
            yield lambda: int(runner.run(connection.fetchval(waiting)))
        finally:
            connection.terminate()  # the server may be gone
            runner.run(asyncio.sleep(0))


def silent_transactions(database_url: str) -> int:
    """How many are begun, and wait for their client to say something."""

    async def count() -> int:
        connection = await asyncpg.connect(database_url)
        silent = "state = 'idle in transaction' AND datname = current_database()"
        found = await connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {silent}")
        await connection.close()
        return int(found)

    return asyncio.run(count())
