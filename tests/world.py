"""The services on a real database, with a store in memory and a clock that tests turn."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import strawberry
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.db.engine import Database
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import Unavailable
from graphql_api.model.principal import ANONYMOUS, Identity, Principal
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget, StoredObject
from graphql_api.schema import Context, build_schema
from graphql_api.services import Services
from graphql_api.services.accounts import Accounts
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.groups import Groups
from graphql_api.services.health import Health
from graphql_api.services.live import Live
from graphql_api.services.notes import Notes
from graphql_api.services.people import People
from graphql_api.services.policies import Policies
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.uploads import UploadLimits, Uploads
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, KeyStatus, SigningKey

SCHEMA = build_schema()
KEY = SigningKey("K2JCJMDEHXQW5F", ec.generate_private_key(ec.SECP256R1()), HashAlgorithm.SHA256, KeyStatus.ACTIVE)
CURSOR_SEAL = CursorSeal(b"a secret of this service")
ISSUER = "https://issuer.test"
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """Stands still until a test advances it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class MemoryStore:
    """An ``ObjectStore`` without a network: what it holds is a dictionary, and it can be switched off."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[StoredObject, bytes]] = {}
        self.locked: set[str] = set()  # keys that may not be removed
        self.is_up = True

    def put(self, promise: PromisedObject, content: bytes, *, sha256: str | None = None) -> None:
        """The bytes arrive, whatever was promised."""
        stored = StoredObject(promise.key, len(content), promise.content_type, sha256 or promise.sha256, '"etag"')
        self.objects[promise.key] = (stored, content)

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        headers = (("Content-Type", promise.content_type), ("If-None-Match", "*"))
        return PutUploadTarget(f"https://store.test/{promise.key}", headers, now + lifetime)

    async def find(self, key: str) -> StoredObject | None:
        self._require_up()
        found = self.objects.get(key)
        return found[0] if found else None

    async def read_start(self, key: str, length: int) -> bytes:
        self._require_up()
        return self.objects[key][1][:length] if key in self.objects else b""

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        self._require_up()
        for key in set(keys) - self.locked:
            self.objects.pop(key, None)
        return [key for key in keys if key in self.locked]

    async def check(self) -> None:
        self._require_up()

    def _require_up(self) -> None:
        if not self.is_up:
            raise Unavailable("store")


@dataclass
class World:
    """Everything a test of the services or the schema needs; principals are made on first use."""

    database: Database
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    standings: Standings = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.standings = Standings(self.clock)
        accounts = Accounts(self.database, self.clock, makes_homes=True)
        upkeep = Upkeep(
            self.database,
            self.store,
            self.clock,
            longest_target=timedelta(days=1),
            transfer_grace=timedelta(hours=1),
        )
        limits = UploadLimits(5 * 1024**3, timedelta(hours=1), timedelta(days=1))
        self.services = Services(
            accounts=accounts,
            audit_log=AuditLog(self.database, self.standings, self.clock, retention=timedelta(days=400)),
            delivery=Delivery(
                CloudFrontSigner("https://cdn.test", Keyring([KEY])), self.clock, max_lifetime=timedelta(days=1)
            ),
            files=Files(self.database, self.standings, upkeep, self.clock, CURSOR_SEAL),
            folders=Folders(self.database, self.standings, upkeep, self.clock),
            groups=Groups(self.database, self.standings, self.clock),
            health=Health(self.database, self.store),
            live=Live(self.database, self.standings, retry_after=0.01),
            notes=Notes(self.database, self.standings, self.clock),
            people=People(self.database, self.standings, self.clock, issuer=ISSUER),
            policies=Policies(
                self.database, self.standings, self.clock, issuer=ISSUER, link_max_lifetime=timedelta(days=1)
            ),
            uploads=Uploads(self.database, self.standings, self.store, accounts, upkeep, self.clock, limits),
            upkeep=upkeep,
        )

    async def principal(self, name: str, *, is_admin: bool = False) -> Principal:
        """The user of that name; the first call makes user and home folder."""
        identity = Identity(ISSUER, name, name.capitalize(), is_admin=is_admin)
        return await self.services.accounts.principal_of(identity)

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, *, as_: Principal = ANONYMOUS
    ) -> strawberry.types.ExecutionResult:
        """Run an operation of the schema as somebody, without HTTP."""
        context = Context(self.services, as_, client_address="192.0.2.1", request_id="req-1")
        result = await SCHEMA.execute(query, dict(variables or {}), context_value=context)
        assert isinstance(result, strawberry.types.ExecutionResult)
        return result

    @asynccontextmanager
    async def subscribed(
        self, query: str, variables: Mapping[str, Any] | None = None, *, as_: Principal = ANONYMOUS
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """The results of a subscription as they come."""
        context = Context(self.services, as_, client_address="192.0.2.1", request_id="req-1")
        stream: Any = await SCHEMA.stream(query, dict(variables or {}), context_value=context)
        async with aclosing(stream):
            yield stream

    async def data(
        self, query: str, variables: Mapping[str, Any] | None = None, *, as_: Principal = ANONYMOUS
    ) -> dict[str, Any]:
        """The data of an operation that must not have errors."""
        result = await self.ask(query, variables, as_=as_)
        assert result.errors is None, result.errors
        assert result.data is not None
        return result.data
