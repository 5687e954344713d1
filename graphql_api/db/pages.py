"""The statements that lists of files run; each is built once and found again by its shape."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select, true

from graphql_api.db import candidates
from graphql_api.db.candidates import KEYS, Rows, Sources, Walk, literal
from graphql_api.db.filters import conditions
from graphql_api.db.judging import Tests, passes, passes_unsure
from graphql_api.db.scopes import SCOPES
from graphql_api.db.tables import FileRow
from graphql_api.model.listing import FileOrderField
from graphql_api.model.page import MAX_COUNTED

COLUMNS: Final[tuple[Any, ...]] = (
    FileRow.id,
    FileRow.folder_id,
    FileRow.owner_id,
    FileRow.name,
    FileRow.size,
    FileRow.content_type,
    FileRow.stored_content_type,
    FileRow.sha256,
    FileRow.object_key,
    FileRow.created_at,
    FileRow.updated_at,
    FileRow.altered_at,
    FileRow.infected_at,
)
Statement = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Shape:
    """All that changes the text of a list's statements; values come as parameters."""

    walk: Walk
    sources: Sources
    tests: Tests
    in_folder: bool  # files directly in ``:folder_id`` only
    with_scopes: bool  # after the columns of each file

    @property
    def columns(self) -> tuple[Any, ...]:
        return (*COLUMNS, SCOPES.label("scopes")) if self.with_scopes else COLUMNS

    @property
    def is_table(self) -> bool:
        """Whether an index of the files themselves has them in the wanted order."""
        return self.sources.is_everything or self.in_folder or self.walk.field is not FileOrderField.CREATED_AT

    @property
    def trusts_folders(self) -> bool:
        """Whether what comes from the plan's folders needs no test of its scopes."""
        return not self.is_table and not self.tests.has_denied and not self.tests.has_labels

    def conditions(self) -> list[ColumnElement[bool]]:
        here = FileRow.folder_id == bindparam("folder_id", type_=FileRow.folder_id.type)
        return [*conditions(self.walk.filters), *([here] if self.in_folder else [])]


@lru_cache(maxsize=256)
def flat_page(shape: Shape, size: int) -> Statement:
    """The next ``size`` files of a stream of which nothing has to be tested."""
    walk = shape.walk
    key = KEYS[walk.field]
    if shape.is_table:
        statement = select(*shape.columns).where(*walk.ahead(key, FileRow.id))
        if shape.in_folder:
            statement = statement.where(FileRow.folder_id == bindparam("folder_id", type_=FileRow.folder_id.type))
        return statement.order_by(*walk.ordered(key, FileRow.id)).limit(literal(size))
    next_ = candidates.merged_stream(shape.sources, walk, size).subquery("next")
    order = walk.ordered(next_.c.key, next_.c.id)
    if walk.is_sqlite:
        return select(*shape.columns).join(next_, next_.c.id == FileRow.id).order_by(*order)
    # Each is looked up: a join could be planned as one that reads all files there are.
    each = select(*shape.columns).where(FileRow.id == next_.c.id).limit(literal(1)).correlate(next_).lateral()
    return select(*each.c).select_from(next_.join(each, true())).order_by(*order)


@lru_cache(maxsize=256)
def searched_page(shape: Shape, size: int) -> Statement:
    """Looks at the next ``size`` candidates. Each row: key and id of the last of them, how many there were, and a file
    that passes; or nothing but that, when none does; or no row, when there is no candidate.
    """
    walk = shape.walk
    if shape.is_table:
        in_order = shape.in_folder and walk.field is not FileOrderField.SIZE
        stream = candidates.table_stream(walk, size, in_folder=in_order)
    else:
        stream = candidates.merged_stream(shape.sources, walk, size, tells_sure=shape.trusts_folders)
    seen = stream.cte("seen")
    number = select(func.count()).select_from(seen).scalar_subquery()
    back = [seen.c.key.asc(), seen.c.id.asc()] if walk.goes_down else [seen.c.key.desc(), seen.c.id.desc()]
    last = select(seen.c.key, seen.c.id, number.label("number")).order_by(*back).limit(literal(1)).subquery("last")
    judged = (seen, passes_unsure(shape.tests, seen)) if shape.trusts_folders else _judged(shape, seen)
    found = _passing(shape, judged).subquery("found")
    *columns, key = found.c
    return (
        select(last.c.key, last.c.id, last.c.number, *columns)
        .select_from(last.outerjoin(found, true()))
        .order_by(*walk.ordered(key, found.c.id))
    )


