"""The page of faults names tests that there are, and no test of faults is left out."""

import ast
import re

from tests.docs.markdown import ROOT

TESTS = ROOT / "tests"


def named() -> set[str]:
    return set(re.findall(r"`([\w/]+\.py::\w+)`", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")))


def facts_of(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    functions = (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{path}::{name}" for name in functions if name.startswith("test_")}


def test_every_test_that_is_named_is_there() -> None:
    assert named()
    there = {test for path in {name.partition("::")[0] for name in named()} for test in facts_of(path)}
    assert named() - there == set()


def test_every_test_of_faults_is_named() -> None:
    paths = [str(path.relative_to(TESTS)) for path in (TESTS / "faults").glob("test_*.py")]
    assert paths
    assert {test for path in paths for test in facts_of(path)} - named() == set()
