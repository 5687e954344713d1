"""Revoked links: what has which number, and what the edge's store has been told of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.among import among, texts
from graphql_api.db.tables import (
    FileRow,
    FileScopeRow,
    FolderRow,
    LinkRevocationRow,
    RecentMoveRow,
    RevocationCounterRow,
)
from graphql_api.model.revocation import FOLDERS_NAMED, LinkRevocation
from graphql_api.model.rule import ROOT, is_folder

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
    counted_for: str | None,
) -> None:
    """``target`` and all ``relays`` have this number, which the edge's store has to be told. They count in the share of
    ``counted_for``, whoever revoked them before.
    """
    values = {"number": number, "now": now, "links_end_by": links_end_by, "counted_for": counted_for}
    statement = _PUT_SQLITE if _is_sqlite(connection) else _PUT_POSTGRESQL
    if relays:
        brought = {"targets": sorted(relays), "is_relay": True, "has_relays": False}
        await connection.execute(statement, values | brought)
    own = {"targets": [target], "is_relay": False, "has_relays": bool(relays)}
    await connection.execute(statement, values | own)


def _put(insert: Any, targets: Any) -> Any:
    """One statement, however many ``targets`` there are: whoever else revokes waits for it."""
    number, now = bindparam("number", type_=BigInteger), bindparam("now", type_=_ROW.revoked_at.type)
    statement = insert.from_select(
        [
            *("target", "number", "place", "is_relay", "has_relays"),
            *("revoked_at", "links_end_by", "confirmed_at", "counted_for"),
        ],
        select(
            targets,
            number,
            number,
            bindparam("is_relay", type_=Boolean),
            bindparam("has_relays", type_=Boolean),
            now,
            bindparam("links_end_by", type_=_ROW.links_end_by.type),
            cast(null(), _ROW.confirmed_at.type),
            bindparam("counted_for", type_=_ROW.counted_for.type),
        ).where(true()),
    )
    new = insert.excluded
    is_untold = _ROW.told_number < _ROW.number
    is_waiting = _ROW.confirmed_at.is_(None)
    return statement.on_conflict_do_update(
        index_elements=[_ROW.target],
        set_={
            "number": new.number,
            # It keeps its place: who revokes it again and again moves neither it nor others back.
            "place": case((is_untold, _ROW.place), else_=new.place),
            # A relay that was not told yet stays one: another revocation may wait for it.
            "is_relay": or_(new.is_relay, and_(_ROW.is_relay, is_untold)),
            "has_relays": or_(new.has_relays, and_(_ROW.has_relays, is_waiting)),
            "revoked_at": new.revoked_at,
            "links_end_by": case((new.links_end_by > _ROW.links_end_by, new.links_end_by), else_=_ROW.links_end_by),
            "confirmed_at": None,
            "counted_for": new.counted_for,
        },
    )


_ROW: Final[Any] = LinkRevocationRow.__table__.c
_PUT_SQLITE: Final = _put(
    sqlite.insert(LinkRevocationRow), func.json_each(texts("targets")).table_valued("value").c.value
)
_PUT_POSTGRESQL: Final = _put(postgresql.insert(LinkRevocationRow), func.unnest(texts("targets")).column_valued())


class InForce(NamedTuple):
    """How many things have a number: in all, in anybody's share, and in one person's."""

    everybody: int
    people: int
    person: int


async def count_in_force(connection: AsyncConnection, person: str | None) -> InForce:
    """``person``: whose; None: administrators'."""
    counted_for = LinkRevocationRow.counted_for
    theirs = func.count(case((counted_for == person, 1)))
    counts = select(func.count(), func.count(counted_for), theirs).select_from(LinkRevocationRow)
    return InForce(*(await connection.execute(counts)).one())


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


