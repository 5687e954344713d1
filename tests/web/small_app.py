"""A small schema, few services, and the app around them, called directly or behind a real server."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import httpx
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from graphql_api.errors import NotFound, Unavailable
from graphql_api.limits.memory import MemoryRates
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Address, Identity, Principal
from graphql_api.schema import Context, DocumentCache, GuardRules, Introspection
from graphql_api.schema.deadline import LastingSubscriptions
from graphql_api.schema.errors import ErrorPolicy
from graphql_api.schema.guarding import GuardedValidation
from graphql_api.services import Services
from graphql_api.services.clock import utc_now
from graphql_api.services.rates import Rates
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator
from graphql_api.web.server import CLOSING, OPTIONS
from tests.web.tokens import Clock, secret_policy
from tests.world import UNLIMITED

# The shape of a link that opens a file, with a secret in each place where one can be.
SIGNED_URL = (
    "https://cdn.example.com/o/1?Policy=UE9MSUNZc2VjcmV0&Signature=U0lHTkFUVVJF~secret-1_&Key-Pair-Id=K2JCJMDEHXQW5F"
)


@dataclass
class Accounts:
    is_down: bool = False
    error: Exception | None = None

    async def principal_of(self, identity: Identity, *, address: Address | None, request_id: str) -> Principal:
        if self.is_down:
            raise Unavailable("database")
        if self.error:
            raise self.error
        user_id = UserId(f"user_{identity.subject}")
        return Principal(
            user_id, identity.display_name, identity.groups, identity.is_admin, address=address, request_id=request_id
        )


@dataclass
class Health:
    failing: tuple[str, ...] = ()

    async def failing_parts(self) -> tuple[str, ...]:
        return self.failing


@dataclass
class FewServices:
    """The part of ``Services`` that this room touches."""

    accounts: Accounts = field(default_factory=Accounts)
    health: Health = field(default_factory=Health)
    rates: Rates = field(default_factory=lambda: Rates(MemoryRates(), utc_now, UNLIMITED))


executed: list[str] = []
"""What was said to the fields that tell, in this process."""


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self, info: strawberry.Info[Context, None]) -> str | None:
        return info.context.principal.user_id

    @strawberry.field
    def whence(self, info: strawberry.Info[Context, None]) -> list[str]:
        """From where and in which request the principal asks, which is what rules and the audit log go by."""
        principal = info.context.principal
        return [repr(principal.address), str(principal.request_id)]

    @strawberry.field
    def client_address(self, info: strawberry.Info[Context, None]) -> str | None:
        return info.context.client_address

    @strawberry.field
    def request_id(self, info: strawberry.Info[Context, None]) -> str:
        return info.context.request_id

    @strawberry.field
    def echo(self, text: str) -> str:
        executed.append(text)
        return text

    @strawberry.field
    def deep(self) -> str:
        raise NotFound("no such thing", path=("id",))

    @strawberry.field
    async def slow(self) -> bool:
        await anyio.sleep_forever()
        return True

    @strawberry.field
    def bug(self, text: str) -> str | None:
        raise RuntimeError(f"could not use {text}")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self, text: str = "") -> bool:
        executed.append(text)
        return True


@dataclass
class Watching:
    """How many of the subscriptions below are being listened to, in all servers of this process."""

    now: int = 0


watching = Watching()


async def _forever() -> AsyncIterator[int]:
    watching.now += 1
    try:
        yield 0
        await anyio.sleep_forever()
    finally:
        watching.now -= 1


@strawberry.type
class Row:
    number: int = 0


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def told(self, text: str) -> AsyncIterator[str]:
        executed.append(text)
        yield text

    @strawberry.subscription
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def charged(self, info: strawberry.Info[Context, None]) -> AsyncIterator[Row]:
        """As many events as there are points for: each costs one."""
        while True:
            yield Row()
            await info.context.meter.charge_event()

    @strawberry.subscription
    async def forever(self) -> AsyncIterator[int]:
        """One event, and then nothing."""
        return _forever()

    @strawberry.subscription
    async def never(self) -> AsyncIterator[int]:
        """No event at all."""
        await anyio.sleep_forever()
        yield 0

    @strawberry.subscription
    async def viewer(self, info: strawberry.Info[Context, None]) -> AsyncIterator[str | None]:
        yield info.context.principal.user_id

    @strawberry.subscription
    async def flood(self, size: int) -> AsyncIterator[str]:
        watching.now += 1
        try:
            while True:
                yield "x" * size
        finally:
            watching.now -= 1

    @strawberry.subscription
    async def hidden(self) -> AsyncIterator[int]:
        raise NotFound("no such thing", path=("id",))

    @strawberry.subscription
    async def bug_at_once(self, text: str) -> AsyncIterator[int]:
        raise RuntimeError(f"could not use {text}")

    @strawberry.subscription
    async def bug_later(self, text: str) -> AsyncIterator[int]:
        yield 1
        raise RuntimeError(f"could not use {text}")


GUARD = GuardRules(introspection=Introspection.EVERYBODY)
SCHEMA = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    extensions=[ErrorPolicy, DocumentCache, lambda: GuardedValidation(GUARD, maxsize=100), LastingSubscriptions],
)


def app_around(services: FewServices, clock: Clock, **options: Any) -> Starlette:
    authenticator = Authenticator(secret_policy(), clock=clock)
    return create_app(cast("Services", services), SCHEMA, authenticator, lifespan=_lifespan, **options)


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[dict[str, anyio.Event]]:
    yield {CLOSING: anyio.Event()}


def client_of(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://api.test")


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The app behind a real server on this machine; yields the server's address."""
    config = uvicorn.Config(app, port=0, **OPTIONS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
