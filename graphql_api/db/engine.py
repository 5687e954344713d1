"""Connections to one database: SQLite or PostgreSQL, both first class."""

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from graphql_api.db import sqlite_connection
from graphql_api.db.signals import ANNOUNCED, Signals, notify
from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.signal import Signal

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0  # seconds
WAL_ATTEMPTS: Final = 50
WAL_PAUSE: Final = 0.02  # seconds
PING_AFTER: Final = 5.0  # seconds that a connection lay idle
LONGEST_SILENCE: Final = 60  # seconds between two statements of one transaction
POOL_SIZE: Final = 10
MAX_OVERFLOW: Final = 10

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

# Options that a PostgreSQL address may have. A connection pooler that shares connections between transactions
# (PgBouncer) needs ``prepared_statement_cache_size=0``.
_POSTGRESQL_OPTIONS: Final = {"host", "port", "ssl", "sslmode", "prepared_statement_cache_size"}

# SQLite says with one exception class that it is busy and that our SQL is wrong; only these are passing.
_PASSING_SQLITE: Final = ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "READONLY", "PROTOCOL")
# Connection, resources, operator intervention (shutdown), and a lost race that a second try wins.
# Source: PostgreSQL manual, appendix A, "PostgreSQL Error Codes".
_PASSING_SQLSTATE: Final = ("08", "53", "57P", "40001", "40P01", "55P03")

_VALUE: Final = re.compile(r"(?<=invalid input for query argument) .*", re.DOTALL)


class Database:
    """Gives connections. Every method raises ``Unavailable("database")`` when the database does not answer.

    ``patience``: seconds to wait for a free connection, for a new one, and (SQLite) for another writer.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        """``url``: ``sqlite:///file`` or ``postgresql://…``. Raises ``ConfigurationError`` for any other."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise _refused() from None
        if parsed.drivername not in _DRIVERS or parsed.database in {None, "", ":memory:"}:
            raise _refused()
        parsed = _with_driver_options(parsed.set(drivername=_DRIVERS[parsed.drivername]))
        self.signals: Final = Signals()
        self.is_sqlite: Final = parsed.drivername.startswith("sqlite")
        self._patience: Final = patience
        self._turn: Final = asyncio.Lock()
        arguments: dict[str, Any] = {"timeout": patience}
        if self.is_sqlite:
            arguments["async_creator_fn"] = sqlite_connection.connect
        else:
            # Of a machine that vanishes in the middle of a transaction the server would hear by TCP's keep-alive only,
            # after two hours, and hold its locks until then. Between our own statements are milliseconds.
            silence = {"idle_in_transaction_session_timeout": str(LONGEST_SILENCE * 1000)}
            arguments["server_settings"] = {"jit": "off"} | silence
        self._engine: Final[AsyncEngine] = create_async_engine(
            parsed,
            connect_args=arguments,
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            pool_timeout=patience,
            hide_parameters=True,  # a parameter may be a name or an address that is nobody's business in a log
        )
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
            self._autocommit = self._engine
        else:
            event.listen(self._engine.sync_engine, "handle_error", _forget_values)
            event.listen(self._engine.sync_engine, "checkin", _note_return)
            event.listen(self._engine.sync_engine, "checkout", _require_alive)
            self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """Each statement is a transaction of its own: for reads, and for changes that one statement makes whole."""
        with _translated():
            async with self._autocommit.connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Committed when the block ends, rolled back when it raises. Never send a request inside it.

        What was announced inside is told when it has committed.
        """
        announced: list[Signal] = []
        with _translated():
            async with self._writers_turn(), self._engine.connect() as connection:
                await connection.execution_options(is_transaction=True, **{ANNOUNCED: announced})
                # On PostgreSQL they come back through the listener.
                with self.signals.delivered_after(announced) if self.is_sqlite else nullcontext():
                    async with connection.begin():
                        yield connection
                        if announced and not self.is_sqlite:
                            await notify(connection, announced)

    @asynccontextmanager
    async def _writers_turn(self) -> AsyncIterator[None]:
        """On SQLite one writes at a time. Who waits looks again now and then, and of many some never find it free.
        Those of this process go in the order in which they came, and only the first of them looks.
        """
        if not self.is_sqlite:
            yield
            return
        async with asyncio.timeout(self._patience):  # raises TimeoutError, as an OSError: nothing was done yet
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """For reads only: all statements see one state of the database, and no writer waits for them."""
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        if self.is_sqlite:
            options = {"is_snapshot": True}
        with _translated():
            async with self._engine.connect() as connection:
                await connection.execution_options(**options)
                async with connection.begin():
                    yield connection

    async def check(self) -> None:
        """Return when the database answers."""
        async with self.autocommit() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


class _translated:  # noqa: N801 -- reads as a word at its call site
    """Turns "the database does not answer" of every driver into one typed error; lets bugs through as they are."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        is_cut_off = isinstance(error, OSError | PoolTimeoutError)
        if is_cut_off or (isinstance(error, DBAPIError | sqlite3.Error) and _is_passing(error)):
            log.warning("database_unavailable error=%s", type(error).__name__)
            raise Unavailable("database") from error


