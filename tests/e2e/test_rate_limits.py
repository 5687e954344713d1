"""Rate limits as the settings say them: two processes on one PostgreSQL, and our own client that waits its turn."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest

from graphql_api.client.api import Api
from graphql_api.client.patience import Patience
from graphql_api.running import application
from graphql_api.services.rates import BASE_COST
from graphql_api.settings import Settings
from tests.postgres import PostgresCluster
from tests.web.small_app import running
from tests.web.test_logs import PEM
from tests.web.tokens import AUDIENCE, ISSUER, SECRET, Clock, bearer

VIEWER = "{ viewer { displayName } }"
PRICE = BASE_COST + 1


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def processes(clock: Clock, postgres: PostgresCluster, postgres_template: str) -> Iterator[list[str]]:
    """Two of one service, whose viewers may ask twice in ten seconds."""
    url = postgres.create_database(template=postgres_template)
    settings = {
        "DATABASE_URL": url,
        "S3_BUCKET": "private-files",
        "CDN_BASE_URL": "https://cdn.example.com",
        "CDN_KEY_ID": "K2JCJMDEHXQW5F",
        "CDN_PRIVATE_KEY": PEM,
        "AUTH_HS256_SECRET": SECRET,
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "SWEEP_SECONDS": "0",
        "RATE_POINTS_PER_VIEWER": str(2 * PRICE),
        "RATE_POINTS_PER_ADDRESS": str(2 * PRICE),
        "RATE_SECONDS": "2",
    }
    environ = {f"GRAPHQL_API_{name}": value for name, value in settings.items()}
    thresholds = gc.get_threshold()
    with ExitStack() as stack:
        yield [stack.enter_context(running(application(Settings.read(environ), clock=clock))) for _ in range(2)]
    gc.set_threshold(*thresholds)  # which a service sets for itself
    gc.unfreeze()
    postgres.drop_database(url)


def ask(process: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{process}/graphql", json={"query": VIEWER}, headers=headers, trust_env=False)


def test_all_processes_count_together(processes: list[str], clock: Clock) -> None:
    ada = {"authorization": bearer(clock, sub="ada")}
    for headers in (ada, {}):
        assert [ask(process, **headers).status_code for process in processes] == [200, 200]
        for process in processes:
            refused = ask(process, **headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    clock.advance(timedelta(seconds=1))
    assert [ask(process, **ada).status_code for process in processes] == [200, 429]
    clock.advance(timedelta(seconds=2))


async def test_our_client_waits_its_turn(processes: list[str], clock: Clock) -> None:
    statuses: list[int] = []

    async def pass_time(answer: httpx.Response) -> None:
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            clock.advance(timedelta(seconds=int(answer.headers["retry-after"])))

    token = bearer(clock, sub="bea").removeprefix("Bearer ")
    async with httpx.AsyncClient(trust_env=False, event_hooks={"response": [pass_time]}) as http:
        api = Api(http, f"{processes[0]}/graphql", token, Patience())
        names = [(await api.ask(VIEWER))["viewer"]["displayName"] for _ in range(3)]
    assert names == ["bea"] * 3
    assert statuses == [200, 200, 429, 200]
