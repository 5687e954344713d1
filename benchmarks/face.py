"""The GraphQL face, taken apart: guard and view of the page with links, beside what executing that page takes; and what
it takes where lists are completed by column.
"""

from typing import Any, Final

import orjson
import strawberry
from graphql import ExecutionResult as CoreExecutionResult
from graphql import Executor, execute, parse
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from strawberry.types import ExecutionResult

from benchmarks.client import Client
from benchmarks.measure import Effort, interleaved
from benchmarks.report import Bound, Database, Measurement
from benchmarks.site import Site
from graphql_api.bootstrap import Assembly, assemble
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Principal
from graphql_api.schema import Context, GuardRules, build_schema
from graphql_api.schema.guard import Guard, faults_of
from graphql_api.settings import Settings
from graphql_api.web.documents import Documents
from graphql_api.web.graphql_view import GraphQLView
from graphql_api.web.places import Places
from graphql_api.web.viewers import Viewers

_REQUEST_ID: Final = "01kaqz6c4m0000000000000000"


@strawberry.type
class _Query:
    page: str = ""


class _Answered(strawberry.Schema):
    """Has the answer already, so that nothing but the view is measured."""

    def __init__(self, answer: ExecutionResult) -> None:
        super().__init__(query=_Query)
        self._answer = answer

    async def execute(self, *_request: Any, **_rest: Any) -> ExecutionResult:
        return self._answer


class _Known(Viewers):
    """Has the viewer already, likewise."""

    def __init__(self, context: Context) -> None:
        self._given = context

    async def context(self, connection: HTTPConnection, authorization: str | None) -> Context:
        return self._given


async def measure(place: Site, database: Database, document: str, effort: Effort, first: int) -> list[Measurement]:
    """Of one page of ``first`` files. What it is compared with is graphql-core's executor on the schema that ships."""
    assembly = assemble(Settings.read(place.environment))
    await assembly.keys.keyring.start()
    try:
        return await _measure(assembly, place, database, document, effort, first)
    finally:
        await assembly.close()


async def _measure(
    assembly: Assembly, place: Site, database: Database, document: str, effort: Effort, first: int
) -> list[Measurement]:
    ours = build_schema()
    schema = ours._schema
    parsed = parse(document)
    variables = {"first": first}
    principal = Principal(UserId(place.user_id), request_id=_REQUEST_ID)
    limits = GuardRules().limits

    def context() -> Context:
        return Context(assembly.services, principal, client_address=None, request_id=_REQUEST_ID)

    async def executed(by: type[Executor[Any]] | None) -> CoreExecutionResult:
        result = execute(schema, parsed, variable_values=variables, context_value=context(), executor_class=by)
        return result if isinstance(result, CoreExecutionResult) else await result

    async def executor() -> CoreExecutionResult:
        return await executed(None)

    async def lists() -> CoreExecutionResult:
        return await executed(ours.execution_context_class)

    async def guard() -> None:
        guard = Guard(schema, parsed, variables)
        guard.introspects(None)
        measured, root_fields = guard.measure(None)
        assert not faults_of(measured, root_fields, limits)

    page = await executor()
    assert page.data is not None
    assert len(page.data["files"]["nodes"]) == first
    client = _view_client(ExecutionResult(data=page.data, errors=None), context())
    body = orjson.dumps({"query": document, "variables": variables})

    async def view() -> bytes:
        return await client.post(body)

    assert orjson.loads(await view()) == {"data": page.data}
    for _ in range(2):  # what comes for the second time is laid out
        assert await lists() == page
    times = await interleaved({"executor": executor, "lists": lists, "guard": guard, "view": view}, effort)

    def measurement(name: str, ours: float, *bounds: Bound) -> Measurement:
        return Measurement(name, database, ours, None, None, bounds, executor=times["executor"])

    together = measurement("face", times["guard"] + times["view"], Bound("executor/ours", at_least=10))
    by_column = measurement("lists", times["lists"], Bound("executor/ours", at_least=2))
    return [measurement("guard", times["guard"]), measurement("view", times["view"]), together, by_column]


def _view_client(answer: ExecutionResult, context: Context) -> Client:
    """Of an application that is nothing but the view."""
    places = Places(each=1, total=1)
    view = GraphQLView(_Answered(answer), _Known(context), operations=places, documents=Documents(), has_console=False)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await view({**scope, "state": {"request_id": _REQUEST_ID}}, receive, send)

    return Client(app, "/graphql", "none")
