"""Who may import whom. This test is the document: a package may import only what stands beside its name here."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "graphql_api"

NOUNS = {"errors", "model"}
# Never import one another; seen through __init__ only.
ADAPTERS = {"storage", "edge", "events", "scanning", "keys", "limits"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "client": set(),
    "model": {"errors"},
    "setting_values": {"model"},
    "settings": {"errors", "setting_values"},
    "access": NOUNS,
    "signing": NOUNS,
    "policyfile": NOUNS,
    "db": NOUNS | {"access"},
    "storage": NOUNS | {"signing"},
    "edge": NOUNS,
    "scanning": NOUNS,
    "keys": NOUNS,
    "events": NOUNS,
    "limits": NOUNS | {"db"},  # where several processes count together
    "localcloud": NOUNS,
    "services": NOUNS | ADAPTERS | {"access", "signing", "db", "policyfile"},
    "schema": NOUNS | {"services"},
    "web": NOUNS | {"services", "schema", "limits"},
    "workers": NOUNS | {"services"},
}
FREE = {"bootstrap", "key_wiring", "running", "cli", "asgi", "__main__", "__init__"}  # they wire the others together
SEEN_THROUGH_INIT_ONLY = ADAPTERS | {"signing"}  # by services: a use case never names a vendor


def imports(source: Path) -> set[tuple[str, ...]]:
    """Dotted parts below ``graphql_api`` of all that ``source`` imports, type-checking imports left out."""
    tree = ast.parse(source.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        found |= {tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == "graphql_api"}
    return found


def room(source: Path) -> str:
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_below_it(source: Path) -> None:
    here = room(source)
    if here in FREE:
        return
    allowed = MAY_IMPORT[here] | {here}
    for parts in imports(source):
        assert parts[0] in allowed, f"{here} may not import {'.'.join(parts)}"


@pytest.mark.parametrize(
    "source", [path for path in SOURCES if room(path) == "services"], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_use_case_sees_adapters_through_their_protocol_only(source: Path) -> None:
    for parts in imports(source):
        if parts[0] in SEEN_THROUGH_INIT_ONLY:
            is_module = (PACKAGE / parts[0] / f"{parts[1]}.py").exists()
            assert not is_module, f"services may not name {'.'.join(parts)}"


def test_no_module_outgrows_a_screenful_of_ideas() -> None:
    too_long = {
        str(path.relative_to(PACKAGE)): n for path in SOURCES if (n := len(path.read_text().splitlines())) > 400
    }
    assert not too_long