@lru_cache(maxsize=256)
def sorted_page(shape: Shape, seed: str, size: int) -> Statement:
    """The next files of a set of at most ``size`` rows, all of which are tested and sorted; each with its key last."""
    few = select(_set(shape, seed, size).subquery().c.id).distinct().cte("few")
    return _passing(shape, _judged(shape, few), *shape.walk.after(KEYS[shape.walk.field], FileRow.id))


@lru_cache(maxsize=256)
def set_sizes(shape: Shape, seeds: tuple[str, ...], size: int) -> Statement:
    """How many rows each of the sets has, counted up to ``size``."""
    sets = (_set(shape, seed, size).subquery() for seed in seeds)
    return select(*(select(func.count()).select_from(rows).scalar_subquery() for rows in sets))


@lru_cache(maxsize=256)
def counted(shape: Shape, seed: str, size: int, *, is_tested: bool) -> Statement:
    """How many rows of the set were looked at, ``size`` at most, and how many files among them pass."""
    rows = _set(shape, seed, size).cte("looked_at")
    few = select(rows.c.id).distinct().cte("few")
    passing = few
    if is_tested and (shape.conditions() or shape.tests.needs_rows):
        passing = _passing(shape, _judged(shape, few), limit=literal(MAX_COUNTED + 1)).cte("passing")
    elif is_tested:
        joined, is_passed = _judged(shape, few)
        passing = select(joined.c.id).where(is_passed).cte("passing")
    return select(
        select(func.count()).select_from(rows).scalar_subquery(),
        select(func.count()).select_from(passing).scalar_subquery(),
    )


Judged = tuple[Any, ColumnElement[bool]]  # candidates, and the condition on which one is shown


def _judged(shape: Shape, some: Any) -> Judged:
    return passes(shape.tests, some, is_sqlite=shape.walk.is_sqlite)


def _passing(shape: Shape, judged: Judged, *more: ColumnElement[bool], limit: Any = None) -> Statement:
    """The candidates that pass, as files in order, each with its key last."""
    walk = shape.walk
    joined, is_passed = judged
    key = KEYS[walk.field]
    columns = (*shape.columns, key.label("sort_key"))
    files = select(*columns).where(is_passed, *shape.conditions(), *more)
    limit = bindparam("page_size") if limit is None else limit
    if walk.is_sqlite:
        files = files.join(joined, joined.c.id == FileRow.id)
        return files.order_by(*walk.ordered(key, FileRow.id)).limit(limit)
    # Each candidate is looked up, as above.
    each = files.where(FileRow.id == joined.c.id).limit(literal(1)).correlate(joined).lateral()
    found = select(*each.c).select_from(joined.join(each, true()))
    return found.order_by(*walk.ordered(each.c.sort_key, each.c.id)).limit(limit)


def _set(shape: Shape, seed: str, size: int) -> Rows:
    """``seed``: "visible", "folder", "prefix", "word" with a number after a space, or a parameter that is a scope."""
    match seed.split():
        case ["visible"]:
            return candidates.visible_set(shape.sources, shape.walk.is_sqlite, size)
        case ["folder"]:
            return candidates.folder_set(size)
        case ["prefix"]:
            return candidates.prefix_set(size)
        case ["word", number]:
            return candidates.word_set(int(number), size)
        case _:
            return candidates.scope_set(seed, size)
