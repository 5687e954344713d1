"""Loads an archive in every size, compares every answer with the reference, and lets the variants take turns."""

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import site
from benchmarks.access import viewers
from benchmarks.access.archive import Extent, user_id
from benchmarks.access.figures import Figures, Line, Memory, Wanted
from benchmarks.access.stage import Question, Stage
from benchmarks.measure import Effort, Operation, fastest
from benchmarks.report import Database
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Principal
from graphql_api.services.clock import utc_now
from graphql_api.services.standings import MAX_REMEMBERED, Standings

MIDDLES: Final = (viewers.TEN, viewers.THOUSAND, viewers.TENANT, viewers.EVERYTHING, viewers.LABEL_DENIED)
COUNTED: Final = (viewers.ONE, viewers.THREE_OLDEST, viewers.THOUSAND, viewers.EVERYTHING, viewers.LABEL_DENIED)
TRANSLATED: Final = (viewers.ONE, viewers.TEN, viewers.CARVED, viewers.THOUSAND, viewers.GROUPS)
FEW_RULES: Final = 20


async def measure(
    database: Database, new_database: Callable[[], str], extents: Sequence[Extent], key_path: Path, effort: Effort
) -> Figures:
    """All figures of one kind of database. Raises ``Unequal`` when an answer is not what the reference says."""
    key = site.new_key(key_path)
    load_seconds: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        stages: list[Stage] = []
        for extent in extents:
            begun = time.perf_counter()
            place = site.Site(new_database(), key, key_path, user_id="", folder_id="")
            stages.append(await stack.enter_async_context(_stage(place, extent)))
            load_seconds[extent.files] = time.perf_counter() - begun
        gc.freeze()  # a million ids are not to be looked at again and again
        pages = [await _page(stages, question, effort) for question in _questions(stages[0])]
        changes = await _changes(stages, effort)
        memory = await _memory(stages[-1])
    return Figures(
        database=database,
        sizes=[extent.files for extent in extents],
        rules=extents[-1].rules,
        load_seconds=load_seconds,
        pages=pages,
        changes=changes,
        wanted=_wanted(pages),
        memory=memory,
    )


@asynccontextmanager
async def _stage(place: site.Site, extent: Extent) -> AsyncIterator[Stage]:
    stage = await Stage.build(place, extent)
    try:
        yield stage
    finally:
        await stage.close()


def _questions(stage: Stage) -> Sequence[Question]:
    first = [Question(viewer) for viewer in stage.people.values()]
    return first + [Question(stage.people[name], is_middle=True) for name in MIDDLES]


async def _page(stages: Sequence[Stage], question: Question, effort: Effort) -> Line:
    variants: dict[tuple[str, int], Operation] = {}
    short = set()
    for stage in stages:
        asked = Question(stage.people[question.viewer.name], question.is_middle)
        if not await stage.check(asked):
            short.add(stage.files)
        variants["ours", stage.files] = partial(stage.page, asked, await stage.cursor(asked))
        variants["naive", stage.files] = partial(stage.naive, asked)
        variants["floor", stage.files] = partial(stage.floor, asked)
    times = await fastest(variants, effort)
    by_name = {
        who: {files: value for (name, files), value in times.items() if name == who}
        for who in ("ours", "naive", "floor")
    }
    return Line(
        question.name,
        **by_name,
        rules=len(question.viewer.rules),
        seen={stage.files: len(stage.seen[question.viewer.name]) for stage in stages},
        short=frozenset(short),
    )


async def _changes(stages: Sequence[Stage], effort: Effort) -> Sequence[Line]:
    lines = []
    for name in COUNTED:
        counts = {stage.files: partial(stage.count, stage.people[name]) for stage in stages}
        lines.append(Line(f"count: {name}", await fastest(counts, effort)))
    for name in TRANSLATED:
        loads = {stage.files: partial(stage.translate, stage.people[name]) for stage in stages}
        lines.append(Line(f"rules read anew: {name}", await fastest(loads, effort)))
    lines.append(Line("adding a rule", await fastest({stage.files: stage.add_rule for stage in stages}, effort)))
    lines.append(Line("createUpload", await fastest({stage.files: stage.create_upload for stage in stages}, effort)))
    moves = {stage.files: stage.move for stage in stages}
    moved = " / ".join(str(stage.archive.folder_of.count(stage.archive.moved)) for stage in stages)
    lines.append(Line(f"moving a folder of {moved} files", await fastest(moves, effort)))
    return lines


def _wanted(pages: Sequence[Line]) -> Sequence[Wanted]:
    lines = {line.name: line for line in pages}
    smallest, largest = min(pages[0].ours), max(pages[0].ours)
    found = [
        Wanted(f"{line.name}: most files / fewest", line.ours[largest] / line.ours[smallest], 2)
        for line in pages
        if (line.rules or 0) <= FEW_RULES and smallest != largest
    ]
    everything, one = lines[viewers.EVERYTHING].ours[largest], lines[viewers.ONE].ours[largest]
    for name in (viewers.THREE_FILES, viewers.THREE_OLDEST):
        found.append(Wanted(f"{name} / {viewers.EVERYTHING}", lines[name].ours[largest] / everything, 1))
    found.append(Wanted(f"{viewers.THOUSAND} / {viewers.ONE}", lines[viewers.THOUSAND].ours[largest] / one, 15))
    return found


async def _memory(stage: Stage) -> Memory:
    """What remembered rules take when one person after the other has asked, until the oldest are forgotten."""
    people = [Principal(UserId(user_id(number))) for number in range(stage.archive.extent.users)]
    standings = Standings(utc_now)
    async with stage.ours.database.autocommit() as connection:
        await Standings(utc_now).of(connection, people[0])  # statements are compiled
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        asked = 0
        for principal in people:
            weight = standings.weight
            await standings.of(connection, principal)
            asked += 1
            if standings.weight <= weight:
                break
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return Memory(asked, standings.weight, MAX_REMEMBERED, (after - before) / 1000)
