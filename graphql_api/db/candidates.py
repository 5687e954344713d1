"""Where the files are that a list may show: streams of candidates in an order, and sets of them.

A stream walks one index, or merges many: the newest of each scope, cut to the newest of all. PostgreSQL reads a few of
each scope with LATERAL. SQLite has none: there a scope is read down to its n-th row, which a scalar subquery finds. Of
many scopes the newest few files of each are looked at first, twice as many in all as are wanted; the n-th newest of
these is where the wanted n can end, so that most scopes are never opened, and none is read for long.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import aliased

from graphql_api.access.plan import ReadPlan
from graphql_api.db.among import among, texts
from graphql_api.db.filters import FilterShape, bounds
from graphql_api.db.keyset import SEEK_ID, SEEK_KEY
from graphql_api.db.tables import FileRow, FileScopeRow, FileWordRow
from graphql_api.model.listing import FileOrderField
from graphql_api.model.rule import ROOT

Rows = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
KEYS: Final = {
    FileOrderField.CREATED_AT: FileRow.created_at,
    FileOrderField.NAME: FileRow.name_key,
    FileOrderField.SIZE: FileRow.size,
}


@dataclass(frozen=True)
class Sources:
    """Of what kinds a plan's scopes are: what changes the text of a statement about them.

    ``many``: the power of two up to the number of scopes, when there are many; else 0.
    """

    is_everything: bool
    has_scopes: bool
    many: int
    has_direct: bool
    has_files: bool


def sources_of(plan: ReadPlan, *, many: int) -> Sources:
    """``many``: of more scopes than this the newest files are looked at before any is opened."""
    number = len(plan.folders) + len(plan.loose)
    return Sources(
        is_everything=ROOT in plan.folders,
        has_scopes=bool(plan.folders or plan.loose),
        many=1 << number.bit_length() - 1 if number > many else 0,
        has_direct=bool(plan.direct),
        has_files=bool(plan.files),
    )


def source_parameters(plan: ReadPlan) -> dict[str, object]:
    return {"scopes": [*plan.folders, *plan.loose], "direct": plan.direct, "files": plan.files}


@dataclass(frozen=True)
class Walk:
    """One direction through one order, from a cursor or an end of it."""

    is_sqlite: bool
    field: FileOrderField
    goes_down: bool
    has_cursor: bool
    filters: FilterShape

    def ordered(self, key: Any, id_: Any) -> list[Any]:
        return [column.desc() if self.goes_down else column.asc() for column in (key, id_)]

    def after(self, key: Any, id_: Any) -> list[Any]:
        """The conditions on what is not yet passed."""
        if not self.has_cursor:
            return []
        there = tuple_(bindparam(SEEK_KEY, type_=key.type), bindparam(SEEK_ID, type_=id_.type))
        return [tuple_(key, id_) < there if self.goes_down else tuple_(key, id_) > there]

    def ahead(self, key: Any, id_: Any) -> list[Any]:
        """The same, and within the bounds of the filter."""
        return [*bounds(self.filters, self.field, key), *self.after(key, id_)]


def table_stream(walk: Walk, size: int, *, in_folder: bool) -> Rows:
    """``id`` and ``key`` of the next ``size`` of all files, or of those directly in ``:folder_id``."""
    key = KEYS[walk.field]
    statement = select(FileRow.id, key.label("key")).where(*walk.ahead(key, FileRow.id))
    if in_folder:
        statement = statement.where(FileRow.folder_id == bindparam("folder_id", type_=FileRow.folder_id.type))
    return statement.order_by(*walk.ordered(key, FileRow.id)).limit(literal(size))


def merged_stream(sources: Sources, walk: Walk, size: int, *, tells_sure: bool = False) -> Rows:
    """``id`` and ``key`` of the next ``size`` files of ``sources`` in order of creation, each once; and whether they
    are ``sure``: are in one of the plan's folders, and not only in its ``:loose`` scopes or among its files.
    """
    branches: list[Any] = []
    lowest = None
    if sources.has_scopes:
        opened = values("scopes", walk.is_sqlite)
        if sources.many:
            heads = _each(walk, opened, _SCOPES, -(-2 * size // sources.many)).cte("heads")
            lowest = _nth(walk, heads, size)
            opened = select(heads.c.value).distinct().where(_reaches(walk, heads.c.key, lowest)).subquery("opened")
        branches.append(_each(walk, opened, _SCOPES, size, lowest))
    if sources.has_direct:
        branches.append(_each(walk, values("direct", walk.is_sqlite), _FOLDERS, size, lowest))
    if sources.has_files:
        single = among(FileRow.id, texts("files"))
        chosen = select(FileRow.id, FileRow.created_at.label("key")).where(
            single, *walk.ahead(FileRow.created_at, FileRow.id)
        )
        branches.append(chosen.order_by(*walk.ordered(FileRow.created_at, FileRow.id)).limit(literal(size)))
    if not branches:
        nothing: Select[*tuple[Any, ...]] = select(
            FileRow.id, FileRow.created_at.label("key"), literal_column("1").label("sure")
        )
        return nothing.where(literal_column("1 = 0"))
    parts = [branch.subquery() for branch in branches]
    some = union_all(*(select(part.c.id, part.c.key, *_sure(part, tells_sure)) for part in parts)).subquery("some")
    if tells_sure:
        merged = select(some.c.id, some.c.key, func.max(some.c.sure).label("sure")).group_by(some.c.id, some.c.key)
    else:
        merged = select(some.c.id, some.c.key).distinct()  # a file may be in several scopes
    return merged.order_by(*walk.ordered(some.c.key, some.c.id)).limit(literal(size))


def _sure(part: Any, is_told: bool) -> list[Any]:
    if not is_told:
        return []
    is_loose = among(part.c.value, texts("loose")) if "value" in part.c else true()
    return [case((is_loose, 0), else_=1).label("sure")]


@dataclass(frozen=True)
class _Index:
    """Of which a part, where ``scope`` has one value, is in order of creation."""

    table: Any
    scope: str
    id: str

    def columns(self, alias: Any) -> tuple[Any, Any, Any]:
        return getattr(alias, self.scope), alias.created_at, getattr(alias, self.id)


_SCOPES: Final = _Index(FileScopeRow, "scope", "file_id")
_FOLDERS: Final = _Index(FileRow, "folder_id", "id")


def values(name: str, is_sqlite: bool) -> Any:
    """The texts of the list parameter ``name`` as a table with the column ``value``."""
    if is_sqlite:
        return func.json_each(texts(name)).table_valued("value", name=name)
    return func.unnest(texts(name)).table_valued("value", name=name).render_derived()


def _each(walk: Walk, scopes: Any, index: _Index, size: int, lowest: Any = None) -> Select[*tuple[Any, ...]]:
    """``value``, ``key`` and ``id`` of the next ``size`` files of each of ``scopes``; on SQLite with all created at the
    same instant as the last of them.
    """
    scope, key, id_ = index.columns(alias := aliased(index.table))
    mine = [scope == scopes.c.value, *walk.ahead(key, id_)]
    if not walk.is_sqlite:
        some = select(key.label("key"), id_.label("id")).where(*mine, _reaches(walk, key, lowest))
        some = some.order_by(*walk.ordered(key, id_))
        few = some.limit(literal(size)).lateral()
        return select(scopes.c.value, few.c.key, few.c.id).select_from(scopes.join(few, true()))
    other_scope, other_key, other_id = index.columns(aliased(index.table))
    others = [other_scope == scopes.c.value, *walk.ahead(other_key, other_id), _reaches(walk, other_key, lowest)]
    nth = select(other_key).where(*others).order_by(*walk.ordered(other_key, other_id))
    last = nth.limit(literal_column("1")).offset(literal(size - 1)).correlate(scopes).scalar_subquery()
    rows = select(scopes.c.value, key.label("key"), id_.label("id")).select_from(scopes).join(alias, true())
    # One bound: of two, SQLite would seek to either and test the other row by row.
    return rows.where(*mine, _reaches(walk, key, last, lowest))


def _nth(walk: Walk, heads: Any, size: int) -> Any:
    """The instant of the n-th different file among ``heads``; none when there are fewer."""
    different = select(heads.c.key, heads.c.id).distinct().subquery()
    ordered = select(different.c.key).order_by(*walk.ordered(different.c.key, different.c.id))
    nth = ordered.limit(literal_column("1")).offset(literal(size - 1)).cte("nth")
    return select(nth.c.key).scalar_subquery()


def _reaches(walk: Walk, key: Any, *instants: Any) -> Any:
    """Whether ``key`` comes no later in the walk than the first of ``instants`` that there is; always, if none is."""
    ends = [instant for instant in instants if instant is not None]
    if not ends:
        return true()
    if walk.is_sqlite:  # instants are texts there
        end = func.coalesce(*ends, literal_column("''" if walk.goes_down else "'~'"))
    else:
        end = func.coalesce(*ends, literal_column("'-infinity'" if walk.goes_down else "'infinity'"))
    return key >= end if walk.goes_down else key <= end


def literal(number: int) -> Any:
    """In the text: PostgreSQL plans a LIMIT that it does not know as a tenth of the table."""
    return literal_column(str(int(number)))


def visible_set(sources: Sources, is_sqlite: bool, size: int) -> Rows:
    """``id`` of at most ``size`` rows that name a file of ``sources``, in no order; a file may have several."""
    if sources.is_everything:
        return select(FileRow.id).limit(literal(size))
    branches: list[Any] = []
    if sources.has_scopes:
        branches.append(_unordered(values("scopes", is_sqlite), _SCOPES, size, is_sqlite))
    if sources.has_direct:
        branches.append(_unordered(values("direct", is_sqlite), _FOLDERS, size, is_sqlite))
    if sources.has_files:
        branches.append(select(FileRow.id).where(among(FileRow.id, texts("files"))))
    if not branches:
        return select(FileRow.id).where(literal_column("1 = 0"))
    some = union_all(*branches).subquery() if len(branches) > 1 else branches[0].subquery()
    return select(some.c.id).limit(literal(size))


def _unordered(scopes: Any, index: _Index, size: int, is_sqlite: bool) -> Any:
    scope, _, id_ = index.columns(alias := aliased(index.table))
    if is_sqlite:
        return select(id_.label("id")).select_from(scopes).join(alias, scope == scopes.c.value)
    few = select(id_.label("id")).where(scope == scopes.c.value).limit(literal(size)).lateral()
    return select(few.c.id).select_from(scopes.join(few, true()))


def folder_set(size: int) -> Rows:
    """Files directly in ``:folder_id``."""
    here = FileRow.folder_id == bindparam("folder_id", type_=FileRow.folder_id.type)
    return select(FileRow.id).where(here).limit(literal(size))


def scope_set(name: str, size: int) -> Rows:
    """Files in the scope that is the parameter ``name``."""
    here = FileScopeRow.scope == bindparam(name, type_=FileScopeRow.scope.type)
    return select(FileScopeRow.file_id.label("id")).where(here).limit(literal(size))


def word_set(index: int, size: int) -> Rows:
    """Files whose names have a word that begins with the filter's word of this number."""
    word = FileWordRow.word
    here = [word >= bindparam(f"word_{index}"), word < bindparam(f"word_end_{index}")]
    return select(FileWordRow.file_id.label("id")).where(*here).limit(literal(size))


def prefix_set(size: int) -> Rows:
    """Files whose names begin with the filter's prefix."""
    here = bounds(FilterShape(has_prefix=True), FileOrderField.NAME, FileRow.name_key)
    return select(FileRow.id).where(*here).limit(literal(size))
