"""Revoked links: what has which number, and what the edge's store has been told of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, delete, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.among import among, texts
from graphql_api.db.scopes import scopes_of_files
from graphql_api.db.tables import (
    FolderRow,
    LinkRevocationRow,
    RecentMoveRow,
    RevocationCounterRow,
)
from graphql_api.model.ids import FileId
from graphql_api.model.revocation import FOLDERS_NAMED, LinkRevocation
from graphql_api.model.rule import is_file, is_folder

_COLUMNS: Final = (
    LinkRevocationRow.target,
    LinkRevocationRow.number,
    LinkRevocationRow.revoked_at,
    LinkRevocationRow.links_end_by,
    LinkRevocationRow.confirmed_at,
)


async def next_number(connection: AsyncConnection) -> int:
    """Larger than all before. Nobody else gets one before the transaction ends, so they are committed in order."""
    statement = update(RevocationCounterRow).values(number=RevocationCounterRow.number + 1)
    number: int | None = await connection.scalar(statement.returning(RevocationCounterRow.number))
    assert number is not None, "the migration makes the row"
    return number


async def hold_counter(connection: AsyncConnection) -> None:
    """To be done before rows are changed without a number: whoever changes some waits for whoever else does."""
    await connection.execute(select(RevocationCounterRow.number).with_for_update())


async def put_revocations(
    connection: AsyncConnection,
    target: str,
    relays: Collection[str],
    *,
    number: int,
    now: datetime,
    links_end_by: datetime,
) -> None:
    """``target`` and all ``relays`` have this number, which the edge's store has to be told."""
    insert = sqlite.insert(LinkRevocationRow) if _is_sqlite(connection) else postgresql.insert(LinkRevocationRow)
    new = insert.excluded
    # A relay that was not told yet stays one: another revocation may wait for it to be confirmed.
    was_waiting = and_(LinkRevocationRow.is_relay, LinkRevocationRow.confirmed_at.is_(None))
    later = case((new.links_end_by > LinkRevocationRow.links_end_by, new.links_end_by), else_=_END)
    statement = insert.on_conflict_do_update(
        index_elements=[LinkRevocationRow.target],
        set_={
            "number": new.number,
            "is_relay": or_(new.is_relay, was_waiting),
            "revoked_at": new.revoked_at,
            "links_end_by": later,
            "confirmed_at": None,
        },
    )
    rows = [
        {
            "target": each,
            "number": number,
            "is_relay": each != target,
            "revoked_at": now,
            "links_end_by": links_end_by,
            "confirmed_at": None,
        }
        for each in sorted({target, *relays})
    ]
    await connection.execute(statement, rows)


_END: Final = LinkRevocationRow.links_end_by


async def count_in_force(connection: AsyncConnection, *, most: int) -> int:
    """How many things have a number, counted up to ``most``."""
    some = select(LinkRevocationRow.target).limit(most).subquery()
    return await connection.scalar(select(func.count()).select_from(some)) or 0


async def find_revocations(connection: AsyncConnection, targets: Collection[str]) -> Mapping[str, LinkRevocation]:
    """The last one of each of ``targets`` that has any in force."""
    rows = await connection.execute(_FIND, {"targets": list(targets)})
    return {row.target: _noun(row) for row in rows}


def _noun(row: Any) -> LinkRevocation:
    return LinkRevocation(*row)


_FIND: Final = select(*_COLUMNS).where(among(LinkRevocationRow.target, texts("targets")))


def _numbers() -> Any:
    start = select(FolderRow.id.label("start_id"), FolderRow.parent_id, FolderRow.id, literal(0).label("height"))
    above = start.where(among(FolderRow.id, texts("folders"))).cte("above", recursive=True)
    upper = aliased(FolderRow)
    above = above.union_all(
        select(above.c.start_id, upper.parent_id, upper.id, above.c.height + 1).where(upper.id == above.c.parent_id)
    )
    folders = select(above.c.start_id, above.c.id, above.c.height, LinkRevocationRow.number).select_from(
        above.outerjoin(LinkRevocationRow, LinkRevocationRow.target == above.c.id)
    )
    others = select(LinkRevocationRow.target, LinkRevocationRow.target, literal(0), LinkRevocationRow.number).where(
        among(LinkRevocationRow.target, texts("others"))
    )
    return folders.union_all(others)


_NUMBERS: Final = _numbers()


async def find_numbers(
    connection: AsyncConnection, folders: Collection[str], others: Collection[str]
) -> tuple[Mapping[str, Sequence[str]], Mapping[str, int]]:
    """For each of ``folders``: itself and the folders above, the root last. And the numbers of all these and of
    ``others``, as far as they have any. One statement, so that a page costs one.
    """
    chains: dict[str, list[tuple[int, str]]] = {}
    numbers: dict[str, int] = {}
    for start_id, id_, height, number in await connection.execute(
        _NUMBERS, {"folders": list(folders), "others": list(others)}
    ):
        if number is not None:
            numbers[id_] = number
        if is_folder(id_):
            chains.setdefault(start_id, []).append((height, id_))
    return {start_id: [id_ for _, id_ in sorted(chain)] for start_id, chain in chains.items()}, numbers


