"""Modules with one line broken, to see that a property notices."""

from pathlib import Path
from types import ModuleType


def mutant(module: ModuleType, line: str, broken: str) -> ModuleType:
    """``module`` with ``line``, which it must hold once, replaced."""
    source = Path(str(module.__file__)).read_text()
    assert source.count(line) == 1, f"this mutant needs a new line to break: {line}"
    changed = ModuleType("mutant")
    exec(compile(source.replace(line, broken), "mutant", "exec"), changed.__dict__)
    return changed
