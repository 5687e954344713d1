"""Log files are counted exactly once, whoever stops, comes twice or comes at the same time."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import delete, event, func, insert, select

from graphql_api.db.tables import AccessLogRow, Base, FileTrafficRow, UserTrafficRow
from graphql_api.edge.cloudfront_logs import FIELDS, CloudFrontLogs
from graphql_api.errors import NotFound, Unavailable, UnreadableLog
from graphql_api.model.bundle import bundle_of, marked_prefix
from graphql_api.model.file import File
from graphql_api.model.ids import new_object_key
from graphql_api.model.principal import Principal
from graphql_api.model.revocation import mark_of
from graphql_api.model.stored_object import ListedObject
from graphql_api.model.traffic import MAX_BYTES, MAX_DOWNLOADS, TrafficOrder
from graphql_api.services.log_counting import SETTLED, LogCounting, LogFate, LogReport, Sums
from graphql_api.storage import ObjectReader
from graphql_api.storage.directory import Directory
from tests.edge.logs import SIGNATURE, name, packed, values, w3c
from tests.services.bundled import bundled
from tests.services.stories import filed, statements
from tests.world import START, World

DAY = date(2026, 11, 22)


class Shelf:
    """An ``ObjectReader`` of what a test lays there."""

    written_at = START - SETTLED

    def __init__(self, **files: bytes) -> None:
        self.files = {f"logs/{name(unique)}": content for unique, content in files.items()}
        self.reads: list[str] = []

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        keys = [key for key in sorted(self.files) if key.startswith(prefix) and (after is None or key > after)]
        return [ListedObject(key, len(self.files[key]), self.written_at) for key in keys[:limit]]

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self.reads.append(key)
        content = self.files[key]
        yield content[: len(content) // 2]
        yield content[len(content) // 2 :]


def counting(world: World, source: ObjectReader, **limits: int) -> LogCounting:
    return LogCounting(world.database, source, CloudFrontLogs(), world.clock, **limits)


async def counted(world: World, source: ObjectReader, **limits: int) -> list[LogReport]:
    return [report async for report in counting(world, source, **limits).run()]


def line(key: str, **changes: str) -> dict[str, str]:
    return values(cs_uri_stem=f"/{key}", **changes)


def log_of(*lines: dict[str, str]) -> bytes:
    return packed(w3c(*lines))


async def traffic_of(world: World, file: File) -> dict[date, tuple[int, int]]:
    """Downloads and bytes by day."""
    statement = select(FileTrafficRow).where(FileTrafficRow.file_id == file.id)
    async with world.database.autocommit() as connection:
        rows = (await connection.execute(statement)).all()
    return {row.day: (row.downloads, row.delivered_bytes) for row in rows}


async def traffic_of_user(world: World, principal: Principal) -> dict[date, tuple[int, int]]:
    statement = select(UserTrafficRow).where(UserTrafficRow.user_id == principal.user_id)
    async with world.database.autocommit() as connection:
        rows = (await connection.execute(statement)).all()
    return {row.day: (row.downloads, row.delivered_bytes) for row in rows}


async def number_of(world: World, row: type[Base]) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(row)) or 0


async def test_a_log_is_counted_by_file_day_and_owner(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    cat, dog, owl = await filed(world, ada, "cat"), await filed(world, ada, "dog"), await filed(world, bob, "owl")
    shelf = Shelf(
        A=log_of(
            line(cat.object_key, sc_bytes="100"),
            line(cat.object_key, sc_bytes="100", date="2026-11-21"),
            line(cat.object_key, sc_bytes="50", sc_status="206", sc_range_start="50", sc_range_end="99"),
            line(dog.object_key, sc_bytes="7", sc_status="403"),
            line(owl.object_key, sc_bytes="1000"),
            line("o/nobodys"),
            line(cat.object_key, sc_bytes="-1"),
        )
    )
    [report] = await counted(world, shelf)
    assert report.sums == Sums(requests=6, downloads=3, delivered_bytes=1257, unknown=1, malformed=1)
    day_before = DAY - timedelta(days=1)
    assert await traffic_of(world, cat) == {DAY: (1, 150), day_before: (1, 100)}
    assert await traffic_of(world, dog) == {DAY: (0, 7)}
    assert await traffic_of_user(world, ada) == {DAY: (1, 157), day_before: (1, 100)}
    assert await traffic_of_user(world, bob) == {DAY: (1, 1000)}


async def test_a_bundle_is_counted_as_one_whatever_its_links_say(world: World) -> None:
    ada = await world.principal("ada")
    film, other = await bundled(world, ada), await bundled(world, ada, name="other")
    marked = marked_prefix(bundle_of(film.id), f"7.{mark_of(other.id)}").removeprefix("/")
    play = [line(film.object_key, sc_bytes="100"), *(line(f"{marked}low/{n}.ts", sc_bytes="50") for n in (0, 1))]
    [report] = await counted(world, Shelf(A=log_of(*play, line(f"{marked}index.m3u8", sc_bytes="100"))))
    assert report.sums == Sums(requests=4, downloads=2, delivered_bytes=300)
    assert await traffic_of(world, film) == {DAY: (2, 300)}
    assert await traffic_of_user(world, ada) == {DAY: (2, 300)}


async def test_a_film_in_segments_is_no_busier_than_a_file_that_was_fetched_more_often(world: World) -> None:
    ada = await world.principal("ada")
    segments = [f"low/{number}.ts" for number in range(5)]
    film, cat = await bundled(world, ada, ["index.m3u8", *segments]), await filed(world, ada, "cat")
    folder = film.object_key.removesuffix("index.m3u8")
    play = [line(film.object_key), *(line(folder + path) for path in segments)]
    await counted(world, Shelf(A=log_of(*play, *[line(cat.object_key)] * 2)))
    traffic = world.services.traffic
    for order, expected in {
        TrafficOrder.DOWNLOADS: [(cat.id, 2, 1024), (film.id, 1, 6 * 512)],
        TrafficOrder.DELIVERED_BYTES: [(film.id, 1, 6 * 512), (cat.id, 2, 1024)],
    }.items():
        busiest = await traffic.busiest_own(ada, traffic.span(None, None), order, 10)
        assert [(each.file.id, each.downloads, each.delivered_bytes) for each in busiest] == expected


async def test_all_versions_of_a_file_count_for_it(world: World) -> None:
    ada = await world.principal("ada")
    old = await filed(world, ada, "cat")
    new = await filed(world, ada, "cat", replaces=old.id)
    assert (new.id, new.object_key != old.object_key) == (old.id, True)
    await counted(world, Shelf(A=log_of(line(old.object_key), line(new.object_key))))
    assert await traffic_of(world, new) == {DAY: (2, 1024)}


async def test_a_second_run_counts_nothing_again(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(A=log_of(line(cat.object_key)))
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.COUNTED]
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.KNOWN]
    assert len(shelf.reads) == 1
    assert await traffic_of(world, cat) == {DAY: (1, 512)}


async def test_a_copy_elsewhere_is_the_same_log(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(A=log_of(line(cat.object_key)))
    shelf.files[f"year=2026/{name('A')}"] = shelf.files[f"logs/{name('A')}"]
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.COUNTED, LogFate.KNOWN]
    assert await traffic_of(world, cat) == {DAY: (1, 512)}


async def test_other_contents_under_a_name_that_was_counted_are_told_and_not_counted(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(A=log_of(line(cat.object_key)))
    await counted(world, shelf)
    shelf.files[f"logs/{name('A')}"] = log_of(line(cat.object_key), line(cat.object_key))
    shelf.files[f"more/{name('B')}"] = log_of(line(cat.object_key))
    shelf.files[f"yet more/{name('B')}"] = log_of(line(cat.object_key), line(cat.object_key))
    reports = await counted(world, shelf)
    assert [report.fate for report in reports] == [LogFate.UNREADABLE, LogFate.COUNTED, LogFate.UNREADABLE]
    assert reports[0].reason == reports[2].reason == "a file of this name and another length was counted before"
    assert await traffic_of(world, cat) == {DAY: (2, 1024)}


async def test_a_log_that_comes_late_is_found_wherever_its_name_sorts(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(M=log_of(line(cat.object_key)), Z=log_of(line(cat.object_key)))
    await counted(world, shelf, page=1)
    shelf.files |= Shelf(A=log_of(line(cat.object_key, date="2026-10-01"))).files
    await counted(world, shelf, page=1)
    assert await traffic_of(world, cat) == {DAY: (2, 1024), date(2026, 10, 1): (1, 512)}


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
async def test_every_page_of_the_list_is_looked_at(world: World, page: int) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(**{unique: log_of(line(cat.object_key)) for unique in "ABC"})
    shelf.files["logs/README"] = b"no log"
    fates = [report.fate for report in await counted(world, shelf, page=page)]
    assert fates == [*[LogFate.COUNTED] * 3, LogFate.FOREIGN]
    assert await traffic_of(world, cat) == {DAY: (3, 1536)}


async def test_a_log_that_cannot_be_read_leaves_nothing_and_is_tried_again(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    whole = log_of(*[line(cat.object_key)] * 3)
    shelf = Shelf(A=whole[:-9], B=log_of(line(cat.object_key)))
    reports = await counted(world, shelf)
    assert [report.fate for report in reports] == [LogFate.UNREADABLE, LogFate.COUNTED]
    assert reports[0].reason == "it ends too early: not all of it is there"
    assert await traffic_of(world, cat) == {DAY: (1, 512)}
    shelf.files[f"logs/{name('A')}"] = whole
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.COUNTED, LogFate.KNOWN]
    assert await traffic_of(world, cat) == {DAY: (4, 2048)}


async def test_plain_text_that_was_cut_off_is_left_to_a_run_that_finds_all_of_it(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    whole = w3c(*[line(cat.object_key)] * 2)
    after_a_line, within_a_line = whole.rindex(b"\n", 0, -1) + 1, len(whole) - 1
    shelf = Shelf(A=whole[:after_a_line], B=whole[:within_a_line], C=packed(whole))
    shelf.written_at = START - SETTLED + timedelta(seconds=1)
    reports = await counted(world, shelf)
    assert [report.fate for report in reports] == [LogFate.UNREADABLE, LogFate.UNREADABLE, LogFate.COUNTED]
    assert reports[0].reason == "it is plain text that was written a moment ago: more may come"
    assert reports[1].reason == "it ends too early: its last line has no end"
    world.clock.advance(seconds=1)
    assert (await counted(world, shelf))[1].fate is LogFate.UNREADABLE
    shelf.files[f"logs/{name('B')}"] = whole
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.KNOWN, LogFate.COUNTED, LogFate.KNOWN]
    assert await traffic_of(world, cat) == {DAY: (5, 5 * 512)}


async def test_a_log_that_grows_or_goes_while_it_is_read_is_left_to_the_next_run(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))

    class Moving(Shelf):
        async def read(self, key: str) -> AsyncGenerator[bytes, None]:
            if key.endswith(name("B")):
                raise NotFound("The bytes are not there.")
            async for piece in super().read(key):
                yield piece
            yield b"\n"

    moving = Moving(A=w3c(line(cat.object_key)), B=w3c(line(cat.object_key)))
    reasons = [report.reason for report in await counted(world, moving)]
    assert reasons == ["it is still being written", "it has gone meanwhile"]
    assert await number_of(world, AccessLogRow) == 0
    assert await traffic_of(world, cat) == {}


async def test_a_log_that_the_operating_system_refuses_holds_up_no_other(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))

    class Refusing(Shelf):
        async def read(self, key: str) -> AsyncGenerator[bytes, None]:
            if key.endswith(name("A")):
                raise UnreadableLog("it cannot be read: Permission denied")
            async for piece in super().read(key):
                yield piece

    reports = await counted(world, Refusing(A=log_of(line(cat.object_key)), B=log_of(line(cat.object_key))))
    assert [report.reason for report in reports] == ["it cannot be read: Permission denied", None]
    assert await traffic_of(world, cat) == {DAY: (1, 512)}


async def test_a_store_that_goes_away_ends_the_run_and_the_next_goes_on(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))

    class Failing(Shelf):
        is_up = False

        async def read(self, key: str) -> AsyncGenerator[bytes, None]:
            async for piece in super().read(key):
                yield piece
                if not self.is_up and key.endswith(name("B")):
                    raise Unavailable("store")

    shelf = Failing(**{unique: log_of(line(cat.object_key)) for unique in "ABC"})
    with pytest.raises(Unavailable):
        await counted(world, shelf)
    assert await traffic_of(world, cat) == {DAY: (1, 512)}
    shelf.is_up = True
    assert [report.fate for report in await counted(world, shelf)] == [LogFate.KNOWN, *[LogFate.COUNTED] * 2]
    assert await traffic_of(world, cat) == {DAY: (3, 1536)}


class Stop(Exception):
    """The process ends here."""


@contextmanager
def stopped_at(world: World, number: int) -> Iterator[None]:
    """The statement with this number, from 1, is not run, and nothing after it."""
    numbers = count(1)

    def stop(*_: object) -> None:
        if next(numbers) >= number:
            raise Stop

    engine = world.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", stop)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", stop)


async def test_a_run_that_is_stopped_at_any_statement_has_counted_whole_logs(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    shelf = Shelf(A=log_of(*[line(cat.object_key)] * 2))
    for number in count(1):
        with suppress(Stop), stopped_at(world, number):
            await counted(world, shelf)
            break
        assert (await number_of(world, AccessLogRow), await traffic_of(world, cat)) == (0, {})
    assert number == 7, "the list, the keys, the claim, the owners, the file and the user"
    assert await traffic_of(world, cat) == {DAY: (2, 1024)}


async def test_of_those_who_count_at_once_one_counts_each_log(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    files = [await filed(world, owner, f"file {number}") for number in range(4) for owner in (ada, bob)]
    lines = [line(file.object_key) for file in files]
    gate = asyncio.Barrier(3)

    class Meeting(Shelf):
        """All have read a log before any of them writes what it says."""

        async def read(self, key: str) -> AsyncGenerator[bytes, None]:
            async for piece in super().read(key):
                yield piece
            await gate.wait()

    shelf = Meeting(A=log_of(*lines), B=log_of(*reversed(lines)), C=log_of(*lines[3:], *lines[:3]))
    reports = await asyncio.gather(*(counted(world, shelf) for _ in range(3)))
    for of_one_log in zip(*reports, strict=True):
        assert sorted(report.fate for report in of_one_log) == [LogFate.COUNTED, LogFate.KNOWN, LogFate.KNOWN]
    for file in files:
        assert await traffic_of(world, file) == {DAY: (3, 1536)}
    assert await traffic_of_user(world, ada) == {DAY: (12, 12 * 512)}


async def test_those_who_count_different_logs_of_the_same_files_do_not_hinder_one_another(world: World) -> None:
    files = [await filed(world, await world.principal("ada"), f"file {number}") for number in range(5)]
    lines = [line(file.object_key) for file in files]
    shelves = [Shelf(**{f"{number}X{log}": log_of(*lines) for log in range(5)}) for number in range(4)]
    await asyncio.gather(*(counted(world, shelf) for shelf in shelves))
    for file in files:
        assert await traffic_of(world, file) == {DAY: (20, 20 * 512)}


async def test_a_file_that_is_deleted_takes_its_counts_along_and_its_owner_keeps_theirs(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada)
    await counted(world, Shelf(A=log_of(line(cat.object_key))))
    await world.services.files.delete(ada, [cat.id])
    [report] = await counted(world, Shelf(B=log_of(line(cat.object_key))))
    assert report.sums == Sums(requests=1, unknown=1)
    assert await number_of(world, FileTrafficRow) == 0
    assert await traffic_of_user(world, ada) == {DAY: (1, 512)}


async def test_a_file_that_is_deleted_while_its_log_is_read_is_left_out(world: World) -> None:
    ada = await world.principal("ada")
    cat, dog = await filed(world, ada, "cat"), await filed(world, ada, "dog")

    class Deleting(Shelf):
        async def read(self, key: str) -> AsyncGenerator[bytes, None]:
            yield self.files[key][:-1]
            # Both are known as files by now.
            await world.services.files.delete(ada, [cat.id])
            yield self.files[key][-1:]

    log = w3c(line(cat.object_key), line(dog.object_key), line("o/x"))
    [report] = await counted(world, Deleting(A=log), max_pending=2)
    assert report.sums == Sums(requests=3, downloads=1, delivered_bytes=512, unknown=2)
    assert await traffic_of_user(world, ada) == {DAY: (1, 512)}


async def test_sums_stop_where_their_readers_do(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    many = line(cat.object_key, sc_bytes=str(MAX_BYTES))
    async with world.database.transaction() as connection:
        row = {"file_id": cat.id, "day": DAY, "downloads": MAX_DOWNLOADS - 1, "delivered_bytes": 5}
        await connection.execute(insert(FileTrafficRow).values(row))
    for unique in "ABC":
        await counted(world, Shelf(**{unique: log_of(many, many)}))
    assert await traffic_of(world, cat) == {DAY: (MAX_DOWNLOADS, MAX_BYTES)}


def hostile(key: str) -> Iterable[dict[str, str]]:
    """Lines by which a viewer tries to get at the database, or to be counted as a file."""
    stems = [key + "%2500", "%2500", "%25ED%25A0%2580", "%252e%252e/" + key, "'; DROP TABLE files; --", "x" * 60_000]
    stems += [f"/{key}", f"{key}/", key.upper(), key + "%2520", key + "?", key + "\u0660"]
    yield from (line(stem) for stem in stems)
    yield line(key, cs_method="GET\0")


async def test_what_viewers_make_up_is_of_no_file(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    lines = list(hostile(cat.object_key))
    [report] = await counted(world, Shelf(A=log_of(*lines)))
    assert report.sums == Sums(requests=len(lines), delivered_bytes=512, unknown=len(lines) - 1)


async def test_nothing_of_a_link_is_kept(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    reports = await counted(world, Shelf(A=log_of(line(cat.object_key), line("o/x")), B=b"PAR1", C=b"#Fields: x\n"))
    async with world.database.autocommit() as connection:
        kept = [repr(row) for table in Base.metadata.sorted_tables for row in await connection.execute(select(table))]
    assert len(reports) == 3
    for secret in (SIGNATURE, "192.0.2.100"):
        assert secret not in repr(reports)
        assert not any(secret in row for row in kept)


async def test_a_few_keys_at_a_time_are_told_apart(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    lines = [each for number in range(7) for each in (line(f"o/{number}"), line(cat.object_key))]
    [report] = await counted(world, Shelf(A=log_of(*lines)), max_pending=3)
    assert report.sums == Sums(requests=14, downloads=7, delivered_bytes=7 * 512, unknown=7)
    assert await traffic_of(world, cat) == {DAY: (7, 7 * 512)}


async def test_files_and_days_of_one_log_are_bounded(world: World) -> None:
    ada = await world.principal("ada")
    files = [await filed(world, ada, f"file {number}") for number in range(3)]
    shelf = Shelf(A=log_of(*(line(file.object_key) for file in files)), B=log_of(*[line(files[0].object_key)] * 3))
    reports = await counted(world, shelf, max_pending=1, max_counted=2)
    assert [report.reason for report in reports] == ["it tells of more than 2 files and days", None]
    assert await traffic_of_user(world, ada) == {DAY: (3, 1536)}


async def test_what_can_be_no_key_is_neither_remembered_nor_looked_up(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    costs = []
    for unique, stems in (("A", []), ("B", ["x" * 1025, "%2500", "%25C3%25A9", ""])):
        shelf = Shelf(**{unique: log_of(line(cat.object_key), *map(line, stems))})
        with statements(world) as run:
            [report] = await counted(world, shelf, max_pending=2)
        assert report.sums == Sums(len(stems) + 1, 1, 512, unknown=len(stems))
        costs.append(len(run))
    assert costs[0] == costs[1]


class Endless:
    """One log of ``length`` lines, each for another key and but one in a thousand for none of ours."""

    def __init__(self, length: int, key: str) -> None:
        self._length = length
        self._key = key

    def _lines(self) -> Iterable[bytes]:
        yield f"#Fields: {' '.join(FIELDS)}\n".encode()
        for number in range(self._length):
            key = self._key if number % 1000 == 0 else new_object_key(START)
            yield f"2026-11-22\tGET\t/{key}\t200\t0000000512\t-\t-\n".encode()

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        size = sum(map(len, self._lines()))
        return [] if after else [ListedObject(name(), size, START - SETTLED)]

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        for each in self._lines():
            yield each


@pytest.mark.nightly
async def test_the_memory_of_a_long_log_is_bounded(world: World) -> None:
    cat = await filed(world, await world.principal("ada"))
    await counted(world, Shelf(A=log_of(line(cat.object_key))))  # whatever is made once
    peaks = []
    for length in (20_000, 100_000):
        tracemalloc.start()
        [report] = await counted(world, Endless(length, cat.object_key), max_pending=1_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.sums is not None
        assert (report.sums.downloads, report.sums.unknown) == (length // 1000, length - length // 1000)
        async with world.database.transaction() as connection:
            await connection.execute(delete(AccessLogRow))
    assert peaks[1] < 1.2 * peaks[0], peaks


async def test_a_folder_is_a_source(world: World, tmp_path: Path) -> None:
    cat = await filed(world, await world.principal("ada"))
    folder = tmp_path / "logs"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / name("A")).write_bytes(log_of(line(cat.object_key)))
    plain = folder / name("B").removesuffix(".gz")
    plain.write_bytes(w3c(line(cat.object_key)))
    os.utime(plain, times=((START - SETTLED).timestamp(),) * 2)
    (folder / f".{name('C')}.new").write_bytes(b"half")
    fates = sorted(report.fate for report in await counted(world, Directory(folder)))
    assert fates == [LogFate.COUNTED, LogFate.COUNTED, LogFate.FOREIGN]
    assert await traffic_of(world, cat) == {DAY: (2, 1024)}
