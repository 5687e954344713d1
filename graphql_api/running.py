"""From the parts of the service to what runs: the ASGI application, and the worker with its loops."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import strawberry
from starlette.applications import Starlette
from starlette.routing import Route

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.db.engine import Database
from graphql_api.db.listener import Listener
from graphql_api.db.migration import require_newest_schema
from graphql_api.errors import ConfigurationError
from graphql_api.schema import GuardRules, Introspection, build_schema, faults_of_document
from graphql_api.services.clock import Clock, utc_now
from graphql_api.services.outbox import Outbox
from graphql_api.settings import Settings
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator, TokenPolicy
from graphql_api.web.documents import Documents
from graphql_api.web.file_view import FileView
from graphql_api.web.graphql_view import Edition
from graphql_api.web.manifest import read_manifest
from graphql_api.web.passes import Passes
from graphql_api.web.server import CLOSING
from graphql_api.web.share_view import ShareView
from graphql_api.workers import Loop, Worker

log = logging.getLogger(__name__)

JOBS_INTERVAL: Final = timedelta(seconds=1)  # a job waits no longer for its beginning; looking for one is cheap
COPIES_AT_ONCE: Final = 4  # files that are being published by one process
PUBLICATIONS_INTERVAL: Final = timedelta(seconds=1)  # for so long a copy is left whose file not everybody may read
EVENTS_INTERVAL: Final = timedelta(seconds=1)  # after a request that has waited for some seconds and got nothing
STOP_DEADLINE_BESIDE: Final = timedelta(seconds=5)  # for loops beside the API, whose requests have come to their end
GC_THRESHOLDS = (50_000, 20, 50)  # a page makes thousands of short-lived objects; the default collects in the middle


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
    )


def graphql_face(settings: Settings) -> tuple[strawberry.Schema, Documents]:
    """The schema, and the documents that are trusted. Raises: ConfigurationError: one that would never be answered."""
    rules = GuardRules(introspection=Introspection(settings.introspection))
    path = settings.trusted_documents_file
    trusted = {} if path is None else read_manifest(path)
    schema = build_schema(rules, trusted=len(trusted), has_fast_lists=settings.fast_lists)
    faults = [
        f"trusted document {id_!r}: {fault}"
        for id_, text in trusted.items()
        for fault in faults_of_document(schema, text, rules.limits)
    ]
    if faults:
        raise ConfigurationError(*faults)
    return schema, Documents(trusted, only_trusted=settings.documents == "trusted")


def application(settings: Settings, *, clock: Clock = utc_now) -> Starlette:
    """The ASGI application, which connects when the server starts it. Raises: ConfigurationError."""
    assembly = assemble(settings, clock=clock)
    listen_url = settings.listen_database_url or settings.database_url
    listener = Listener(Database(listen_url.get_secret_value()), assembly.database.signals)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, asyncio.Event]]:
        await require_newest_schema(assembly.database)
        await assembly.keys.keyring.start()
        stop = asyncio.Event()
        loops = _standing_loops(assembly, settings) if settings.sweep_interval else ()
        working = asyncio.create_task(Worker(loops, stop_deadline=STOP_DEADLINE_BESIDE).run(stop))
        standing_by = [asyncio.create_task(task) for task in (listener.run(), assembly.keys.keyring.run())]
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            yield {CLOSING: asyncio.Event()}
        finally:
            stop.set()
            await working
            for task in standing_by:
                task.cancel()
            await asyncio.wait(standing_by)
            await listener.close()
            await assembly.close()

    authenticator = Authenticator(token_policy(settings), clock=clock)
    schema, documents = graphql_face(settings)
    return create_app(
        assembly.services,
        schema,
        authenticator,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        graphiql=settings.graphiql,
        edition=Edition(settings.graphql_http_edition),
        time_limit=settings.operation_time_limit,
        documents=documents,
        doors=_doors(assembly, settings, authenticator, clock),
        lifespan=lifespan,
    )


def _doors(assembly: Assembly, settings: Settings, authenticator: Authenticator, clock: Clock) -> list[Route]:
    passes = Passes(settings.process_secret, is_secret=assembly.keys.is_secret)
    services = assembly.services
    shares = ShareView(services.visits, passes, clock, link_origin=assembly.keys.link_origin)
    files = FileView(services, authenticator, passes, clock, session_lifetime=settings.file_session_lifetime)
    return [*shares.routes(), *files.routes()]


def copying(copies: Outbox) -> list[Loop]:
    """``copies``: of which each turn does one job. A large file holds up one of these loops, and none of the others."""
    return [Loop("copies", copies.turn, JOBS_INTERVAL)] * COPIES_AT_ONCE


def _standing_loops(assembly: Assembly, settings: Settings) -> list[Loop]:
    """What a worker does whether or not there is a queue. Nothing is swept if the settings say so."""
    loops = [
        Loop("jobs", assembly.outbox.turn, JOBS_INTERVAL),
        *copying(assembly.copies),
        Loop("publications", assembly.publishing.turn, PUBLICATIONS_INTERVAL),
    ]
    if assembly.scans is not None:
        loops.append(Loop("scans", assembly.scans.turn, JOBS_INTERVAL))
    if assembly.revocations is not None:
        loops.append(Loop("revocations", assembly.revocations.turn, JOBS_INTERVAL))
    if settings.sweep_interval:
        services, interval = assembly.services, settings.sweep_interval
        loops += [
            Loop("uploads", services.lookout.turn, interval),
            Loop("objects", services.upkeep.turn, interval),
            Loop("strays", services.strays.turn, interval),
            Loop("rechecks", services.rechecks.turn, interval),
            Loop("keys", services.signing_keys.turn, interval),
            Loop("moves", services.revocations.turn, interval),
            Loop("records", services.audit_log.turn, interval),
            Loop("share_links", services.share_links.turn, interval),
            Loop("rates", services.rates.turn, interval),
            Loop("dead_letters", assembly.dead_letters.turn, interval),
        ]
        if assembly.revocation_telling is not None:
            loops.append(Loop("old_revocations", assembly.revocation_telling.turn, interval))
    return loops


async def work(settings: Settings, *, once: bool, clock: Clock = utc_now) -> bool:
    """Run every loop until SIGTERM or SIGINT, or ``once`` until nothing is due; whether all went well.

    Raises: ConfigurationError: as ``assemble`` does, or the schema is not the newest. Unavailable: the database, before
    anything is begun.
    """
    assembly = assemble(settings, clock=clock)
    try:
        await require_newest_schema(assembly.database)
        await assembly.dead_letters.count()
        loops = _standing_loops(assembly, settings)
        if assembly.store_events is not None:
            loops.append(Loop("store_events", assembly.store_events.turn, EVENTS_INTERVAL))
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        worker = Worker(loops)
        log.info("worker_started loops=%s", ",".join(dict.fromkeys(loop.name for loop in loops)))
        is_well = await (worker.run_once(stop) if once else worker.run(stop))
        log.info("worker_stopped")
        return is_well
    finally:
        await assembly.close()
