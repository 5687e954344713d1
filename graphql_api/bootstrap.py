"""From settings to every part of the service: here, and in ``key_wiring``, are the only places where vendors are named.
``running`` sets the parts going.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from graphql_api.db.engine import Database
from graphql_api.db.seal import CursorSeal
from graphql_api.edge.invalidation import CloudFrontCache
from graphql_api.edge.key_value_store import CloudFrontKeyValueStore
from graphql_api.events.sqs import SqsEventSource
from graphql_api.key_wiring import KeyParts, wire_keys
from graphql_api.limits import RateStore
from graphql_api.limits.memory import MemoryRates
from graphql_api.limits.postgresql import PostgresRates
from graphql_api.model.delivery import CookieScope, SameSite
from graphql_api.model.ids import PUBLISHED_PREFIX
from graphql_api.model.scan import Judge
from graphql_api.scanning.clamd import ClamdScanner
from graphql_api.services import Services
from graphql_api.services.accounts import Accounts
from graphql_api.services.admission import Admission
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.bundle_links import BundleLinks
from graphql_api.services.bundles import Bundles
from graphql_api.services.clock import Clock, utc_now
from graphql_api.services.completion import Completion
from graphql_api.services.copy_comparison import CopyCheck
from graphql_api.services.count_comparison import CountCheck
from graphql_api.services.dead_letters import DeadLetters
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.groups import Groups
from graphql_api.services.health import Health
from graphql_api.services.live import Live
from graphql_api.services.lookout import Lookout
from graphql_api.services.notes import Notes
from graphql_api.services.object_comparison import ObjectCheck, StrayCheck
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
from graphql_api.services.reconciling import Check, Reconciling
from graphql_api.services.revocation_telling import BACKOFF as TELLING_BACKOFF
from graphql_api.services.revocation_telling import MAX_ATTEMPTS as TELLING_ATTEMPTS
from graphql_api.services.revocation_telling import RevocationTelling
from graphql_api.services.revocations import JOB as TELL_REVOCATIONS
from graphql_api.services.revocations import Revocations
from graphql_api.services.scans import Scans
from graphql_api.services.settling import SCAN_JOB, Settling
from graphql_api.services.share_links import ShareLinks
from graphql_api.services.standings import Standings
from graphql_api.services.store_events import StoreEvents
from graphql_api.services.strays import EVERY, SAFE_AGE, Strays
from graphql_api.services.traffic import Traffic
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_targets import UploadTargets
from graphql_api.services.upload_wishes import UploadLimits
from graphql_api.services.uploads import Uploads
from graphql_api.services.verdicts import Verdicts
from graphql_api.services.versions import Versions
from graphql_api.services.visits import GuessLimits, Visits
from graphql_api.settings import Settings
from graphql_api.storage import ObjectStore
from graphql_api.storage.s3 import S3Store

JUDGES: Final = {"none": Judge.NOBODY, "clamd": Judge.SCANNER, "guardduty": Judge.EVENTS}


@dataclass(frozen=True)
class Assembly:
    """The wired parts of one process."""

    database: Database
    store: S3Store
    services: Services
    clock: Clock
    keys: KeyParts
    outbox: Outbox
    copies: Outbox
    publishing: Publishing
    scans: Outbox | None
    dead_letters: DeadLetters
    event_source: SqsEventSource | None
    store_events: StoreEvents | None
    edge_store: CloudFrontKeyValueStore | None
    revocations: Outbox | None
    revocation_telling: RevocationTelling | None
    edge_cache: CloudFrontCache | None

    async def close(self) -> None:
        await self.database.close()
        self.store.close()
        self.keys.access.close()
        if self.event_source is not None:
            self.event_source.close()
        if self.edge_store is not None:
            self.edge_store.close()
        if self.edge_cache is not None:
            self.edge_cache.close()


def assemble(settings: Settings, *, clock: Clock = utc_now) -> Assembly:
    """Build every part once; nothing is connected yet. Raises: ConfigurationError."""
    database = Database(settings.database_url.get_secret_value())
    secret = settings.s3_secret_access_key
    store = S3Store(
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url,
        addressing_style=settings.s3_addressing_style,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )
    standings = Standings(clock, binds_links=settings.delivery == "cdn")
    keys = wire_keys(settings, database, standings, store, clock)
    accounts = Accounts(
        database,
        clock,
        makes_homes=settings.home_folders,
        admins=frozenset((settings.auth_issuer, subject) for subject in settings.admin_subjects),
    )
    upkeep = Upkeep(
        database,
        store,
        clock,
        longest_target=settings.upload_lifetime,
        transfer_grace=settings.transfer_grace,
    )
    limits = UploadLimits(
        max_size=settings.max_upload_bytes,
        parts_above=settings.multipart_above_bytes,
        part_size=settings.part_bytes,
        target_lifetime=settings.upload_target_lifetime,
        upload_lifetime=settings.upload_lifetime,
        longest_lifetime=settings.upload_longest_lifetime,
    )
    copies = PublishedCopies(standings, upkeep)
    admission = Admission(user_quota=settings.user_quota_bytes)
    uploads = Uploads(database, standings, accounts, upkeep, clock, limits, admission)
    versions = Versions(database, standings, upkeep, clock, copies, max_versions=settings.max_file_versions)
    settling = Settling(database, versions, upkeep, JUDGES[settings.scan], settings.scan_patience, admission, limits)
    verdicts = Verdicts(database, standings, settling, store, upkeep, clock, copies)
    completion = Completion(database, standings, uploads, store, upkeep, settling, verdicts, clock)
    delivery = Delivery(
        keys.in_use,
        clock,
        max_lifetime=settings.link_max_lifetime,
        redirect_lifetime=settings.redirect_lifetime,
        window=settings.link_window,
        memory=settings.link_memo_bytes,
        is_revocable=settings.edge_store_arn is not None,
        opens_bundles=settings.delivery == "cdn",
    )
    cursor_seal = CursorSeal(settings.process_secret)
    revocations = Revocations(
        database,
        standings,
        clock,
        is_on=settings.edge_store_arn is not None,
        link_max_lifetime=settings.link_max_lifetime,
    )
    passwords = Passwords()
    files = Files(database, standings, upkeep, clock, cursor_seal, admission, copies)
    cookies = CookieScope(
        settings.cookie_domain,
        SameSite(settings.cookie_same_site.upper()),
        is_secure=str(settings.cdn_base_url).startswith("https://"),  # else it is on this machine
    )
    services = Services(
        accounts=accounts,
        audit_log=AuditLog(database, standings, clock, retention=settings.audit_retention or None),
        bundle_links=BundleLinks(files, delivery, revocations, cookies=cookies),
        bundles=Bundles(database, standings, accounts, clock, limits, admission),
        completion=completion,
        delivery=delivery,
        files=files,
        folders=Folders(database, standings, upkeep, clock, admission, copies),
        groups=Groups(database, standings, clock),
        health=Health(database, store),
        live=Live(database, standings),
        lookout=Lookout(database, store, completion, settling, verdicts, upkeep, clock),
        notes=Notes(database, standings, clock, copies),
        people=People(database, standings, clock, issuer=settings.auth_issuer),
        policies=Policies(
            database, standings, clock, issuer=settings.auth_issuer, link_max_lifetime=settings.link_max_lifetime
        ),
        publications=Publications(
            database,
            standings,
            copies,
            clock,
            base_url=settings.cdn_base_url if settings.delivery == "cdn" else None,
        ),
        quotas=Quotas(database, standings, admission, clock, max_file_size=settings.max_upload_bytes),
        rates=Rates(
            _rate_store(settings, database),
            clock,
            RateLimits(settings.rate_points_per_viewer, settings.rate_points_per_address, settings.rate_window),
        ),
        rechecks=Rechecks(database, store, clock, copies, transfer_grace=settings.transfer_grace),
        signing_keys=keys.signing_keys,
        revocations=revocations,
        strays=Strays(database, store, clock),
        share_links=ShareLinks(
            database,
            standings,
            passwords,
            clock,
            public_url=settings.public_url,
            max_lifetime=settings.share_max_lifetime,
            redirect_lifetime=settings.redirect_lifetime,
        ),
        traffic=Traffic(database, standings, clock),
        upkeep=upkeep,
        upload_targets=UploadTargets(database, uploads, store, clock, limits),
        uploads=uploads,
        versions=versions,
        visits=Visits(
            database,
            standings,
            accounts,
            delivery,
            revocations,
            passwords,
            clock,
            cursor_seal,
            GuessLimits(
                settings.share_guesses_per_address, settings.share_guesses_per_link, settings.share_guess_window
            ),
        ),
    )
    event_source, store_events = _event_source(settings), None
    if event_source is not None:
        store_events = StoreEvents(database, event_source, clock, arrived=completion.arrived, judged=verdicts.judged)
    scans = None
    if settings.scan == "clamd" and settings.clamd_address is not None:
        scanner = ClamdScanner(settings.clamd_address)
        # Apart from the other jobs, of which each turn waits for its slowest.
        scans = Outbox(database, clock, handlers={SCAN_JOB: Scans(database, store, scanner, verdicts).scan})
    edge_store, telling, tells = _edge_store(settings), None, None
    if edge_store is not None:
        telling = RevocationTelling(database, edge_store, clock)
        # Apart from the other jobs too: a store that is back is told within a minute.
        tells = Outbox(
            database,
            clock,
            handlers={TELL_REVOCATIONS: telling.tell},
            backoff=TELLING_BACKOFF,
            max_attempts=TELLING_ATTEMPTS,
        )
    edge_cache = _edge_cache(settings)
    publishing = Publishing(database, standings, store, copies, edge_cache, clock, max_age=settings.published_max_age)
    return Assembly(
        database,
        store,
        services,
        clock,
        keys=keys,
        outbox=Outbox(database, clock, handlers={REMOVE_JOB: publishing.remove, LATE_JOB: publishing.look_for_late}),
        # Apart: what is withdrawn does not wait for a large file to be copied.
        copies=Outbox(database, clock, handlers={COPY_JOB: publishing.copy}, batch=1),
        publishing=publishing,
        scans=scans,
        dead_letters=DeadLetters(database, clock),
        event_source=event_source,
        store_events=store_events,
        edge_store=edge_store,
        revocations=tells,
        revocation_telling=telling,
        edge_cache=edge_cache,
    )


def _rate_store(settings: Settings, database: Database) -> RateStore:
    """On SQLite every read would have to wait for a writer, if processes counted together."""
    if database.is_sqlite or settings.rate_store == "memory":
        return MemoryRates()
    return PostgresRates(database)


def _edge_store(settings: Settings) -> CloudFrontKeyValueStore | None:
    if settings.edge_store_arn is None:
        return None
    key_id, secret = _edge_keys(settings)
    return CloudFrontKeyValueStore(
        arn=settings.edge_store_arn,
        endpoint_url=settings.edge_store_endpoint_url,
        access_key_id=key_id,
        secret_access_key=secret,
    )


def _edge_cache(settings: Settings) -> CloudFrontCache | None:
    if settings.edge_distribution_id is None:
        return None
    key_id, secret = _edge_keys(settings)
    return CloudFrontCache(
        distribution_id=settings.edge_distribution_id,
        endpoint_url=settings.edge_control_endpoint_url,
        access_key_id=key_id,
        secret_access_key=secret,
    )


def _edge_keys(settings: Settings) -> tuple[str | None, str | None]:
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.edge_access_key_id is not None:
        key_id, secret = settings.edge_access_key_id, settings.edge_secret_access_key
    return key_id, None if secret is None else secret.get_secret_value()


def _event_source(settings: Settings) -> SqsEventSource | None:
    if settings.events_queue_url is None:
        return None
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.events_access_key_id is not None:
        key_id, secret = settings.events_access_key_id, settings.events_secret_access_key
    return SqsEventSource(
        queue_url=settings.events_queue_url,
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        endpoint_url=settings.events_endpoint_url,
        access_key_id=key_id,
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )


def reconciling(
    database: Database,
    store: ObjectStore,
    services: Services,
    clock: Clock,
    *,
    prefix: str,
    safe_age: timedelta,
    max_removals: int,
) -> Reconciling:
    """Everything that can be compared; of objects what is below ``prefix``. Younger strays are left to upkeep, which
    has not had its time.
    """
    stray_age = max(safe_age, SAFE_AGE + EVERY)
    checks: list[Check] = [
        ObjectCheck(database, store, services.upkeep, clock, prefix=prefix, safe_age=safe_age),
        StrayCheck(services.strays, prefix=prefix, safe_age=stray_age),
        CountCheck(database),
    ]
    if prefix.startswith(PUBLISHED_PREFIX) or PUBLISHED_PREFIX.startswith(prefix):
        checks.insert(1, CopyCheck(database, store, clock, prefix=prefix))
    return Reconciling(checks, max_removals=max_removals)
