"""Made-up documents: operations with fragments that spread each other."""

import gzip
import json
import re
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    print_ast,
)
from graphql.type import SchemaMetaFieldDef
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.fuzz.values import values

MAX_FRAGMENTS: Final = 4
MAX_NESTING: Final = 4
RARELY: Final = st.integers(0, 9).map(lambda number: number == 0)
DIRECTIVES: Final = ("", "", "", "", " @include(if: true)", " @skip(if: false)")


def valid_documents(schema: GraphQLSchema) -> SearchStrategy[str]:
    """One operation, a query mostly, and the fragments that it spreads."""
    return _documents(schema, is_valid=True)


def documents(schema: GraphQLSchema) -> SearchStrategy[str]:
    """Likewise, with what is not in the schema, answers of two kinds under one name, and fragments in circles."""
    return _documents(schema, is_valid=False)


@st.composite
def _documents(draw: DrawFn, schema: GraphQLSchema, *, is_valid: bool) -> str:
    return _Writer(draw, schema, is_valid=is_valid).document()


class _Writer:
    def __init__(self, draw: DrawFn, schema: GraphQLSchema, *, is_valid: bool) -> None:
        self._draw = draw
        self._schema = schema
        self._is_valid = is_valid
        self._fragments: list[str] = []  # the types that they are on
        self._written = -1  # the number of the fragment that is being written
        self._fields = 0

    def document(self) -> str:
        schema = self._schema
        root = self._draw(st.sampled_from([schema.query_type, schema.query_type, schema.mutation_type]))
        assert root is not None
        others = [type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLObjectType)]
        conditions = self._draw(st.lists(st.just(root) | st.sampled_from(others), max_size=MAX_FRAGMENTS))
        self._fragments = [type_.name for type_ in conditions]
        word = "query" if root is schema.query_type else "mutation"
        parts = [f"{word} {self._selection(root, MAX_NESTING)}"]
        for number, type_ in enumerate(conditions):
            self._written = number
            inner = self._selection(type_, MAX_NESTING - 1)
            if not self._is_valid or any(f"...f{number}" in part for part in parts):
                parts.append(f"fragment f{number} on {type_.name} {inner}")
        return "\n".join(parts)

    def _selection(self, type_: GraphQLNamedType, nesting: int) -> str:
        return f"{{ {' '.join(self._part(type_, nesting) for _ in range(self._draw(st.integers(1, 3))))} }}"

    def _part(self, type_: GraphQLNamedType, nesting: int) -> str:
        directive = self._draw(st.sampled_from(DIRECTIVES))
        kind = self._draw(st.integers(0, 5))
        spread = self._spread(type_) if kind == 0 else None
        if spread is not None:
            return f"{spread}{directive}"
        if kind in (1, 2) and nesting:
            is_narrower = kind == 2 and is_abstract_type(type_)
            possible: Any = self._schema.get_possible_types(type_) if is_narrower else [type_]  # type: ignore[arg-type]
            inner = self._draw(st.sampled_from(possible))
            return f"... on {inner.name}{directive} {self._selection(inner, nesting - 1)}"
        return self._field(type_, directive, nesting)

    def _spread(self, type_: GraphQLNamedType) -> str | None:
        """What spreads a fragment, one of the type if there is one; a valid document has no other and no circles."""
        numbers = range(self._written + 1 if self._is_valid else 0, len(self._fragments))
        fitting = [number for number in numbers if self._fragments[number] == type_.name]
        chosen = fitting or ([] if self._is_valid else list(numbers))
        return f"...f{self._draw(st.sampled_from(chosen))}" if chosen else None

    def _field(self, type_: GraphQLNamedType, directive: str, nesting: int) -> str:
        fields = type_.fields if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) else {}
        if not fields or (not self._is_valid and self._draw(RARELY)):
            is_known = self._is_valid or self._draw(st.booleans())
            return f"{'__typename' if is_known else 'nothing'}{directive}"
        if type_ is self._schema.query_type and self._draw(RARELY):
            return f"{self._alias()}__schema{directive}{self._below(SchemaMetaFieldDef, nesting)}"
        name = self._draw(st.sampled_from(sorted(fields)))
        return f"{self._alias()}{name}{self._arguments(fields[name])}{directive}{self._below(fields[name], nesting)}"

    def _alias(self) -> str:
        self._fields += 1
        if self._is_valid:
            return f"a{self._fields}: "
        return f"a{self._draw(st.integers(0, 9))}: " if self._draw(st.booleans()) else ""

    def _arguments(self, field: GraphQLField) -> str:
        given = [
            f"{name}: {print_ast(self._draw(values(argument.type)))}"
            for name, argument in field.args.items()
            if is_required_argument(argument) or self._draw(RARELY)
        ]
        return f"({', '.join(given)})" if given else ""

    def _below(self, field: GraphQLField, nesting: int) -> str:
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            return ""
        return " " + (self._selection(inner, nesting - 1) if nesting else "{ __typename }")


TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\.\.\.|\w+|\S')
PIECES: Final = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "...",
    "@",
    "$x",
    "!",
    '"',
    '"""',
    "\\u",
    "null",
    "0",
    "-1.5e9",
    "\ufeff",
]


@st.composite
def mangled(draw: DrawFn, texts: SearchStrategy[str]) -> str:
    """A text with a few of its tokens taken out, doubled, swapped or replaced; hardly ever is it GraphQL any more."""
    tokens = TOKENS.findall(draw(texts))
    for _ in range(draw(st.integers(1, 4))):
        at, other = draw(st.integers(0, len(tokens) - 1)), draw(st.integers(0, len(tokens) - 1))
        what = draw(st.integers(0, 3))
        if what == 0 and len(tokens) > 1:
            del tokens[at]
        elif what == 1:
            tokens.insert(at, tokens[other])
        elif what == 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        else:
            tokens[at] = draw(st.sampled_from(PIECES) | st.text(max_size=3))
    return " ".join(tokens)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def bodies(draw: DrawFn, texts: SearchStrategy[str]) -> bytes:
    """What is sent as a request: hardly one, or in another encoding, or cut off, or bytes."""
    parts = {"query": texts | JSON, "operationName": JSON, "variables": JSON, "extensions": JSON}
    value = draw(st.fixed_dictionaries({}, optional=parts) | JSON)
    body = json.dumps(value, ensure_ascii=draw(st.booleans())).encode(
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])), errors="surrogatepass"
    )
    what = draw(st.integers(0, 9))
    if what == 0:
        return gzip.compress(body, mtime=0)
    if what == 1:
        return body[: draw(st.integers(0, len(body)))]
    return draw(st.binary()) if what == 2 else body
