"""Pages and counts of the files that somebody may read, in statements that cost what they show.

- **By creation**, with nothing to test but where to begin and end: one statement merges the scopes of the caller's
  plan. It costs by the page and by the number of scopes, not by the number of files that there are.
- **Small sets**: when the caller may see few files, or few have the label or the words that are asked for, all of them
  are tested and sorted: exact in every order.
- **Everything else** is a search with a budget: candidates are read in the wanted order and tested until the page is
  full or the budget is spent. Then the page is short, even empty, and ``Page.resume`` says where to go on: sealed, for
  the last candidate may be hidden from the caller. So it is for the name and size orders of many files, for filters,
  and for labels denied where much else is allowed.

Counts stop at ``MAX_COUNTED``, and after a number of candidates; they say whether they did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.plan import NOTHING, ReadPlan, narrow, read_plan
from graphql_api.access.standing import Standing
from graphql_api.db.candidates import Walk, source_parameters, sources_of
from graphql_api.db.filters import FilterShape, filter_parameters, filter_shape
from graphql_api.db.judging import test_parameters, tests_of
from graphql_api.db.keyset import SEEK_ID, SEEK_KEY, Ordering, Position, page_of, sealed_cursor, seek_parameters
from graphql_api.db.pages import Shape, counted, flat_page, searched_page, set_sizes, sorted_page
from graphql_api.db.rulebooks import chains_of
from graphql_api.db.scopes import scopes_in
from graphql_api.db.seal import CursorSeal
from graphql_api.db.tables import FileRow
from graphql_api.model.file import File
from graphql_api.model.ids import FolderId
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.names import name_key
from graphql_api.model.page import MAX_COUNTED, Count, Page, PageRequest
from graphql_api.model.rule import PLAIN, ROOT, is_folder, label_scope


@dataclass(frozen=True)
class Limits:
    """``steps``: how many candidates the statements of one search look at, one after the other. ``small``: rows that
    name the files of a set which is sorted whole, and that a count looks at; a file that somebody owns at home has two.
    ``tested``: such rows when a count has to test each. ``many``: scopes that are opened without a look at their newest
    files.
    """

    steps: tuple[int, ...] = (160, 1280, 8560)
    small: int = 20_000
    tested: int = 10_000
    many: int = 6


LIMITS: Final = Limits()


async def list_files(
    connection: AsyncConnection,
    standing: Standing,
    wanted: FileFilter,
    order: FileOrder,
    request: PageRequest,
    cursor_seal: CursorSeal,
    limits: Limits = LIMITS,
) -> Page[File]:
    """Files that may be seen, authorised in the statement. Raises ``InvalidInput`` for a foreign cursor."""
    ordering = _ordering(order)
    seal = cursor_seal.of(standing.user_id)
    seeking = seek_parameters(ordering, request, seal)
    search = await _prepare(connection, standing, wanted, order, request, limits)
    parameters = search.parameters | seeking
    stopped_at: Position | None = None
    if search.is_flat:
        rows = await _rows(connection, flat_page(search.shape, request.size + 1), parameters)
    elif (seed := await _small_set(connection, search, limits)) is not None:
        statement = sorted_page(search.shape, seed, 2 * limits.small)
        rows = [row[:-1] for row in await _rows(connection, statement, parameters)]
    else:
        rows, stopped_at = await _walked(connection, search.shape, parameters, request.size + 1, limits.steps)
    noun = _plain if standing.reads_plainly else partial(_on_terms, standing)
    resume = None if stopped_at is None else sealed_cursor(ordering, stopped_at, seal)
    return page_of(rows, request, ordering, noun, lambda file: _position(order.field, file), resume=resume)


async def count_files(
    connection: AsyncConnection, standing: Standing, wanted: FileFilter, limits: Limits = LIMITS
) -> Count:
    """How many the list has in all, counted up to ``MAX_COUNTED``."""
    search = await _prepare(connection, standing, wanted, FileOrder(), PageRequest(), limits)
    seed = search.seeds[0]
    if len(search.seeds) > 1:
        sizes = await _sizes(connection, search, limits)
        seed = min(sizes, key=lambda name: sizes[name])
    is_tested = not search.is_flat or search.shape.walk.filters != FilterShape()
    most = limits.tested if is_tested else limits.small
    statement = counted(search.shape, seed, most + 1, is_tested=is_tested)
    [(looked_at, number)] = await _rows(connection, statement, search.parameters)
    return Count(min(number, MAX_COUNTED), is_exact=looked_at <= most and number <= MAX_COUNTED)


def _plain(row: Any) -> File:
    return File(*(*row, PLAIN))


def _on_terms(standing: Standing, row: Any) -> File:
    *values, joined = row
    return File(*(*values, standing.read_terms(scopes_in(values[0], joined))))


@dataclass(frozen=True)
class _Search:
    """``is_flat``: the stream has what the list shows and nothing else. ``seeds``: the sets that have all of it, of
    which one may be small; ``is_likely_small``: so that it is worth a look before the stream is walked.
    """

    shape: Shape
    parameters: dict[str, object]
    is_flat: bool
    seeds: tuple[str, ...]
    is_likely_small: bool


async def _prepare(
    connection: AsyncConnection,
    standing: Standing,
    wanted: FileFilter,
    order: FileOrder,
    request: PageRequest,
    limits: Limits,
) -> _Search:
    plan = plan_of(standing)
    if wanted.folder_id is not None:
        plan = await _cut(connection, plan, wanted.folder_id, is_recursive=wanted.is_recursive)
    labels = tuple(dict.fromkeys(label_scope(label) for label in wanted.labels))
    in_folder = wanted.folder_id is not None and not wanted.is_recursive
    filters = filter_shape(wanted)
    shape = Shape(
        walk=Walk(
            is_sqlite=connection.dialect.name == "sqlite",
            field=order.field,
            goes_down=(order.direction is OrderDirection.DESC) != request.is_backward,
            has_cursor=request.cursor is not None,
            filters=filters,
        ),
        sources=sources_of(plan, many=limits.many),
        tests=tests_of(plan, has_labels=bool(labels)),
        in_folder=in_folder,
        with_scopes=not standing.reads_plainly,
    )
    shows_its_stream = _is_stream(shape, plan)
    by_content = [
        *(f"label_{number}" for number in range(len(labels))),
        *(f"word {number}" for number in range(filters.words)),
        *(["prefix"] if filters.has_prefix and order.field is not FileOrderField.NAME else []),
    ]
    by_place = [
        *(["visible"] if not shape.sources.is_everything else []),
        *(["folder"] if in_folder and not plan.direct else []),
        *(["required"] if plan.required else []),
    ]
    parameters = filter_parameters(wanted) | source_parameters(plan) | test_parameters(plan, labels)
    parameters |= {"folder_id": wanted.folder_id}
    parameters |= {f"label_{number}": label for number, label in enumerate(labels)}
    return _Search(
        shape=shape,
        parameters=parameters,
        is_flat=shows_its_stream and _is_clean(plan) and not labels and filters.is_bounds_of(order.field),
        seeds=(*by_content, *by_place) or ("visible",),
        is_likely_small=bool(by_content or (by_place and not shows_its_stream)),
    )


def plan_of(standing: Standing) -> ReadPlan:
    """The plan of a standing, which is remembered between requests and remembers it."""
    remembered = vars(standing)
    if "read_plan" not in remembered:
        remembered["read_plan"] = read_plan(standing)
    plan: ReadPlan = remembered["read_plan"]
    return plan


async def _cut(connection: AsyncConnection, plan: ReadPlan, folder_id: FolderId, *, is_recursive: bool) -> ReadPlan:
    """The plan as far as it is about one folder. One that is absent runs the same statements as one that is hidden."""
    chain = plan.chains.get(folder_id, ())
    if ROOT in plan.folders and not any(map(is_folder, plan.denied_everywhere)):
        chain = (folder_id, ROOT)  # is all that matters
    if {*plan.folders, *plan.direct}.isdisjoint(chain):
        chain = (await chains_of(connection, [folder_id])).get(folder_id, (folder_id,))
    cut = narrow(plan, chain)
    if cut is NOTHING:
        cut = replace(plan, folders=(), direct=(), denied_folders=frozenset(chain), required=folder_id)
    if is_recursive:
        return cut
    denied = frozenset(scope for scope in cut.denied_everywhere if not is_folder(scope))
    if not {*cut.folders, *cut.direct}.isdisjoint((folder_id, ROOT)):
        return ReadPlan(direct=(folder_id,), denied_everywhere=denied)
    return replace(cut, folders=(), direct=(), denied_everywhere=denied)


def _is_clean(plan: ReadPlan) -> bool:
    """Whether all files of its scopes may be read."""
    has_residue = plan.denied_folders or plan.required is not None
    return not plan.denied_everywhere and (ROOT in plan.folders or not ((plan.loose or plan.files) and has_residue))


def _is_stream(shape: Shape, plan: ReadPlan) -> bool:
    """Whether the files come in the wanted order from the plan's scopes alone."""
    if shape.in_folder:
        return bool(plan.direct) and shape.walk.field is not FileOrderField.SIZE
    return shape.sources.is_everything or not shape.is_table


