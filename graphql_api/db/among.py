"""Lists of texts as one parameter: the statement stays the same however many there are."""

from collections.abc import Sequence
from typing import Any, Self

import orjson
from sqlalchemy import ARRAY, BindParameter, Boolean, Dialect, String, TypeDecorator, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from graphql_api.db.types import binary_text


class _Texts(TypeDecorator[Sequence[str]]):
    """An array on PostgreSQL, a JSON list on SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(binary_text()))

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        texts = list(value or ())
        return orjson.dumps(texts).decode() if dialect.name == "sqlite" else texts


def texts(name: str) -> BindParameter[Sequence[str]]:
    """A parameter that takes a list of texts."""
    return bindparam(name, type_=_Texts())


class among(FunctionElement[bool]):  # noqa: N801 -- reads as an operator
    """``among(column, texts("name"))``: the column is one of those."""

    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:  # it is a condition: ``… = 1`` would hide it from indexes
        return self


@compiles(among, "postgresql")
def _in_array(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(values, **options)})"


@compiles(among, "sqlite")
def _in_json(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = element.clauses
    listed = f"SELECT value FROM json_each({compiler.process(values, **options)})"
    return f"({compiler.process(column, **options)} IN ({listed}))"
