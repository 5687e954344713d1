"""Operations asked of two executors: graphql-core's, and ours that completes lists by column."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import strawberry

from graphql_api.model.principal import Principal
from graphql_api.schema import Context, GuardRules, build_stock_schema
from graphql_api.schema.columns import Column, Values
from graphql_api.schema.guard import Limits
from graphql_api.schema.guarding import MAX_ERRORS
from graphql_api.schema.layouts import ColumnExecutor, Layouts
from graphql_api.schema.shortcuts import take_shortcuts
from tests.world import World

TIMES: Final = 3  # nothing is laid out when a document comes first, and it is when it comes again
ENDLESS: Final = GuardRules(Limits(*[10**9] * 6))

Answer = tuple[str, list[Any]]


@dataclass
class Watched:
    """An executor of ours, and how often it completed a list by column, or gave one back that looked as if it could."""

    layouts: Layouts = field(default_factory=Layouts)
    by_column: int = 0
    given_back: int = 0

    @property
    def executor(self) -> type[ColumnExecutor]:
        watched = self

        class Executor(ColumnExecutor):
            layouts = watched.layouts

            def complete_by_column(self, column: Column, values: Values) -> list[Any]:
                watched.given_back += 1
                completed = super().complete_by_column(column, values)
                watched.given_back -= 1
                watched.by_column += 1
                return completed

        return Executor

    def counted(self) -> tuple[int, int]:
        """Since it was asked last: by column, and given back."""
        counts = self.by_column, self.given_back
        self.by_column = self.given_back = 0
        return counts


class BothWays:
    """Our schema with either. ``waits_for_many``: operations have many fields that wait and fail. Only so many errors
    are told, and it is chance which.
    """

    def __init__(self, *, waits_for_many: bool = False) -> None:
        self._waits_for_many = waits_for_many
        self.watched = Watched()
        self.stock = take_shortcuts(build_stock_schema(rules=ENDLESS))
        self.fast = take_shortcuts(build_stock_schema(rules=ENDLESS, executor=self.watched.executor))

    async def answer(
        self, world: World, document: str, variables: Mapping[str, Any] | None = None, *, as_: Principal
    ) -> Answer:
        """What both say."""

        async def ask(schema: strawberry.Schema) -> Answer:
            context = Context(world.services, as_, client_address="192.0.2.1", request_id="req-1")
            data, errors = await answer_of(schema, document, context, variables)
            return data, [] if self._waits_for_many and len(errors) == MAX_ERRORS else errors

        return await same_answer(ask, self.stock, self.fast)


async def same_answer(
    ask: Callable[[strawberry.Schema], Awaitable[Answer]], stock: strawberry.Schema, fast: strawberry.Schema
) -> Answer:
    """That of ``stock``, which ``fast`` gives as well, each time."""
    expected = await ask(stock)
    for _ in range(TIMES):
        assert await ask(fast) == expected
    return expected


async def answer_of(
    schema: strawberry.Schema, document: str, context: object, variables: Mapping[str, Any] | None = None
) -> Answer:
    """Data as text, with the order of its fields, and errors. Those of fields that wait come in any order."""
    result = await schema.execute(document, dict(variables or {}), context_value=context)
    assert isinstance(result, strawberry.types.ExecutionResult)
    errors = sorted([error.formatted for error in result.errors or ()], key=lambda error: str(error.get("path")))
    return json.dumps(result.data), errors
