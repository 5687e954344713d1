"""The services on a real database, with a store in memory and a clock that tests turn."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import strawberry
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.db.engine import Database
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import Unavailable
from graphql_api.key_wiring import cloudfront_signer_of
from graphql_api.limits.memory import MemoryRates
from graphql_api.model.delivery import CookieScope, SameSite
from graphql_api.model.parts import MAX_OBJECT_SIZE, MIB
from graphql_api.model.principal import ANONYMOUS, Identity, Principal
from graphql_api.model.scan import Judge, ScanResult, ScanVerdict
from graphql_api.model.signing_key import KeyPlace
from graphql_api.scanning import Scanner
from graphql_api.schema import Context, build_schema
from graphql_api.services import Services
from graphql_api.services.accounts import Accounts
from graphql_api.services.admission import Admission
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.bundle_links import BundleLinks
from graphql_api.services.bundles import Bundles
from graphql_api.services.canary import Canary
from graphql_api.services.completion import Completion
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.groups import Groups
from graphql_api.services.health import Health
from graphql_api.services.key_loading import KeyLoader
from graphql_api.services.link_signing import SignerInUse
from graphql_api.services.live import Live
from graphql_api.services.lookout import Lookout
from graphql_api.services.notes import Notes
from graphql_api.services.outbox import Outbox
from graphql_api.services.passwords import Passwords
from graphql_api.services.people import People
from graphql_api.services.policies import Policies
from graphql_api.services.publications import Publications
from graphql_api.services.published_copies import COPY_JOB, LATE_JOB, REMOVE_JOB, PublishedCopies
from graphql_api.services.publishing import Publishing
from graphql_api.services.quotas import Quotas
from graphql_api.services.rates import RateLimits, Rates
from graphql_api.services.rechecks import Rechecks
from graphql_api.services.revocations import Revocations
from graphql_api.services.scans import Scans
from graphql_api.services.settling import SCAN_JOB, Settling
from graphql_api.services.share_links import ShareLinks
from graphql_api.services.signing_keys import SigningKeys
from graphql_api.services.standings import Standings
from graphql_api.services.strays import Strays
from graphql_api.services.traffic import Traffic
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_targets import UploadTargets
from graphql_api.services.upload_wishes import UploadLimits
from graphql_api.services.uploads import Uploads
from graphql_api.services.verdicts import Verdicts
from graphql_api.services.versions import Versions
from graphql_api.services.visits import GuessLimits, Visits
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, KeyStatus, SigningKey
from tests.memory_edge import MemoryEdgeCache
from tests.memory_keys import MemoryEdge, MemoryKeys
from tests.memory_store import MemoryStore

SCHEMA = build_schema()
KEY = SigningKey("K2JCJMDEHXQW5F", ec.generate_private_key(ec.SECP256R1()), HashAlgorithm.SHA256, KeyStatus.ACTIVE)
CDN = "https://cdn.test"
CURSOR_SEAL = CursorSeal(b"a secret of this service")
ISSUER = "https://issuer.test"
SCAN_PATIENCE = timedelta(days=1)
MAX_VERSIONS = 5  # of a file
SHARE_MAX_LIFETIME = timedelta(days=90)
COOKIES = CookieScope("test", SameSite.LAX, is_secure=True)
REDIRECT_LIFETIME = timedelta(seconds=60)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # to make, and to guess at
GUESS_LIMITS = GuessLimits(per_address=50, per_link=20, window=timedelta(minutes=10))
UNLIMITED = RateLimits(per_viewer=0, per_address=0, window=timedelta(minutes=1))
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """Stands still until a test advances it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Reader:
    """A ``Scanner`` that reads to the end and finds whatever a test wants found."""

    def __init__(self) -> None:
        self.verdict = ScanVerdict(ScanResult.CLEAN)
        self.is_up = True
        self.read: list[bytes] = []

    async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
        await self.check()
        self.read.append(b"".join([piece async for piece in content]))
        return self.verdict

    async def check(self) -> None:
        if not self.is_up:
            raise Unavailable("scanner")


