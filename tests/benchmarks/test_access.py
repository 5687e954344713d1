"""The benchmark of access rules runs on both databases, and stops when an answer is wrong. No times are asserted."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import site
from benchmarks.access import figures, viewers
from benchmarks.access.archive import Archive, Extent, created_at
from benchmarks.access.figures import Figures, Line, Memory, Wanted
from benchmarks.access.reference import visible
from benchmarks.access.stage import Question, Stage
from benchmarks.checks import Unequal
from graphql_api.model.rule import Effect

ROOT = Path(__file__).parents[2]
EXTENT = Extent.quick(300)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_archives_of_two_sizes_are_compared(tmp_path: Path, database: str) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "access", "--quick", "--rounds", "1", "--files", "150,300"]
    command += ["--database", database, "--json", str(written)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    document = json.loads(written.read_text())
    assert document["skipped"] == []
    (found,) = document["access"]
    assert (found["database"], found["files"]) == (database, [150, 300])
    pages = {page["name"]: page for page in found["pages"]}
    assert pages.keys() > {viewers.ONE, viewers.THOUSAND, viewers.EVERYTHING, f"{viewers.EVERYTHING}, middle"}
    for page in pages.values():
        assert set(page["milliseconds"]) == {"ours", "naive", "floor"}
        assert all(set(times) == {"150", "300"} for times in page["milliseconds"].values())
        assert page["short"] == []
        assert page["name"] in done.stdout
    assert any(line["name"].startswith("moving a folder") for line in found["changes"])
    assert all(line["name"] in done.stdout for line in found["changes"])
    assert {one["what"] for one in found["wanted"]} > {f"{viewers.THOUSAND} / {viewers.ONE}"}
    assert 0 < found["memory"]["weight"] <= found["memory"]["bound"]


def test_the_same_extent_is_the_same_archive() -> None:
    first, second = Archive(EXTENT), Archive(EXTENT)
    assert first.folders == second.folders
    assert (first.file_ids, first.folder_of, first.owner_of) == (second.file_ids, second.folder_of, second.owner_of)
    assert viewers.viewers(first) == viewers.viewers(second)
    assert list(first.other_rules(50)) == list(second.other_rules(50))


def test_the_reference_lists_the_newest_first_and_breaks_ties_by_id() -> None:
    archive = Archive(EXTENT)
    order = [(created_at(number), archive.file_ids[number]) for number in archive.newest_first]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == EXTENT.files
    assert len({instant for instant, _ in order}) < EXTENT.files


def test_the_reference_obeys_denials_below_allowances() -> None:
    archive = Archive(EXTENT)
    people = {viewer.name: viewer for viewer in viewers.viewers(archive)}
    carved = people[viewers.CARVED]
    seen = set(visible(archive, carved))
    department = archive.departments[0][0]
    its_folders = {department, *archive.leaves[0][0], archive.tenants[0]}
    assert seen == {number for number, folder in enumerate(archive.folder_of) if folder in its_folders}
    assert visible(archive, replace(carved, rules=())) == []
    denied = tuple(rule for rule in carved.rules if rule.effect is Effect.DENY)
    assert visible(archive, replace(carved, rules=denied)) == []
    assert len(visible(archive, people[viewers.THREE_FILES])) == 3
    assert set(visible(archive, people[viewers.THREE_OLDEST])) == {0, 1, 2}
    label = archive.labels[0]
    unlabelled = {number for number in range(EXTENT.files) if label not in archive.labels_of.get(number, ())}
    assert set(visible(archive, people[viewers.LABEL_DENIED])) == unlabelled
    owned = {number for number, owner in enumerate(archive.owner_of) if owner == people[viewers.HOME].user}
    assert set(visible(archive, people[viewers.HOME])) == owned != set()


async def test_a_page_or_a_count_that_differs_from_the_reference_stops_the_run(tmp_path: Path) -> None:
    key_path = tmp_path / "key.pem"
    place = site.Site(f"sqlite:///{tmp_path / 'archive.db'}", site.new_key(key_path), key_path, "", "")
    stage = await Stage.build(place, EXTENT)
    tenant = stage.people[viewers.TENANT]
    try:
        assert await stage.check(Question(tenant))
        assert await stage.check(Question(tenant, is_middle=True))
        await stage.count(tenant)
        missed = stage.seen[viewers.TENANT][:-1]
        swapped = [stage.seen[viewers.TENANT][1], stage.seen[viewers.TENANT][0], *stage.seen[viewers.TENANT][2:]]
        for wrong in (missed[1:], swapped):
            with pytest.raises(Unequal):
                await replace(stage, seen={**stage.seen, viewers.TENANT: wrong}).check(Question(tenant))
        with pytest.raises(Unequal):
            await replace(stage, seen={**stage.seen, viewers.TENANT: missed}).count(tenant)
    finally:
        await stage.close()


def test_the_table_says_what_is_over_and_which_page_is_short() -> None:
    line = Line("somebody", {10: 1.0, 1000: 3.0}, {10: 2.0, 1000: 9.0}, {10: 0.5, 1000: 0.5}, 1, {10: 9, 1000: 99})
    found = Figures(
        database="sqlite",
        sizes=[10, 1000],
        rules=5,
        load_seconds={10: 1.0, 1000: 2.0},
        pages=[line, replace(line, name="somebody else", short=frozenset({1000}))],
        changes=[Line("adding a rule", {10: 1.0, 1000: 1.0})],
        wanted=[Wanted("somebody: most files / fewest", 3.0, 2), Wanted("somebody / somebody else", 1.0, 1)],
        memory=Memory(1, 10, 20, 2.0),
    )
    shown = figures.table(found).splitlines()
    assert "somebody: most files / fewest <= 2: OVER (3.00)" in shown
    assert "somebody / somebody else <= 1: ok (1.00)" in shown
    assert [line.split()[0] for line in shown if line.endswith("short page")] == ["somebody"]
