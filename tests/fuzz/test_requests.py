"""Whatever the schema allows is answered, and everything else is refused; neither shows a bug."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.generation import GenerationMode

from tests.cli.program import running_dev
from tests.e2e.client import Client
from tests.fuzz.documents import bodies, mangled, valid_documents
from tests.fuzz.operations import Operation, faults, operations
from tests.fuzz.stock import Stock, stocked
from tests.schema.test_sdl import COMMITTED, committed

SCHEMA = committed()
ROOTS = (SCHEMA.query_type, SCHEMA.mutation_type)
PYTHON = re.compile(r"<class|NoneType|Maybe\[|object at 0x|Traceback|sys\.|\.py\b")
LABELS = [f"{root.name}.{name}" for root in ROOTS if root is not None for name in root.fields]
CASES = 5_000  # nightly, valid ones

# What fails is not made smaller: the stack is another by then.
FREELY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
SOME = settings(FREELY, derandomize=True, max_examples=60)
FEW = settings(FREELY, max_examples=4)
MANY = settings(FREELY, max_examples=-(-CASES // len(LABELS)))


@pytest.fixture(scope="module")
def made_up() -> Mapping[str, Operation]:
    return operations(COMMITTED.read_text())


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An administrator, to whom nothing is closed, of a stack that may be spoilt."""
    with running_dev(tmp_path_factory.mktemp("fuzz")) as stack:
        client = Client(stack.graphql, stack.token("admin"))
        yield client
        client.close()
        assert stack.program.err == ""  # where bugs are logged


@pytest.fixture(scope="module")
def stock(client: Client) -> Stock:
    return stocked(client)


def ask(client: Client, **request: Any) -> httpx.Response:
    """What is answered; of thousands of cases some have to wait until there are points again."""
    while (answer := client.api.post(client.graphql, **request)).status_code == 429:
        time.sleep(int(answer.headers["retry-after"]))
    return answer


def check_valid(operation: Operation, how: settings, client: Client, stock: Stock) -> None:
    @seed(1)
    @how
    @given(operation.as_strategy())
    def run(case: Case[Any]) -> None:
        case.body = stock.filled_in(str(case.body))
        answer = ask(client, json={"query": case.body})
        stock.learn(answer.text)
        assert faults(case, answer) == [], (case.body, answer.text)

    run()


def check_invalid(operation: Operation, how: settings, client: Client) -> None:
    @seed(1)
    @how
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Case[Any]) -> None:
        answer = ask(client, json={"query": case.body})
        assert faults(case, answer) == [], (case.body, answer.text)

    run()


@pytest.mark.parametrize("label", LABELS)
def test_what_the_schema_allows_is_answered(
    label: str, made_up: Mapping[str, Operation], client: Client, stock: Stock
) -> None:
    check_valid(made_up[label], FEW, client, stock)


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
@given(text=mangled(valid_documents(SCHEMA)))
def test_what_is_hardly_a_document_is_refused(client: Client, text: str) -> None:
    check_refusal(ask(client, json={"query": text}))


@SOME
@given(body=bodies(valid_documents(SCHEMA)))
def test_what_is_hardly_a_request_is_refused(client: Client, body: bytes) -> None:
    check_refusal(ask(client, content=body, headers={"content-type": "application/json"}))


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("label", LABELS)
def test_what_the_schema_allows_is_answered_many_times(
    label: str, made_up: Mapping[str, Operation], client: Client, stock: Stock
) -> None:
    check_valid(made_up[label], MANY, client, stock)
    check_invalid(made_up[label], MANY, client)