@dataclass
class World:
    """Everything a test of the services or the schema needs; principals are made on first use.

    ``scanner``: who is asked by the ``scans``, if ``judge`` is SCANNER. ``same_store``: another world's, as another
    process of the same service would have it.
    """

    database: Database
    clock: Clock = field(default_factory=Clock)
    judge: Judge = Judge.NOBODY
    scanner: Scanner = field(default_factory=Reader)
    user_quota: int | None = None  # bytes
    max_versions: int = MAX_VERSIONS
    revokes: bool = False  # the edge runs the function
    binds_links: bool = True  # as a CDN's signatures do
    store_of: Callable[[Clock], MemoryStore] = MemoryStore
    guess_limits: GuessLimits = GUESS_LIMITS
    rate_limits: RateLimits = UNLIMITED
    store: MemoryStore = field(init=False)
    standings: Standings = field(init=False)
    services: Services = field(init=False)
    verdicts: Verdicts = field(init=False)
    scans: Outbox = field(init=False)
    in_use: SignerInUse = field(init=False)
    key_places: MemoryKeys = field(default_factory=MemoryKeys)
    edge: MemoryEdge = field(init=False)
    loader: KeyLoader = field(init=False)
    edge_cache: MemoryEdgeCache = field(default_factory=MemoryEdgeCache)
    copies: PublishedCopies = field(init=False)
    publishing: Publishing = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.in_use = SignerInUse(CloudFrontSigner(CDN, Keyring([KEY])))
        self.edge = MemoryEdge(self.clock)
        self.loader = KeyLoader(dict.fromkeys(KeyPlace, self.key_places), cloudfront_signer_of(CDN))
        self.store = self.store_of(self.clock)
        self.standings = Standings(self.clock, binds_links=self.binds_links)
        accounts = Accounts(self.database, self.clock, makes_homes=True)
        upkeep = Upkeep(
            self.database,
            self.store,
            self.clock,
            longest_target=timedelta(days=1),
            transfer_grace=timedelta(hours=1),
        )
        limits = UploadLimits(
            max_size=MAX_OBJECT_SIZE,
            parts_above=64 * MIB,
            part_size=5 * MIB,
            target_lifetime=timedelta(hours=1),
            upload_lifetime=timedelta(days=1),
            longest_lifetime=timedelta(days=7),
        )
        copies = self.copies = PublishedCopies(self.standings, upkeep)
        admission = Admission(user_quota=self.user_quota)
        uploads = Uploads(self.database, self.standings, accounts, upkeep, self.clock, limits, admission)
        versions = Versions(self.database, self.standings, upkeep, self.clock, copies, max_versions=self.max_versions)
        settling = Settling(self.database, versions, upkeep, self.judge, SCAN_PATIENCE, admission, limits)
        verdicts = Verdicts(self.database, self.standings, settling, self.store, upkeep, self.clock, copies)
        completion = Completion(
            self.database, self.standings, uploads, self.store, upkeep, settling, verdicts, self.clock
        )
        scans = Scans(self.database, self.store, self.scanner, verdicts)
        self.verdicts, self.scans = verdicts, Outbox(self.database, self.clock, {SCAN_JOB: scans.scan})
        delivery = Delivery(
            self.in_use,
            self.clock,
            max_lifetime=timedelta(days=1),
            redirect_lifetime=REDIRECT_LIFETIME,
            window=timedelta(minutes=30),
            memory=1024**2,
            is_revocable=self.revokes,
        )
        revocations = Revocations(
            self.database,
            self.standings,
            self.clock,
            is_on=self.revokes,
            link_max_lifetime=timedelta(days=1),
        )
        passwords = Passwords(QUICK)
        files = Files(self.database, self.standings, upkeep, self.clock, CURSOR_SEAL, admission, copies)
        self.publishing = Publishing(
            self.database,
            self.standings,
            self.store,
            self.copies,
            self.edge_cache,
            self.clock,
            max_age=timedelta(hours=1),
        )
        handlers = {
            COPY_JOB: self.publishing.copy,
            REMOVE_JOB: self.publishing.remove,
            LATE_JOB: self.publishing.look_for_late,
        }
        self.outbox = Outbox(self.database, self.clock, handlers)
        self.services = Services(
            accounts=accounts,
            audit_log=AuditLog(self.database, self.standings, self.clock, retention=timedelta(days=400)),
            bundle_links=BundleLinks(files, delivery, revocations, cookies=COOKIES),
            bundles=Bundles(self.database, self.standings, accounts, self.clock, limits, admission),
            completion=completion,
            delivery=delivery,
            files=files,
            folders=Folders(self.database, self.standings, upkeep, self.clock, admission, copies),
            groups=Groups(self.database, self.standings, self.clock),
            health=Health(self.database, self.store),
            live=Live(self.database, self.standings, retry_after=0.01),
            lookout=Lookout(self.database, self.store, completion, settling, verdicts, upkeep, self.clock),
            notes=Notes(self.database, self.standings, self.clock, copies),
            people=People(self.database, self.standings, self.clock, issuer=ISSUER),
            policies=Policies(
                self.database, self.standings, self.clock, issuer=ISSUER, link_max_lifetime=timedelta(days=1)
            ),
            publications=Publications(self.database, self.standings, copies, self.clock, base_url=CDN),
            quotas=Quotas(self.database, self.standings, admission, self.clock, max_file_size=MAX_OBJECT_SIZE),
            rates=Rates(MemoryRates(), self.clock, self.rate_limits),
            rechecks=Rechecks(self.database, self.store, self.clock, copies, transfer_grace=timedelta(hours=1)),
            signing_keys=SigningKeys(
                self.database,
                self.standings,
                self.clock,
                self.loader,
                Canary(self.database, self.edge, self.clock),
            ),
            revocations=revocations,
            strays=Strays(self.database, self.store, self.clock),
            share_links=ShareLinks(
                self.database,
                self.standings,
                passwords,
                self.clock,
                public_url="https://files.test",
                max_lifetime=SHARE_MAX_LIFETIME,
                redirect_lifetime=REDIRECT_LIFETIME,
            ),
            traffic=Traffic(self.database, self.standings, self.clock),
            upkeep=upkeep,
            upload_targets=UploadTargets(self.database, uploads, self.store, self.clock, limits),
            uploads=uploads,
            versions=versions,
            visits=Visits(
                self.database,
                self.standings,
                accounts,
                delivery,
                revocations,
                passwords,
                self.clock,
                CURSOR_SEAL,
                self.guess_limits,
            ),
        )

    async def sweep(self) -> int:
        """What upkeep does when its time has come; how many objects went."""
        await self.services.lookout.look()
        return await self.services.upkeep.sweep()

    async def principal(self, name: str, *, is_admin: bool = False) -> Principal:
        """The user of that name; the first call makes user and home folder."""
        identity = Identity(ISSUER, name, name.capitalize(), is_admin=is_admin)
        return await self.services.accounts.principal_of(identity)

    def _context(self, principal: Principal) -> Context:
        meter = self.services.rates.meter(principal)
        return Context(self.services, principal, client_address="192.0.2.1", request_id="req-1", meter=meter)

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, *, as_: Principal = ANONYMOUS
    ) -> strawberry.types.ExecutionResult:
        """Run an operation of the schema as somebody, without HTTP."""
        context = self._context(as_)
        result = await SCHEMA.execute(query, dict(variables or {}), context_value=context)
        assert isinstance(result, strawberry.types.ExecutionResult)
        return result

    @asynccontextmanager
    async def subscribed(
        self, query: str, variables: Mapping[str, Any] | None = None, *, as_: Principal = ANONYMOUS
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """The results of a subscription as they come."""
        context = self._context(as_)
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
