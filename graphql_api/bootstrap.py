"""From settings to a running service: the only place where vendors are named."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from starlette.applications import Starlette

from graphql_api.db.engine import Database
from graphql_api.db.migration import require_newest_schema
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import DeliveryError
from graphql_api.schema import build_schema
from graphql_api.services import Services
from graphql_api.services.accounts import Accounts
from graphql_api.services.admission import Admission
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.clock import Clock, utc_now
from graphql_api.services.completion import Completion
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.groups import Groups
from graphql_api.services.health import Health
from graphql_api.services.lookout import Lookout
from graphql_api.services.notes import Notes
from graphql_api.services.people import People
from graphql_api.services.policies import Policies
from graphql_api.services.quotas import Quotas
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_targets import UploadTargets
from graphql_api.services.upload_wishes import UploadLimits
from graphql_api.services.uploads import Uploads
from graphql_api.settings import Settings
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, SigningKey
from graphql_api.storage.s3 import S3Store
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator, TokenPolicy

log = logging.getLogger(__name__)

GC_THRESHOLDS = (50_000, 20, 50)  # a page makes thousands of short-lived objects; the default collects in the middle


@dataclass(frozen=True)
class Assembly:
    """The wired parts of one process."""

    database: Database
    store: S3Store
    services: Services

    async def close(self) -> None:
        await self.database.close()
        self.store.close()


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
    pem = settings.cdn_private_key_pem.get_secret_value()
    key = SigningKey.from_pem(
        settings.cdn_key_id,
        pem,
        hash_algorithm=HashAlgorithm(settings.cdn_hash_algorithm),
    )
    standings = Standings(clock)
    accounts = Accounts(database, clock, makes_homes=settings.home_folders)
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
    admission = Admission(user_quota=settings.user_quota_bytes)
    uploads = Uploads(database, standings, accounts, upkeep, clock, limits, admission)
    completion = Completion(database, standings, uploads, store, upkeep, clock, admission)
    services = Services(
        accounts=accounts,
        audit_log=AuditLog(database, standings, clock, retention=settings.audit_retention or None),
        completion=completion,
        delivery=Delivery(
            CloudFrontSigner(settings.cdn_base_url, Keyring([key])), clock, max_lifetime=settings.link_max_lifetime
        ),
        files=Files(  # sealed with a secret that all processes have
            database, standings, upkeep, clock, CursorSeal(pem.encode()), admission
        ),
        folders=Folders(database, standings, upkeep, clock, admission),
        groups=Groups(database, standings, clock),
        health=Health(database, store),
        lookout=Lookout(database, completion, upkeep, clock),
        notes=Notes(database, standings, clock),
        people=People(database, standings, clock, issuer=settings.auth_issuer),
        policies=Policies(
            database, standings, clock, issuer=settings.auth_issuer, link_max_lifetime=settings.link_max_lifetime
        ),
        quotas=Quotas(database, standings, admission, clock, max_file_size=settings.max_upload_bytes),
        upkeep=upkeep,
        upload_targets=UploadTargets(database, uploads, store, clock, limits),
        uploads=uploads,
    )
    return Assembly(database, store, services)


def token_policy(settings: Settings) -> TokenPolicy:
    """Which tokens are believed."""
    secret = settings.auth_hs256_secret
    return TokenPolicy(
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        hs256_secret=None if secret is None else secret.get_secret_value(),
        jwks_url=settings.auth_jwks_url,
        algorithms=settings.auth_algorithms,
        leeway=settings.auth_leeway,
        subject_claim=settings.auth_subject_claim,
        groups_claim=settings.auth_groups_claim,
        roles_claim=settings.auth_roles_claim,
        name_claim=settings.auth_name_claim,
        email_claim=settings.auth_email_claim,
        trusts_email=settings.auth_trust_email,
        admin_role=settings.auth_admin_role,
        admin_subjects=frozenset(settings.admin_subjects),
    )


def application(settings: Settings, *, clock: Clock = utc_now) -> Starlette:
    """The ASGI application, which connects when the server starts it. Raises: ConfigurationError."""
    assembly = assemble(settings, clock=clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await require_newest_schema(assembly.database)
        sweeper = asyncio.create_task(_sweep_forever(assembly.services, settings.sweep_interval))
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await assembly.close()

    return create_app(
        assembly.services,
        build_schema(),
        Authenticator(token_policy(settings), clock=clock),
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        graphiql=settings.graphiql,
        lifespan=lifespan,
    )


async def _sweep_forever(services: Services, interval: timedelta) -> None:
    """Sweep every ``interval``; zero turns it off. A sweep that fails is made good by the next."""
    while interval:
        await asyncio.sleep(interval.total_seconds())
        await _sweep("uploads", services.lookout.look())
        await _sweep("objects", services.upkeep.sweep())
        await _sweep("records", services.audit_log.sweep())


async def _sweep(what: str, sweep: Awaitable[int]) -> None:
    try:
        removed = await sweep
    except DeliveryError as error:
        log.warning("sweep_postponed code=%s", error.code)
    except Exception:  # the loop must outlive a bug in one sweep, and the log must show it
        log.exception("sweep_failed")
    else:
        if removed:
            log.info("swept %s=%d", what, removed)