def _relays() -> Any:
    start = select(FolderRow.id, literal(0).label("depth")).where(among(FolderRow.id, texts("folders")))
    below = start.cte("below", recursive=True)
    lower = aliased(FolderRow)
    below = below.union_all(select(lower.id, below.c.depth + 1).where(lower.parent_id == below.c.id))
    return select(below.c.id).where(below.c.depth % FOLDERS_NAMED == 0).distinct()


_RELAYS: Final = _relays()


async def list_relays(connection: AsyncConnection, folder_id: str, *, most: int) -> set[str]:
    """What has to be revoked with the folder so that every link to what is below now is reached: every
    ``FOLDERS_NAMED``-th level of folders, and what was moved while links from before live, with its own such levels.
    If there are more than ``most``, it may not be all.
    """
    moved = [str(id_) for id_ in await connection.scalars(select(RecentMoveRow.entry_id))]
    files = [FileId(id_) for id_ in moved if is_file(id_)]
    folders = [id_ for id_ in moved if is_folder(id_)]
    scopes = await scopes_of_files(connection, files) if files else {}
    found = {str(id_) for id_, its_scopes in scopes.items() if folder_id in its_scopes}
    chains, _ = await find_numbers(connection, folders, []) if folders else ({}, {})
    tops = {folder_id, *(id_ for id_, chain in chains.items() if folder_id in chain)}
    found |= set(await connection.scalars(_RELAYS.limit(most + 2), {"folders": list(tops)}))
    return found - {folder_id}


async def note_move(connection: AsyncConnection, entry_id: str, *, now: datetime) -> None:
    """Part of the transaction that moves a file or folder."""
    insert = sqlite.insert(RecentMoveRow) if _is_sqlite(connection) else postgresql.insert(RecentMoveRow)
    statement = insert.values(entry_id=entry_id, moved_at=now)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[RecentMoveRow.entry_id], set_={"moved_at": statement.excluded.moved_at}
        )
    )


async def forget_moves(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Of which no link from before is alive; how many went."""
    old = select(RecentMoveRow.entry_id).where(RecentMoveRow.moved_at < before).limit(limit)
    statement = delete(RecentMoveRow).where(RecentMoveRow.entry_id.in_(old), RecentMoveRow.moved_at < before)
    return (await connection.execute(statement)).rowcount


async def list_unconfirmed(connection: AsyncConnection, *, limit: int) -> Sequence[tuple[str, int]]:
    """Targets and numbers of which the edge's store has not been told: relays first, then in order."""
    statement = (
        select(LinkRevocationRow.target, LinkRevocationRow.number)
        .where(LinkRevocationRow.confirmed_at.is_(None))
        .order_by(LinkRevocationRow.is_relay.desc(), LinkRevocationRow.number, LinkRevocationRow.target)
        .limit(limit)
    )
    return [(target, number) for target, number in await connection.execute(statement)]


async def has_unconfirmed(connection: AsyncConnection) -> bool:
    statement = select(literal(1)).where(LinkRevocationRow.confirmed_at.is_(None)).limit(1)
    return await connection.scalar(statement) is not None


async def confirm(connection: AsyncConnection, told: Sequence[tuple[str, int]], *, now: datetime) -> None:
    """The edge's store has these; what has a larger number meanwhile is still to be told."""
    statement = update(LinkRevocationRow).where(_is_one_of(told), LinkRevocationRow.confirmed_at.is_(None))
    await connection.execute(statement.values(confirmed_at=now))


async def list_ended(connection: AsyncConnection, *, now: datetime, limit: int) -> Sequence[tuple[str, int]]:
    """Targets and numbers whose last link from before has ended by itself."""
    statement = (
        select(LinkRevocationRow.target, LinkRevocationRow.number)
        .where(LinkRevocationRow.links_end_by < now)
        .order_by(LinkRevocationRow.links_end_by)
        .limit(limit)
    )
    return [(target, number) for target, number in await connection.execute(statement)]


async def forget(connection: AsyncConnection, ended: Sequence[tuple[str, int]]) -> None:
    """The edge's store has these no longer; what has a larger number meanwhile stays."""
    await connection.execute(delete(LinkRevocationRow).where(_is_one_of(ended)))


def _is_one_of(pairs: Sequence[tuple[str, int]]) -> ColumnElement[bool]:
    return tuple_(LinkRevocationRow.target, LinkRevocationRow.number).in_(pairs)


def _is_sqlite(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "sqlite"