async def _rows(connection: AsyncConnection, statement: Any, parameters: dict[str, object]) -> list[Any]:
    return list((await connection.execute(statement, parameters)).all())


async def _sizes(connection: AsyncConnection, search: _Search, limits: Limits) -> dict[str, int]:
    statement = set_sizes(search.shape, search.seeds, limits.small + 1)
    [row] = await _rows(connection, statement, search.parameters)
    return dict(zip(search.seeds, row, strict=True))


async def _small_set(connection: AsyncConnection, search: _Search, limits: Limits) -> str | None:
    """The smallest set that has all that the list may show, if it is small."""
    if not search.is_likely_small:
        return None
    sizes = await _sizes(connection, search, limits)
    smallest = min(sizes, key=lambda name: sizes[name])
    return smallest if sizes[smallest] <= limits.small else None


async def _walked(
    connection: AsyncConnection, shape: Shape, parameters: dict[str, object], needed: int, steps: Sequence[int]
) -> tuple[list[Any], Position | None]:
    """At most ``needed`` files in order, and where the budget ended the search for more."""
    found: list[Any] = []
    last: Position | None = None
    for size in steps:
        parameters |= {"page_size": needed - len(found)}
        rows = await _rows(connection, searched_page(shape, size), parameters)
        found += [row[3:] for row in rows if row[3] is not None]
        if len(found) == needed or not rows or rows[0].number < size:
            return found, None
        last = (rows[0][0], rows[0][1])
        parameters |= {SEEK_KEY: last[0], SEEK_ID: last[1]}
        shape = replace(shape, walk=replace(shape.walk, has_cursor=True))
    return found, last


def _ordering(order: FileOrder) -> Ordering:
    is_descending = order.direction is OrderDirection.DESC
    match order.field:
        case FileOrderField.CREATED_AT:
            return Ordering("file-created", FileRow.created_at, FileRow.id, datetime, is_descending)
        case FileOrderField.NAME:
            return Ordering("file-name", FileRow.name_key, FileRow.id, str, is_descending)
        case FileOrderField.SIZE:
            return Ordering("file-size", FileRow.size, FileRow.id, int, is_descending)


def _position(field: FileOrderField, file: File) -> Position:
    match field:
        case FileOrderField.CREATED_AT:
            return file.created_at, file.id
        case FileOrderField.NAME:
            return name_key(file.name), file.id
        case FileOrderField.SIZE:
            return file.size, file.id
