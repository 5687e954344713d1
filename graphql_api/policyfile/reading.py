"""From the bytes of a policy file to what it says; or every fault of it at once, each with its line."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from graphql_api.errors import ConfigurationError
from graphql_api.model.names import name_key
from graphql_api.model.rule import Effect, Obligations
from graphql_api.policyfile.document import FileGroup, FileRule, FileSection, PolicyDocument, Target, Whom
from graphql_api.policyfile.shapes import GROUP, MEMBER, RESOURCE, RULE, TOP, LinkShape, ResourceShape, RuleShape
from graphql_api.policyfile.yaml_tree import Node, Path, parse

MAX_TOLD: Final = 50  # faults of one file

T = TypeVar("T")

_MESSAGES: Final = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "should be text: put it in quotes",
    "list_type": "should be a list",
    "model_type": "should be a mapping",
    "int_type": "should be a whole number",
    "bool_type": "should be true or false",
    "too_short": "should not be empty",
}


@dataclass(frozen=True)
class PolicyFile:
    """``document`` as it was read from ``content``; ``name`` is the file's, for messages."""

    name: str
    content: bytes = field(repr=False)
    document: PolicyDocument
    _tree: Node = field(repr=False)

    def refused(self, faults: Iterable[tuple[Path, str]]) -> ConfigurationError:
        """What to raise when the parts at these paths turn out to be no good: a line for each."""
        return _told(self.name, [(self._tree.line_of(path), path, message) for path, message in faults])


def read(content: bytes, name: str) -> PolicyFile:
    """What the file ``name`` says. Raises: ConfigurationError: one line for every fault."""
    tree, misplaced = parse(content, name)
    reader = _Reader()
    document = reader.document(tree.plain())
    gaps = {fault.line for fault in misplaced if fault.is_gap}
    faults: list[tuple[int, Path, str]] = [(fault.line, (), fault.message) for fault in misplaced]
    placed = [(tree.line_of(path), path, message) for path, message in reader.faults]
    faults += [fault for fault in placed if fault[0] not in gaps]
    if faults:
        raise _told(name, faults)
    return PolicyFile(name, content, document, tree)


def _told(name: str, faults: list[tuple[int, Path, str]]) -> ConfigurationError:
    faults = sorted(faults, key=lambda fault: fault[0])
    more = [f"{name}: and {len(faults) - MAX_TOLD} more faults"] if len(faults) > MAX_TOLD else []
    lines = (f"{_place(name, line, path)}: {message}" for line, path, message in faults[:MAX_TOLD])
    return ConfigurationError(*lines, *more)


def _place(name: str, line: int, path: Path) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return f"{name}:{line}: {steps}" if steps else f"{name}:{line}"


class _Reader:
    """Collects faults part by part: the shape of each, then of what is in it, so that one fault hides no other."""

    def __init__(self) -> None:
        self.faults: list[tuple[Path, str]] = []

    def document(self, plain: object) -> PolicyDocument:
        self._checked(TOP, plain, ())
        return PolicyDocument(self._groups(_list_in(plain, "groups")), self._sections(_list_in(plain, "resources")))

    def _groups(self, parts: list[Any]) -> tuple[FileGroup, ...]:
        groups = self._each(parts, ("groups",), self._group)
        self._no_two(groups, lambda group: name_key(group.name), "is the same group as")
        claimed = [(path, group) for path, group in groups if group.claim is not None]
        self._no_two(claimed, lambda group: str(group.claim), "has the same claim as")
        return tuple(group for _, group in groups)

    def _group(self, part: object, path: Path) -> FileGroup | None:
        shape = self._checked(GROUP, part, path)
        members = self._each(_list_in(part, "members"), (*path, "members"), self._member)
        self._no_two(members, lambda member: member.key, "is the same as")
        if shape is None:
            return None
        named = None if shape.members is None else tuple(member for _, member in members)
        return FileGroup(shape.name, shape.claim, named)

    def _member(self, part: object, path: Path) -> Whom | None:
        return self._checked(MEMBER, part, path)

    def _sections(self, parts: list[Any]) -> tuple[FileSection, ...]:
        sections = self._each(parts, ("resources",), self._section)
        self._no_two(sections, lambda section: section.target.key, "is the same resource as")
        return tuple(section for _, section in sections)

    def _section(self, part: object, path: Path) -> FileSection | None:
        shape = self._checked(RESOURCE, part, path)
        rules = self._each(_list_in(part, "rules"), (*path, "rules"), self._rule)
        self._no_two(rules, lambda rule: rule.key, "says the same as")
        return None if shape is None else FileSection(_target(shape), tuple(rule for _, rule in rules))

    def _rule(self, part: object, path: Path) -> FileRule | None:
        shape = self._checked(RULE, part, path)
        return None if shape is None else _rule(shape)

    def _checked(self, shape: TypeAdapter[T], part: object, path: Path) -> T | None:
        try:
            return shape.validate_python(part)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            self.faults += [((*path, *fault["loc"]), _message(fault)) for fault in faults]
            return None

    def _each(self, parts: list[Any], path: Path, one: Callable[[object, Path], T | None]) -> list[tuple[Path, T]]:
        """The parts that are sound, each with its path."""
        found = ((here := (*path, position), one(part, here)) for position, part in enumerate(parts))
        return [(here, sound) for here, sound in found if sound is not None]

    def _no_two(self, found: Iterable[tuple[Path, T]], key: Callable[[T], Hashable], message: str) -> None:
        first: dict[Hashable, Path] = {}
        for path, part in found:
            other = first.setdefault(key(part), path)
            if other is not path:
                self.faults.append((path, f"{message} {other[-2]}[{other[-1]}]"))


def _list_in(part: object, key: str) -> list[Any]:
    """What can be looked into, also when the part as a whole is no good."""
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, list) else []


def _message(fault: ErrorDetails) -> str:
    text = _MESSAGES.get(fault["type"], fault["msg"].removeprefix("Value error, ").removeprefix("Input "))
    return text[:1].lower() + text[1:]


def _target(shape: ResourceShape) -> Target:
    if shape.label is not None:
        return Target("label", label=shape.label)
    if shape.root is not None:
        return Target("root")
    kind, path = ("file", shape.file) if shape.folder is None else ("folder", shape.folder)
    return Target(kind, tuple(path or ()))


def _rule(shape: RuleShape) -> FileRule:
    link = shape.link or LinkShape()
    longest = None if link.longest is None else timedelta(seconds=link.longest)
    obligations = Obligations(longest, link.bind_ip, link.download, link.personal)
    return FileRule(
        effect=Effect.DENY if shape.allow is None else Effect.ALLOW,
        permissions=frozenset(shape.allow or shape.deny or ()),
        to=shape.to,
        starts_at=shape.starts_at,
        ends_at=shape.until,
        ip_ranges=tuple(sorted(shape.ips)),
        obligations=obligations,
    )
