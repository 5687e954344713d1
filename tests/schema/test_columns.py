"""What is completed by column is what graphql-core makes of it, whatever objects have in their attributes."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import Undefined
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strawberry.extensions import ParserCache, SchemaExtension
from strawberry.schema.config import StrawberryConfig

from graphql_api.schema.scalars import SCALARS, ByteSize, Json, Url, instant_text, instant_texts
from tests.schema.both_ways import Answer, Watched, answer_of, same_answer


@strawberry.enum
class Kind(Enum):
    ONE = "first"
    TWO = "second"


@strawberry.type
class Inner:
    flag: bool


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Thing(Named):
    number: int
    size: ByteSize
    address: Url | None
    maybe: str | None
    when: datetime | None
    kind: Kind
    kinds: list[Kind | None]
    words: list[str]
    note: Json | None
    inner: Inner | None
    inners: list[Inner]

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return value.is_thing  # type: ignore[no-any-return]

    @strawberry.field
    def computed(self) -> int:
        return 1

    @strawberry.field
    def named(self) -> Named | None:
        return None


@strawberry.type
class Query:
    @strawberry.field(graphql_type=list[Thing])
    def things(self, info: strawberry.Info[Any, None]) -> Any:
        return info.context()

    @strawberry.field(graphql_type=list[Thing | None] | None)
    def some(self, info: strawberry.Info[Any, None]) -> Any:
        return info.context()


def thing(**strange: Any) -> SimpleNamespace:
    usual = {
        "is_thing": True,
        "name": "a",
        "number": 1,
        "size": 2**40,
        "address": "https://a.test",
        "maybe": None,
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "kind": Kind.TWO,
        "kinds": [Kind.ONE, None],
        "words": ("b", "c"),
        "note": {"d": [1, None]},
        "inner": SimpleNamespace(flag=True),
        "inners": [SimpleNamespace(flag=False), SimpleNamespace(flag=True)],
    }
    return SimpleNamespace(**usual | strange)


def schema_of(executor: Any, *more: type[SchemaExtension]) -> strawberry.Schema:
    return strawberry.Schema(
        Query,
        types=[Thing],
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=executor,
        extensions=[lambda: ParserCache(maxsize=100), *more],
    )


WATCHED = Watched()
STOCK, FAST = schema_of(None), schema_of(WATCHED.executor)
EVERYTHING = """{ %s {
  __typename name number size address maybe when kind kinds words note inner { flag __typename } inners { flag }
} }"""


async def answer(document: str, rows: Callable[[], Any], stock: Any = STOCK, fast: Any = FAST) -> Answer:
    async def ask(schema: strawberry.Schema) -> Answer:
        return await answer_of(schema, document, rows)

    WATCHED.counted()
    return await same_answer(ask, stock, fast)


def was_by_column() -> bool:
    """The second time and the third. Lists within rows come more than once, and are counted too."""
    by_column, given_back = WATCHED.counted()
    return by_column >= 2 and not given_back


def was_given_back() -> bool:
    return WATCHED.counted()[1] >= 2


def null() -> None:
    return None


async def later(value: object) -> object:
    await asyncio.sleep(0)
    return value


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Awaited:
    flag = True

    def __await__(self) -> Iterator[Any]:
        return later(SimpleNamespace(flag=False)).__await__()


class Failing:
    def __init__(self) -> None:
        self.__dict__.update(vars(thing()))

    @property
    def name(self) -> str:
        raise LookupError("no name")


WEST = timezone(timedelta(hours=-8))

USUAL: list[dict[str, Any]] = [
    {},
    {"name": "\ud800é\n\0"},
    {"number": -(2**31)},
    {"number": True},
    {"number": 1.0},
    {"number": "17"},
    {"address": 5},
    {"maybe": "text"},
    {"maybe": 1.5},
    {"when": None},
    {"when": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=WEST)},
    {"kinds": ()},
    {"words": []},
    {"note": "text"},
    {"note": None},
    {"note": [[]]},
    {"inner": None},
    {"inners": ()},
]
STRANGE: list[Callable[[], dict[str, Any]]] = [
    lambda: {"is_thing": False},
    lambda: {"is_thing": ""},
    lambda: {"name": None},
    lambda: {"name": Undefined},
    lambda: {"name": b"bytes"},
    lambda: {"name": ["list"]},
    lambda: {"name": Text("subclass")},
    lambda: {"name": ValueError("raised")},
    lambda: {"name": later("awaited")},
    lambda: {"name": later(None)},
    lambda: {"number": 2**31},
    lambda: {"number": 1.5},
    lambda: {"number": "one"},
    lambda: {"number": Number(5)},
    lambda: {"size": None},
    lambda: {"size": "much"},
    lambda: {"address": ValueError("raised")},
    lambda: {"address": later("https://b.test")},
    lambda: {"maybe": ValueError("raised")},
    lambda: {"maybe": later(None)},
    lambda: {"maybe": Undefined},
    lambda: {"when": "2026-01-02"},
    lambda: {"when": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},  # before the first that UTC has
    lambda: {"when": later(datetime(2026, 1, 2, tzinfo=UTC))},
    lambda: {"kind": "first"},
    lambda: {"kind": "third"},
    lambda: {"kind": None},
    lambda: {"kinds": [Kind.ONE, ValueError("raised")]},
    lambda: {"kinds": [later(Kind.TWO), later(None)]},
    lambda: {"words": None},
    lambda: {"words": "text"},
    lambda: {"words": {"one"}},
    lambda: {"words": iter(["once"])},
    lambda: {"words": ["a", None]},
    lambda: {"words": [later("a")]},
    lambda: {"note": Text("subclass")},
    lambda: {"note": later(1)},
    lambda: {"inner": SimpleNamespace()},
    lambda: {"inner": SimpleNamespace(flag=None)},
    lambda: {"inner": ValueError("raised")},
    lambda: {"inner": Awaited()},
    lambda: {"inner": later(None)},
    lambda: {"inners": None},
    lambda: {"inners": [None]},
    lambda: {"inners": [SimpleNamespace(flag=True), ValueError("raised")]},
    lambda: {"inners": [later(SimpleNamespace(flag=True))]},
    lambda: {"inners": 5},
]


@pytest.mark.parametrize("field", ["things", "some"])
@pytest.mark.parametrize("values", USUAL)
async def test_usual_values_are_completed_by_column(field: str, values: dict[str, Any]) -> None:
    _, errors = await answer(EVERYTHING % field, lambda: [thing(), thing(**values), thing()])
    assert not errors
    assert was_by_column()


@pytest.mark.parametrize("field", ["things", "some"])
@pytest.mark.parametrize("number", range(len(STRANGE)))
async def test_strange_values_are_left_to_graphql_core(field: str, number: int) -> None:
    await answer(EVERYTHING % field, lambda: [thing(), thing(**STRANGE[number]()), thing()])
    assert was_given_back()


@pytest.mark.parametrize("field", ["things", "some"])
@pytest.mark.parametrize(
    "row",
    [
        null,
        lambda: Undefined,
        lambda: ValueError("raised"),
        lambda: later(thing()),
        lambda: later(None),
        Awaited,
        Failing,
        lambda: SimpleNamespace(is_thing=True),
        object,
    ],
)
async def test_so_are_strange_rows(field: str, row: Callable[[], Any]) -> None:
    await answer(EVERYTHING % field, lambda: (thing(), row(), thing()))
    # A list may have nulls in it, if its type says so.
    assert was_by_column() if field == "some" and row is null else was_given_back()
    await answer(f"{{ {field} {{ __typename }} }}", lambda: (thing(), row(), thing()))


@pytest.mark.parametrize("rows", [list, lambda: None, lambda: iter([thing()]), lambda: {1: thing()}, lambda: thing()])
async def test_nothing_but_a_list_with_something_in_it_is_looked_at(rows: Callable[[], Any]) -> None:
    await answer("{ some { name } }", rows)
    assert WATCHED.counted() == (0, 0)


@pytest.mark.parametrize("selected", ["computed", "named { name }", "name ... on Named { computed: name } computed"])
async def test_a_list_with_a_field_that_does_more_than_read_is_not_laid_out(selected: str) -> None:
    await answer(f"{{ things {{ {selected} }} }}", lambda: [thing()])
    assert WATCHED.counted() == (0, 0)


class Around(SchemaExtension):
    def resolve(self, _next: Callable[..., Any], root: Any, info: Any, *args: Any, **given: Any) -> object:
        value = _next(root, info, *args, **given)
        return value.upper() if isinstance(value, str) else value


async def test_whatever_wants_to_be_around_each_field_is() -> None:
    stock, fast = schema_of(None, Around), schema_of(WATCHED.executor, Around)
    data, _ = await answer("{ things { name } }", lambda: [thing()], stock, fast)
    assert "A" in data
    assert WATCHED.counted() == (0, 0)


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(st.datetimes(timezones=st.timezones() | st.just(UTC)), max_size=5))
@example([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)])
def test_instants_are_written_alike_one_by_one_and_together(values: list[datetime]) -> None:
    try:
        expected = [instant_text(value) for value in values]
    except OverflowError:
        with pytest.raises(OverflowError):
            instant_texts(values)
    else:
        assert instant_texts(values) == expected