def _is_passing(error: DBAPIError | sqlite3.Error) -> bool:
    """``error``: of SQLite's own it is what BEGIN raises, which is said without SQLAlchemy."""
    original = error if isinstance(error, sqlite3.Error) else error.orig
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, InterfaceError)):
        return True
    name = getattr(original, "sqlite_errorname", "")
    if name:
        return str(name).removeprefix("SQLITE_").startswith(_PASSING_SQLITE)
    return str(getattr(original, "sqlstate", "") or "").startswith(_PASSING_SQLSTATE)


def _with_driver_options(url: URL) -> URL:
    """libpq's ``sslmode``, which every provider's connection string has, as the driver calls it."""
    if url.drivername == "postgresql+asyncpg" and (unknown := set(url.query) - _POSTGRESQL_OPTIONS):
        raise ConfigurationError(f"the database URL has options that are not known: {', '.join(sorted(unknown))}")
    if "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])
    return url


def _refused() -> ConfigurationError:
    return ConfigurationError("the database URL must be sqlite:///file or postgresql://…/name")


def _forget_values(context: ExceptionContext) -> None:
    # The server's DETAIL line repeats a row, and the driver repeats a value that it cannot encode.
    driver_error: Any = context.original_exception.__cause__
    if hasattr(driver_error, "detail"):
        driver_error.detail = None
    for error in (driver_error, context.original_exception, context.sqlalchemy_exception):
        if error is not None:
            error.args = tuple(_VALUE.sub("", part) if isinstance(part, str) else part for part in error.args)


def _note_return(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["returned_at"] = time.monotonic()


def _require_alive(connection: Any, record: ConnectionPoolEntry, _fairy: object) -> None:
    # SQLAlchemy's own ping takes three round trips before each use. The driver knows at once when the server hangs up;
    # only what falls silent, as behind a firewall, has to be asked, and that takes its time.
    idle = time.monotonic() - record.info.get("returned_at", time.monotonic())
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    if idle > PING_AFTER:
        try:
            connection.ping()
        except Exception as error:  # whatever the driver says: another connection will be tried
            raise DisconnectionError from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # With the driver's own transaction control off, BEGIN is ours to say, and a read needs none.
    connection.isolation_level = None
    cursor = connection.cursor()
    _keep_a_log(cursor)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _keep_a_log(cursor: Any) -> None:
    """Of a new file, for which this is decided once, SQLite does not wait for others who decide it, too."""
    for attempt in range(1, WAL_ATTEMPTS + 1):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == WAL_ATTEMPTS:
                raise
            await_only(asyncio.sleep(WAL_PAUSE))
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    # A writer takes the lock at once: a transaction that begins as a reader and then writes fails where it could wait.
    # In WAL mode the first read of a deferred transaction fixes what all of them see.
    options = connection.get_execution_options()
    kind = "IMMEDIATE" if options.get("is_transaction") else "DEFERRED" if options.get("is_snapshot") else None
    if kind is not None:
        # Said to the driver itself: as a statement of SQLAlchemy's it costs a third of the shortest transaction.
        await_only(connection.connection.driver_connection.execute(f"BEGIN {kind}"))
