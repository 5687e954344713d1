"""What the CDN delivered: added to log by log, and read in spans of days."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, cast, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import (
    AccessLogRow,
    BundleEntryRow,
    FileRow,
    FileTrafficRow,
    FileVersionRow,
    PublicationRow,
    UserTrafficRow,
)
from graphql_api.model.ids import BUNDLE_PREFIX, FILE_PREFIX, FileId, UserId
from graphql_api.model.traffic import (
    MAX_BYTES,
    MAX_DOWNLOADS,
    TrafficBucket,
    TrafficInterval,
    TrafficOrder,
    TrafficSpan,
)

BATCH: Final = 1_000  # rows of one statement

Counts = tuple[int, int]  # downloads, bytes delivered


class ObjectOfFile(NamedTuple):
    """``is_main``: not one of the many entries of a bundle that follow when the first is opened."""

    file_id: FileId
    is_main: bool


_SIZES: Final = select(AccessLogRow.name, AccessLogRow.size).where(among(AccessLogRow.name, texts("names")))
_FILE_OF_ENTRY: Final = literal(FILE_PREFIX) + func.substr(BundleEntryRow.bundle_id, len(BUNDLE_PREFIX) + 1)
_IS_MAIN: Final = literal(True).label("is_main")
_FILES_OF_KEYS: Final = (
    select(FileVersionRow.object_key, FileVersionRow.file_id, _IS_MAIN)
    .where(among(FileVersionRow.object_key, texts("keys")))
    # A process of an earlier release writes down no version of what it makes.
    .union(
        select(FileRow.object_key, FileRow.id, _IS_MAIN).where(among(FileRow.object_key, texts("keys"))),
        select(BundleEntryRow.object_key, FileRow.id, BundleEntryRow.object_key == FileRow.object_key)
        .join(FileRow, FileRow.id == _FILE_OF_ENTRY)
        .where(among(BundleEntryRow.object_key, texts("keys"))),
        select(PublicationRow.object_key, PublicationRow.file_id, _IS_MAIN).where(
            among(PublicationRow.object_key, texts("keys"))
        ),
    )
)
_OWNERS: Final = (
    select(FileRow.id, FileRow.owner_id)
    .where(among(FileRow.id, texts("ids")))
    .order_by(FileRow.id)
    .with_for_update(read=True, key_share=True)
)
_OF_FILES: Final = (
    select(FileTrafficRow.file_id, FileTrafficRow.day, FileTrafficRow.downloads, FileTrafficRow.delivered_bytes)
    .where(
        among(FileTrafficRow.file_id, texts("ids")),
        FileTrafficRow.day >= bindparam("since", type_=FileTrafficRow.day.type),
        FileTrafficRow.day < bindparam("until", type_=FileTrafficRow.day.type),
    )
    .order_by(FileTrafficRow.file_id, FileTrafficRow.day)
)


async def find_counted_logs(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, int]:
    """Those of ``names`` that have been counted, with the size (bytes) of each."""
    rows = await connection.execute(_SIZES, {"names": list(names)})
    return {row.name: row.size for row in rows}


async def claim_log(connection: AsyncConnection, name: str, size: int, now: datetime) -> bool:
    """Whether it is ours to count, in this transaction. Waits for whoever else is about to."""
    statement = insert_unless_taken(connection, AccessLogRow).values(name=name, size=size, counted_at=now)
    return (await connection.execute(statement.returning(AccessLogRow.name))).first() is not None


async def find_files_of_keys(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, ObjectOfFile]:
    """Whose object each of ``keys`` is, if it is anybody's. The keys are printable ASCII."""
    rows = await connection.execute(_FILES_OF_KEYS, {"keys": list(keys)})
    return {row.object_key: ObjectOfFile(FileId(row.file_id), bool(row.is_main)) for row in rows}


async def add_traffic(connection: AsyncConnection, counted: Mapping[tuple[FileId, date], Counts]) -> Collection[FileId]:
    """Add to what files, and their owners, have on these days; which files are still there to be added to.

    Locks and rows are taken in order of id, so that two who count at once wait and do not deadlock.
    """
    owners: dict[FileId, UserId] = {}
    ids = sorted({file_id for file_id, _ in counted})
    for start in range(0, len(ids), BATCH):
        rows = await connection.execute(_OWNERS, {"ids": ids[start : start + BATCH]})
        owners |= {FileId(row.id): UserId(row.owner_id) for row in rows}
    of_users: dict[tuple[UserId, date], Counts] = {}
    for (file_id, day), (downloads, delivered) in counted.items():
        if file_id not in owners:
            continue
        before = of_users.get((owners[file_id], day), (0, 0))
        of_users[owners[file_id], day] = (before[0] + downloads, before[1] + delivered)
    of_files = sorted(key for key in counted if key[0] in owners)
    await _add(connection, FileTrafficRow, FileTrafficRow.file_id, of_files, counted)
    await _add(connection, UserTrafficRow, UserTrafficRow.user_id, sorted(of_users), of_users)
    return owners.keys()


