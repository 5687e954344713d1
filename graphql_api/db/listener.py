"""Listens on PostgreSQL for what other processes, and this one, announce."""

import asyncio
import logging
import random
from typing import Any, Final

from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]  # it ships no types

from graphql_api.db.engine import Database
from graphql_api.db.signals import CHANNEL, Signals, decoded
from graphql_api.errors import Unavailable

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.5  # seconds until it connects again
LONGEST_PAUSE: Final = 30.0  # seconds; each pause is twice as long as the one before
PING_INTERVAL: Final = 20.0  # seconds of silence after which the server is asked whether it is there
PING_PATIENCE: Final = 5.0  # seconds


class Listener:
    """One connection of its own, made again when it is lost; then everybody is told that they may have missed some.

    LISTEN belongs to a session: ``database`` must not go through a pooler that shares sessions between clients.
    """

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals
        self.is_listening = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. On SQLite there is nothing to listen to."""
        if self._database.is_sqlite:
            self.is_listening.set()
            return
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except Unavailable:
                log.warning("listener_lost")
            except Exception:  # it must outlive a bug, and the log must show it
                log.exception("listener_failed")
            if self.is_listening.is_set():
                pause = FIRST_PAUSE
            self.is_listening.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # so that not all processes come at once
            pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        await self._database.close()

    async def _listen(self) -> None:
        """Raises: Unavailable, always: once the connection is lost, or when there is none to be had."""
        is_lost = asyncio.Event()
        async with self._database.autocommit() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_termination_listener(lambda _connection: is_lost.set())
            try:
                await driver.add_listener(CHANNEL, self._receive)
                self._signals.miss()
                self.is_listening.set()
                while not is_lost.is_set():
                    await self._wait_or_ping(driver, is_lost)
                raise Unavailable("database")
            except (InterfaceError, PostgresError) as error:  # of the driver itself, which SQLAlchemy does not see here
                raise Unavailable("database") from error
            finally:
                await connection.invalidate()  # nobody else gets a connection that listens

    def _receive(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            signals = decoded(payload)
        except ValueError:  # of another version, while one is rolled out
            log.warning("signal_not_understood")
            self._signals.miss()
        else:
            self._signals.deliver(signals)

    async def _wait_or_ping(self, driver: Any, is_lost: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(is_lost.wait(), PING_INTERVAL)
        except TimeoutError:
            # What falls silent, as behind a firewall, has to be asked. A time-out is an OSError, and so Unavailable.
            # Listening again changes nothing, and is what the server's list of activities goes on to show.
            await driver.execute(f"LISTEN {CHANNEL}", timeout=PING_PATIENCE)
