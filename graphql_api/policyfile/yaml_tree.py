"""YAML with nothing surprising in it: no anchors, no tags, no key twice, one document, and each value knows its line.

YAML is read event by event, because what loads whole documents expands aliases and nests without end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.resolver import Resolver

from graphql_api.errors import ConfigurationError

MAX_BYTES: Final = 4 * 1024**2  # about 40,000 rules; reading them takes some 200 MB of memory
MAX_VALUES: Final = 600_000  # more than rules of that size have
MAX_DEPTH: Final = 8  # of lists and mappings in one another; the format needs 6

Path = tuple[str | int, ...]  # keys and positions from the top

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
_RESOLVER: Final[Any] = Resolver()
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value where it stands: a list or mapping of nodes, or a scalar. ``line`` counts from 1."""

    value: Any
    line: int

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def line_of(self, path: Path) -> int:
        """Where the value at ``path`` begins, or the innermost part of the way there that exists."""
        here = self
        for step in path:
            try:
                here = here.value[step]
            except (KeyError, IndexError, TypeError):  # a scalar, or a key that should be there
                break
        return here.line


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A fault that does not keep the rest of the document from being read."""

    message: str
    line: int
    is_gap: bool = False  # there is no value, and what else is wrong with it goes without saying


def parse(content: bytes, name: str) -> tuple[Node, list[Misplaced]]:
    """The document in ``content``; ``name`` is the file's, for messages. Raises: ConfigurationError: it is no YAML,
    or YAML of a kind that has no business in a policy file.
    """
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{name}: is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}:{line}: is not UTF-8") from None
    try:
        return _Builder(name).document(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.YAMLError as error:
        raise ConfigurationError(_syntax_fault(error, text, name)) from None


def _syntax_fault(error: yaml.YAMLError, text: str, name: str) -> str:
    mark: Any = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return f"{name}: is not YAML: {str(error).splitlines()[0]}"
    lines = text.split("\n")
    is_tab = mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
    problem = "a tab cannot indent; use spaces" if is_tab else f"is not YAML: {error.problem}"
    if error.problem == "exceeded maximum nesting depth":  # libyaml's own limit, which newer versions reach first
        problem = "is nested too deeply"
    return f"{name}:{mark.line + 1}: {problem}"


class _Builder:
    def __init__(self, name: str) -> None:
        self._name = name
        self._misplaced: list[Misplaced] = []
        self._values = 0

    def document(self, events: Iterator[Any]) -> tuple[Node, list[Misplaced]]:
        next(events)  # the stream
        if isinstance(next(events), yaml.StreamEndEvent):
            raise ConfigurationError(f"{self._name}: is empty")
        node = self._node(next(events), events, 0)
        next(events)  # the document's end
        if not isinstance(after := next(events), yaml.StreamEndEvent):
            raise self._refused(after, "a second document begins")
        return node, self._misplaced

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line = _line(event)
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._refused(event, f"has more than {MAX_VALUES:,} values")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refused(event, "anchors and aliases (& and *) are not allowed; put such text in quotes")
        if event.tag is not None:
            raise self._refused(event, "tags (!) are not allowed; put such text in quotes")
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event, line), line)
        if depth >= MAX_DEPTH:
            raise self._refused(event, "is nested too deeply")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node([self._node(inner, events, depth + 1) for inner in _until(yaml.SequenceEndEvent, events)], line)
        entries: dict[str, Node] = {}
        for key in _until(yaml.MappingEndEvent, events):
            if not isinstance(key, yaml.ScalarEvent) or key.anchor is not None or key.tag is not None:
                raise self._refused(key, "a key must be a word")
            node, key_line = self._node(next(events), events, depth + 1), _line(key)
            if key.value in entries:
                self._misplaced.append(Misplaced(f"{shown(key.value)} stands here twice", key_line))
            else:
                entries[key.value] = Node(node.value, key_line)
        return Node(entries, line)

    def _scalar(self, event: Any, line: int) -> object:
        """What YAML 1.1 makes of it, but for times, which are read where they are wanted. A number that is not whole or
        not decimal is wanted nowhere: a float stands for it.
        """
        text: str = event.value
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, event.implicit)
        match tag.removeprefix("tag:yaml.org,2002:"):
            case "null":
                self._misplaced.append(Misplaced("a value is missing", line, is_gap=True))
                return None
            case "bool":
                return text.lower() in {"yes", "true", "on"}
            case "int":
                return int(text) if _WHOLE_NUMBER.fullmatch(text) else 0.0
            case "float":
                return 0.0
            case _:
                return text

    def _refused(self, event: Any, reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self._name}:{_line(event)}: {reason}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _until(end: type[Any], events: Iterator[Any]) -> Iterator[Any]:
    while not isinstance(event := next(events), end):
        yield event


def shown(text: str) -> str:
    """``text`` for a message: short, and on one line."""
    short = text if len(text) <= 60 else text[:59] + "…"
    return f'"{short}"' if short.isprintable() else ascii(short)