async def list_traffic_of_files(
    connection: AsyncConnection, ids: Collection[FileId], span: TrafficSpan
) -> Mapping[FileId, Sequence[TrafficBucket]]:
    """Of those of ``ids`` that have any, in order of time. Authorised by nobody."""
    rows = await connection.execute(_OF_FILES, {"ids": list(ids), "since": span.since, "until": span.until})
    found: dict[FileId, list[Any]] = {}
    for file_id, *counts in rows:
        found.setdefault(FileId(file_id), []).append(counts)
    return {file_id: _buckets(days, span) for file_id, days in found.items()}


async def list_traffic_of_user(
    connection: AsyncConnection, user_id: UserId, span: TrafficSpan
) -> Sequence[TrafficBucket]:
    """In order of time."""
    statement = (
        select(UserTrafficRow.day, UserTrafficRow.downloads, UserTrafficRow.delivered_bytes)
        .where(UserTrafficRow.user_id == user_id, UserTrafficRow.day >= span.since, UserTrafficRow.day < span.until)
        .order_by(UserTrafficRow.day)
    )
    return _buckets(await connection.execute(statement), span)


async def list_busiest(
    connection: AsyncConnection,
    span: TrafficSpan,
    order: TrafficOrder,
    limit: int,
    owner_id: UserId | None = None,
    *,
    skipped: int = 0,
) -> Mapping[FileId, Counts]:
    """The files, of this owner if one is given, that have most in ``span``, the busiest first, without the first
    ``skipped``. Authorised by nobody.
    """
    downloads = cast(func.sum(FileTrafficRow.downloads), BigInteger)
    delivered = cast(func.sum(FileTrafficRow.delivered_bytes), BigInteger)  # at most 366 times MAX_BYTES
    by = {TrafficOrder.DOWNLOADS: downloads, TrafficOrder.DELIVERED_BYTES: delivered}[order]
    statement = select(FileTrafficRow.file_id, downloads, delivered)
    if owner_id is not None:
        statement = statement.join(FileRow, FileRow.id == FileTrafficRow.file_id).where(FileRow.owner_id == owner_id)
    statement = statement.where(FileTrafficRow.day >= span.since, FileTrafficRow.day < span.until)
    statement = statement.group_by(FileTrafficRow.file_id).having(by > 0)
    statement = statement.order_by(by.desc(), FileTrafficRow.file_id).limit(limit).offset(skipped)
    rows = await connection.execute(statement)
    return {FileId(row[0]): (min(row[1], MAX_DOWNLOADS), min(row[2], MAX_BYTES)) for row in rows}


async def _add(
    connection: AsyncConnection,
    row: type[FileTrafficRow] | type[UserTrafficRow],
    key: Any,
    order: Sequence[tuple[Any, date]],
    counted: Mapping[Any, Counts],
) -> None:
    """The values are made batch by batch: all at once they would be most of what a long log takes."""
    new = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(row)
    statement = new.on_conflict_do_update(
        index_elements=[key, row.day],
        set_={
            "downloads": _sum(row.downloads, new.excluded.downloads, MAX_DOWNLOADS),
            "delivered_bytes": _sum(row.delivered_bytes, new.excluded.delivered_bytes, MAX_BYTES),
        },
    )
    for start in range(0, len(order), BATCH):
        values = [
            {
                key.key: id_,
                "day": day,
                "downloads": min(counted[id_, day][0], MAX_DOWNLOADS),
                "delivered_bytes": min(counted[id_, day][1], MAX_BYTES),
            }
            for id_, day in order[start : start + BATCH]
        ]
        await connection.execute(statement, values)


def _sum(old: Any, new: Any, most: int) -> Any:
    """At most ``most``, as both are."""
    return case((old + new > most, most), else_=old + new)


def _buckets(days: Any, span: TrafficSpan) -> list[TrafficBucket]:
    sums: dict[date, list[int]] = {}
    for day, downloads, delivered in days:
        starts_on = day.replace(day=1) if span.interval is TrafficInterval.MONTH else day
        counts = sums.setdefault(starts_on, [0, 0])
        counts[0] += downloads
        counts[1] += delivered
    return [
        TrafficBucket(starts_on, min(downloads, MAX_DOWNLOADS), min(delivered, MAX_BYTES))
        for starts_on, (downloads, delivered) in sums.items()
    ]
