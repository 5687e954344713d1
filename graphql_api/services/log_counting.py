"""The edge's log files, counted exactly once each.

A log file is the unit: its name is written down in the transaction that adds its counts, so it is counted as a whole
or not at all, whoever stops in between, and only by one of those who try at once. Which files are left to count is
asked of the database for each page of the list. No position is kept: a file that comes late, for a day long past or
with a name that sorts first, is found by the next run.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from graphql_api.db import traffic
from graphql_api.db.engine import Database
from graphql_api.edge import LogFormat
from graphql_api.errors import NotFound, UnreadableLog
from graphql_api.model.ids import FileId
from graphql_api.model.stored_object import ListedObject
from graphql_api.model.traffic import LoggedRequest
from graphql_api.services.clock import Clock
from graphql_api.storage import ObjectReader

PAGE: Final = 1_000  # names of one list
MAX_PENDING: Final = 10_000  # keys and days that wait to be told from what viewers made up
MAX_COUNTED: Final = 200_000  # files and days of one log; some 700 bytes each until they are written
MAX_KEY_LENGTH: Final = 1_024  # bytes, at S3
CLOCK_SKEW: Final = timedelta(days=1)
SETTLED: Final = timedelta(minutes=5)  # after its last change, plain text that ends with a line is taken for whole


class LogFate(StrEnum):
    """What became of a log file in a run."""

    COUNTED = "COUNTED"
    KNOWN = "KNOWN"  # it was counted before
    FOREIGN = "FOREIGN"  # its name is not that of a log
    UNREADABLE = "UNREADABLE"  # nothing of it is counted, and the next run tries again


@dataclass(slots=True)
class Sums:
    """Of requests. ``downloads`` and ``delivered_bytes`` are those of files that are there."""

    requests: int = 0
    downloads: int = 0
    delivered_bytes: int = 0
    unknown: int = 0  # requests for what is no file's, or no longer
    malformed: int = 0  # lines


@dataclass(frozen=True, slots=True)
class LogReport:
    """``name``: of the log, or the key of what is none. ``sums``: if it is COUNTED. ``reason``: if it is UNREADABLE."""

    name: str
    fate: LogFate
    sums: Sums | None = None
    reason: str | None = None


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    downloads: int = 0
    size: int = 0  # bytes

    def add(self, requests: int, downloads: int, size: int) -> None:
        self.requests += requests
        self.downloads += downloads
        self.size += size


class LogCounting:
    """Any number of processes may run it at once. ``source``: where the edge's logs lie."""

    def __init__(
        self,
        database: Database,
        source: ObjectReader,
        form: LogFormat,
        clock: Clock,
        *,
        page: int = PAGE,
        max_pending: int = MAX_PENDING,
        max_counted: int = MAX_COUNTED,
    ) -> None:
        self._database = database
        self._source = source
        self._form = form
        self._clock = clock
        self._page = page
        self._max_pending = max_pending
        self._max_counted = max_counted

    async def run(self, prefix: str = "") -> AsyncGenerator[LogReport, None]:
        """Count every log below ``prefix`` that has not been counted; a report of each file, in order of key.

        Raises: Unavailable: the database or the source; what is reported is done, the rest is for the next run.
        """
        after = None
        while True:
            listed = await self._source.list_objects(prefix, after=after, limit=self._page)
            named = [(entry, self._form.name_of(entry.key)) for entry in listed]
            async with self._database.autocommit() as connection:
                known = await traffic.find_counted_logs(connection, [name for _, name in named if name is not None])
            for entry, name in named:
                if name is None:
                    yield LogReport(entry.key, LogFate.FOREIGN)
                elif name in known:
                    yield _known(name, entry.size, known[name])
                else:
                    yield await self._count(entry, name)
            if len(listed) < self._page:
                return
            after = listed[-1].key

    async def _count(self, entry: ListedObject, name: str) -> LogReport:
        try:
            sums, counted = await self._read(entry)
        except UnreadableLog as error:
            return LogReport(name, LogFate.UNREADABLE, reason=error.message)
        except NotFound:
            return LogReport(name, LogFate.UNREADABLE, reason="it has gone meanwhile")
        async with self._database.transaction() as connection:
            if not await traffic.claim_log(connection, name, entry.size, self._clock()):
                known = await traffic.find_counted_logs(connection, [name])
                return _known(name, entry.size, known[name])
            added = {key: (counts.downloads, counts.size) for key, counts in counted.items()}
            there = await traffic.add_traffic(connection, added)
        for (file_id, _), counts in counted.items():
            if file_id in there:
                sums.downloads += counts.downloads
                sums.delivered_bytes += counts.size
            else:
                sums.unknown += counts.requests
        return LogReport(name, LogFate.COUNTED, sums)

    async def _read(self, entry: ListedObject) -> tuple[Sums, dict[tuple[FileId, date], _Counts]]:
        """What one log says of our files; of its sums those that need no file to be there.

        Raises: UnreadableLog. NotFound. Unavailable.
        """
        sums = Sums()
        counted: dict[tuple[FileId, date], _Counts] = {}
        pending: dict[tuple[str, date], _Counts] = {}
        async with aclosing(self._requests(entry, sums)) as requests:
            async for request in requests:
                sums.requests += 1
                if not _is_sound(request.key):
                    sums.unknown += 1
                    continue
                counts = pending.setdefault((request.key, request.day), _Counts())
                counts.add(1, request.begins_download, request.size)
                if len(pending) >= self._max_pending:
                    await self._tell_apart(pending, counted, sums)
                    pending.clear()
        await self._tell_apart(pending, counted, sums)
        return sums, counted

    async def _requests(self, entry: ListedObject, sums: Sums) -> AsyncGenerator[LoggedRequest, None]:
        reader = self._form.reader(latest=(self._clock() + CLOCK_SKEW).date())
        size = 0
        async with aclosing(self._source.read(entry.key)) as pieces:
            async for piece in pieces:
                size += len(piece)
                for request in reader.feed(piece):
                    yield request
        for request in reader.finish():
            yield request
        if size != entry.size:
            raise UnreadableLog("it is still being written")
        if not reader.tells_its_end and entry.modified_at > self._clock() - SETTLED:
            raise UnreadableLog("it is plain text that was written a moment ago: more may come")
        sums.malformed = reader.malformed

    async def _tell_apart(
        self,
        pending: dict[tuple[str, date], _Counts],
        counted: dict[tuple[FileId, date], _Counts],
        sums: Sums,
    ) -> None:
        """Bring what is ours from ``pending`` to ``counted``."""
        keys = {key for key, _ in pending}
        async with self._database.autocommit() as connection:
            objects = await traffic.find_files_of_keys(connection, keys)
        for (key, day), counts in pending.items():
            found = objects.get(key)
            if found is None:
                sums.unknown += counts.requests
            else:
                downloads = counts.downloads if found.is_main else 0
                counted.setdefault((found.file_id, day), _Counts()).add(counts.requests, downloads, counts.size)
        if len(counted) > self._max_counted:
            raise UnreadableLog(f"it tells of more than {self._max_counted} files and days")


def _known(name: str, size: int, counted_size: int) -> LogReport:
    if size == counted_size:
        return LogReport(name, LogFate.KNOWN)
    return LogReport(name, LogFate.UNREADABLE, reason="a file of this name and another length was counted before")


def _is_sound(key: str) -> bool:
    """Whether it could be a key of ours: nothing else is remembered, nor is a database asked about it."""
    return key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY_LENGTH
