"""A plan selects exactly the files that may be read, and ways of getting it wrong are noticed."""

from collections.abc import Iterator
from datetime import datetime
from types import ModuleType
from typing import Final

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from graphql_api.access import plan as the_translator
from graphql_api.access.plan import ReadPlan
from graphql_api.model.file import File
from graphql_api.model.ids import FileId
from graphql_api.model.principal import Address
from graphql_api.model.rule import ROOT, is_folder
from tests.access import reference
from tests.access.mutants import mutant
from tests.access.worlds import (
    PRINCIPALS,
    THOROUGH,
    RuledWorld,
    addresses,
    moments,
    worlds,
)


def selected(plan: ReadPlan, world: RuledWorld) -> set[FileId]:
    """What a list that runs ``plan`` shows."""
    return {file.id for file in world.files if _is_selected(plan, world, file)}


def _is_selected(plan: ReadPlan, world: RuledWorld, file: File) -> bool:
    """On rows as the database has them: neither the root nor the file itself is among a file's scopes there."""
    rows = world.scopes(file) - {ROOT, file.id}
    if not plan.denied_everywhere.isdisjoint({*rows, file.id}):
        return False
    if ROOT in plan.folders or not rows.isdisjoint(plan.folders) or file.folder_id in plan.direct:
        return True
    if not plan.denied_folders.isdisjoint(rows) or (plan.required is not None and plan.required not in rows):
        return False
    return not rows.isdisjoint(plan.loose) or file.id in plan.files


def faults(translator: ModuleType, world: RuledWorld, now: datetime, address: Address | None) -> Iterator[str]:
    """What is wrong with a translator in this world, for any of its people."""
    for principal in PRINCIPALS:
        plan = translator.read_plan(world.rulebook(principal).standing(now, address))
        may_see = reference.visible(world, principal, now, address)
        if selected(plan, world) != may_see:
            yield f"{principal} sees other files than they may"
        if overlaps(plan, world):
            yield f"a merge would count files twice: {plan}"
        if not world.crowded and any(map(is_folder, plan.denied_everywhere)):
            yield f"a denied folder is not carved out: {plan}"
        for folder in world.folders:
            inside = {file.id for file in world.files if folder.id in world.chains[file.id]}
            cut = translator.narrow(plan, world.chains[folder.id])
            if selected(cut, world) != may_see & inside or overlaps(cut, world):
                yield f"{principal} sees other files in {folder.id} than they may"


def overlaps(plan: ReadPlan, world: RuledWorld) -> bool:
    named, whole = [*plan.folders, *plan.direct], set(plan.folders)
    return len(set(named)) < len(named) or any(not whole.isdisjoint(world.chains[folder][1:]) for folder in named)


@THOROUGH
@given(worlds(), moments(), addresses())
def test_a_plan_selects_what_may_be_read_and_so_does_a_part_of_it(
    world: RuledWorld, now: datetime, address: Address | None
) -> None:
    assert not list(faults(the_translator, world, now, address))


# Each breaks one line of the translator, as a hurried change might.
MUTANTS: Final = {
    "an allowance at or below a denial survives": ("and denied.isdisjoint(chains[scope]) and", "and"),
    "an allowance below another survives": ("and allowed.isdisjoint(chains[scope][1:])", ""),
    "the way to a denial is not opened": ("opened.add(folder)", "pass"),
    "the top of the way is not opened": ("reversed(chain[1 : top + 1])", "reversed(chain[1:top])"),
    "what lies directly in an opened folder is forgotten": ("direct.append(folder)", "pass"),
    "a denied folder passes for a clean sibling": ("if child not in denials:", "if child:"),
    "a denial beside too many folders is dropped": ("residual.add(denial)", "pass"),
    "denied labels and files are shown": ("for scope in denied if not is_folder(scope)}", "for scope in ()}"),
    "own files in denied folders are shown": ("frozenset(denials - residual) if loose", "frozenset() if loose"),
    "own files are forgotten": ("loose.append(standing.user_id)", "pass"),
    "a denial of everything leaves own files": ("if ROOT in denied:", "if not standing:"),
    "a folder shows what is allowed above it only": ("if not set(plan.folders).isdisjoint(chain):", "if not plan:"),
    "a folder shows own files from elsewhere": ("required=folder if plan.loose or plan.files else None,", ""),
    "a folder shows its siblings": ("for scope in plan.folders if scope in chains", "for scope in plan.folders"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_translator_is_noticed(name: str) -> None:
    broken = mutant(the_translator, *MUTANTS[name])
    found = find(
        st.tuples(worlds(), moments(), addresses()),
        lambda case: any(faults(broken, *case)),
        settings=settings(THOROUGH, phases=[Phase.generate]),
    )
    assert not any(faults(the_translator, *found))
