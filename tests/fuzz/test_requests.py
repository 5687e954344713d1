"""Whatever the schema allows is answered, and everything else is refused; neither shows a bug."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import ValueNode, print_ast
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.generation import GenerationMode

from tests.cli.program import DevStack, running_dev, serving
from tests.cli.warm import MODULE
from tests.e2e.client import Client
from tests.fuzz.documents import bodies, mangled, valid_documents
from tests.fuzz.operations import Operation, faults, is_limited, operations
from tests.fuzz.stock import Stock, stocked
from tests.fuzz.values import SCALARS
from tests.schema.test_sdl import COMMITTED, committed

SCHEMA = committed()
ROOTS = (SCHEMA.query_type, SCHEMA.mutation_type)
PYTHON = re.compile(r"<class|NoneType|Maybe\[|object at 0x|Traceback|sys\.|\.py\b")
SUBSCRIPTIONS = SCHEMA.subscription_type.fields if SCHEMA.subscription_type else {}
LABELS = [f"{root.name}.{name}" for root in ROOTS if root is not None for name in root.fields]
CASES = 5_000  # nightly, valid ones
MANY_ENOUGH = 100

# What fails is not made smaller: the stack is another by then.
FREELY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
SOME = settings(FREELY, derandomize=True, max_examples=60)
FEW = settings(FREELY, max_examples=4)
MANY = settings(FREELY, max_examples=-(-CASES // len(LABELS)))


@pytest.fixture(scope="module")
def made_up() -> Mapping[str, Operation]:
    return operations(COMMITTED.read_text())


@contextmanager
def unlimited(stack: DevStack, folder: Path) -> Iterator[str]:
    """Where a second API of the stack answers everybody as often as they like."""
    environ = stack.environment(GRAPHQL_API_RATE_POINTS_PER_VIEWER="0", GRAPHQL_API_LOG_LEVEL="ERROR")
    with serving(MODULE, folder, environ) as (program, address):
        yield f"{address}/graphql"
        assert program.err == ""  # where bugs are logged


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An administrator, to whom nothing is closed, of a stack that may be spoilt."""
    folder = tmp_path_factory.mktemp("fuzz")
    with running_dev(folder) as stack, unlimited(stack, folder) as graphql:
        client = Client(graphql, stack.token("admin"))
        yield client
        client.close()


@pytest.fixture(scope="module")
def stock(client: Client) -> Stock:
    return stocked(client)


@dataclass
class Tally:
    """Of operations that the schema allows."""

    asked: int = 0
    limited: int = 0


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """What the guard lets through is most of it, where enough was asked to tell."""
    tally = Tally()
    yield tally
    assert tally.asked < MANY_ENOUGH or tally.limited <= 0.05 * tally.asked, tally


def check_valid(operation: Operation, how: settings, client: Client, stock: Stock, tally: Tally) -> None:
    @seed(1)
    @how
    @given(operation.as_strategy())
    def run(case: Case[Any]) -> None:
        case.body = stock.filled_in(str(case.body))
        answer = client.api.post(client.graphql, json={"query": case.body})
        stock.learn(answer.text)
        tally.asked += 1
        tally.limited += any(map(is_limited, answer.json().get("errors", ())))
        assert faults(case, answer) == [], (case.body, answer.text)

    run()


def check_invalid(operation: Operation, how: settings, client: Client) -> None:
    @seed(1)
    @how
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Case[Any]) -> None:
        answer = client.api.post(client.graphql, json={"query": case.body})
        assert faults(case, answer) == [], (case.body, answer.text)

    run()


@pytest.mark.parametrize("label", LABELS)
def test_what_the_schema_allows_is_answered(
    label: str, made_up: Mapping[str, Operation], client: Client, stock: Stock, tally: Tally
) -> None:
    check_valid(made_up[label], FEW, client, stock, tally)


@pytest.mark.parametrize("label", LABELS)
def test_what_it_does_not_allow_is_refused(label: str, made_up: Mapping[str, Operation], client: Client) -> None:
    check_invalid(made_up[label], FEW, client)


def check_refusal(answer: httpx.Response) -> None:
    """Or what by chance is sound: in JSON, each error with a code, and no word of what runs here."""
    assert answer.status_code in (200, 400), (answer.status_code, answer.text)
    assert answer.headers["content-type"].startswith("application/json")
    codes = [error["extensions"]["code"] for error in answer.json().get("errors", ())]
    assert "INTERNAL_SERVER_ERROR" not in codes
    assert codes or answer.json()["data"] is not None
    assert not PYTHON.search(answer.text), answer.text


@SOME
@given(field=st.sampled_from(sorted(SUBSCRIPTIONS)), id_=SCALARS["ID"])
def test_whatever_is_subscribed_to_is_told_or_refused(client: Client, stock: Stock, field: str, id_: ValueNode) -> None:
    """schemathesis leaves subscriptions out."""
    [name] = SUBSCRIPTIONS[field].args
    document = stock.filled_in(f"subscription {{ {field}({name}: {print_ast(id_)}) {{ __typename }} }}")
    with client.api.stream(
        "POST", client.graphql, json={"query": document}, headers={"accept": "text/event-stream"}
    ) as answer:
        told = next(line for line in answer.iter_lines() if line.startswith("data: {"))
    result = json.loads(told.removeprefix("data: "))
    codes = [error["extensions"]["code"] for error in result.get("errors", ())]
    assert codes == ["NOT_FOUND"] or result["data"][field], (document, told)


@SOME
@given(text=mangled(valid_documents(SCHEMA)))
def test_what_is_hardly_a_document_is_refused(client: Client, text: str) -> None:
    check_refusal(client.api.post(client.graphql, json={"query": text}))


@SOME
@given(body=bodies(valid_documents(SCHEMA)))
def test_what_is_hardly_a_request_is_refused(client: Client, body: bytes) -> None:
    check_refusal(client.api.post(client.graphql, content=body, headers={"content-type": "application/json"}))


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("label", LABELS)
def test_what_the_schema_allows_is_answered_many_times(
    label: str, made_up: Mapping[str, Operation], client: Client, stock: Stock, tally: Tally
) -> None:
    check_valid(made_up[label], MANY, client, stock, tally)
    check_invalid(made_up[label], MANY, client)