def _below(folders: ColumnElement[bool]) -> Any:
    """These folders and all below, with how far below."""
    below = select(FolderRow.id, literal(0).label("depth")).where(folders).cte("below", recursive=True)
    lower = aliased(FolderRow)
    return below.union_all(select(lower.id, below.c.depth + 1).where(lower.parent_id == below.c.id))


def _relays() -> Any:
    below = _below(among(FolderRow.id, texts("folders")))
    return select(below.c.id).where(below.c.depth % FOLDERS_NAMED == 0).distinct()


def _moved_folders() -> Any:
    below = _below(FolderRow.id == bindparam("folder_id"))
    return select(below.c.id).where(below.c.id == RecentMoveRow.entry_id)


_RELAYS: Final = _relays()
_MOVED_FOLDERS: Final = _moved_folders()
_MOVED_FILES: Final = select(RecentMoveRow.entry_id).where(
    RecentMoveRow.entry_id == FileScopeRow.file_id, FileScopeRow.scope == bindparam("folder_id")
)
_ALL_MOVED_FILES: Final = select(RecentMoveRow.entry_id).where(RecentMoveRow.entry_id == FileRow.id)


async def list_relays(connection: AsyncConnection, folder_id: str, *, most: int) -> set[str]:
    """What has to be revoked with the folder so that every link to what is below now is reached: every
    ``FOLDERS_NAMED``-th level of folders, and what was moved while links from before live, with its own such levels.
    If there are more than ``most``, it may not be all.
    """
    its = {"folder_id": folder_id}
    files = _ALL_MOVED_FILES if folder_id == ROOT else _MOVED_FILES
    found = set(await connection.scalars(files.limit(most + 1), its))
    tops = {folder_id, *await connection.scalars(_MOVED_FOLDERS.limit(most + 1), its)}
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


async def list_untold(connection: AsyncConnection, *, limit: int) -> Sequence[tuple[str, int]]:
    """Targets and numbers of which the edge's store has not been told: of each person's in turn the one that has waited
    for longest, relays first. So nobody's wait is longer for how many somebody else has.
    """
    in_turn = (LinkRevocationRow.place, LinkRevocationRow.is_relay.desc(), LinkRevocationRow.target)
    turn = func.row_number().over(partition_by=LinkRevocationRow.counted_for, order_by=in_turn)
    statement = (
        select(LinkRevocationRow.target, LinkRevocationRow.number)
        .where(_IS_UNTOLD)
        .order_by(turn, *in_turn)
        .limit(limit)
    )
    return [(target, number) for target, number in await connection.execute(statement)]


async def has_untold(connection: AsyncConnection) -> bool:
    return await connection.scalar(select(literal(1)).where(_IS_UNTOLD).limit(1)) is not None


async def confirm(connection: AsyncConnection, told: Sequence[tuple[str, int]], *, now: datetime) -> None:
    """The edge's store has these; what has a larger number meanwhile is to be told again, behind all others. What has
    relays is confirmed when all that there were until then have been told.
    """
    as_told = update(LinkRevocationRow).where(_is_one_of(told))
    await connection.execute(as_told.values(told_number=LinkRevocationRow.number))
    anew = update(LinkRevocationRow).where(LinkRevocationRow.target.in_([target for target, _ in told]), _IS_UNTOLD)
    await connection.execute(anew.values(place=LinkRevocationRow.number))
    other = aliased(LinkRevocationRow)
    first_relay = select(func.min(other.place)).where(other.told_number < other.number, other.is_relay)
    is_reached = LinkRevocationRow.number < func.coalesce(first_relay.scalar_subquery(), LinkRevocationRow.number + 1)
    is_told = and_(LinkRevocationRow.confirmed_at.is_(None), LinkRevocationRow.told_number == LinkRevocationRow.number)
    confirmed = update(LinkRevocationRow).where(is_told, or_(not_(LinkRevocationRow.has_relays), is_reached))
    await connection.execute(confirmed.values(confirmed_at=now))


_IS_UNTOLD: Final = LinkRevocationRow.told_number < LinkRevocationRow.number


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
