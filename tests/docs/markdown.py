"""What the tests need to know of a Markdown file: its fenced blocks, its headings and its links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent.parent

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.*?) *$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_NOT_OURS = {".venv", ".ministack", "node_modules", ".git", ".pytest_cache", ".graphql-api"}


@dataclass(frozen=True)
class Block:
    """A fenced block: ``language`` is empty when the fence names none; ``line`` is where its fence stands."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    return sorted(path for path in ROOT.rglob("*.md") if not _NOT_OURS.intersection(path.relative_to(ROOT).parts))


def blocks(path: Path, *languages: str) -> list[Block]:
    """The fenced blocks of ``path`` in order; only those in one of ``languages`` if any are given."""
    text = path.read_text(encoding="utf-8")
    found = [
        Block(path, text.count("\n", 0, match.start()) + 1, match[2], dedent(match[3]))
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def section(path: Path, title: str) -> tuple[int, int]:
    """First and last line of the section under the heading ``title``."""
    text = path.read_text(encoding="utf-8")
    prose = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    headings = [
        (prose.count("\n", 0, found.start()) + 1, len(found[1]), found[2]) for found in _HEADING.finditer(prose)
    ]
    start, level = next((line, level) for line, level, text in headings if text == title)
    return start, next((line for line, other, _ in headings if line > start and other <= level), 1_000_000)


def blocks_in(path: Path, title: str, *languages: str) -> list[Block]:
    """The blocks of the section under the heading ``title``."""
    start, end = section(path, title)
    return [block for block in blocks(path, *languages) if start < block.line < end]


def anchors(path: Path) -> set[str]:
    """The names under which a code host makes the headings of ``path`` reachable."""
    found: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", match[2])
        name = base = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


def links(path: Path) -> Iterator[str]:
    """Targets of the links in the prose of ``path``."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text(encoding="utf-8")))
    yield from (match[1] for match in _LINK.finditer(prose))


def named_json(document: Path) -> dict[str, str]:
    """The JSON files that the document shows, each under the name that stands last above its block."""
    lines = document.read_text(encoding="utf-8").splitlines()
    named: dict[str, str] = {}
    for block in blocks(document, "json"):
        name = re.findall(r"`([a-z-]+\.json)`:", "\n".join(lines[: block.line - 1]))[-1]
        assert name not in named, f"two blocks are {name}"
        named[name] = block.text
    return named
