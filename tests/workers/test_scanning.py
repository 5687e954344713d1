"""The gate with its real parts: clamd, a store that speaks S3, processes that are killed, and GuardDuty's events."""

import io
import json
import signal
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.db.engine import Database
from graphql_api.db.tables import JobRow
from graphql_api.model.file import File
from graphql_api.model.principal import Identity, Principal
from graphql_api.model.stored_object import PutUploadTarget
from graphql_api.model.upload import Upload, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.clock import utc_now
from graphql_api.services.outbox import LEASE
from graphql_api.services.turns import Turn
from graphql_api.services.upload_wishes import UploadWish
from graphql_api.settings import Settings
from tests.clamd import EICAR, FILE_LIMIT, HARMLESS_THREAT, STREAM_LIMIT, Clamd
from tests.cli.program import outcome, wait_for
from tests.contracts.queues import watched
from tests.e2e.service import Surroundings
from tests.ministack import MiniStack
from tests.workers.running import events, worker

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a fact of parts, not of databases
pytestmark = [pytest.mark.anyio, ON_SQLITE]


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter.txt", content)
    return buffer.getvalue()


@dataclass
class House:
    """A process's parts, and somebody who uploads."""

    parts: Assembly
    alice: Principal

    async def brought(self, content: bytes, name: str = "a.bin") -> Upload:
        """An upload whose bytes are in."""
        services = self.parts.services
        wish = UploadWish(name, len(content), "application/octet-stream", method=UploadMethod.PUT)
        upload = await services.uploads.create(self.alice, wish)
        target = await services.upload_targets.target(upload)
        assert isinstance(target, PutUploadTarget)
        async with httpx.AsyncClient(trust_env=False) as client:
            sent = await client.put(target.url, headers=dict(target.headers), content=content)
            sent.raise_for_status()
        upload, file = await services.completion.complete(self.alice, upload.id)
        assert (upload.status, file) == (UploadStatus.PROCESSING, None)
        return upload

    async def now_of(self, upload: Upload) -> Upload:
        return await self.parts.services.uploads.get(self.alice, upload.id)

    async def file_of(self, upload: Upload) -> File | None:
        return (await self.parts.services.files.find(self.alice, [upload.file_id])).get(upload.file_id)

    async def scan(self) -> Turn:
        assert self.parts.scans is not None
        return await self.parts.scans.turn()


@asynccontextmanager
async def house(environ: dict[str, str], *, ahead: timedelta = timedelta()) -> AsyncIterator[House]:
    """``ahead``: of the time that it is."""
    ours = {name: value for name, value in environ.items() if name.startswith("GRAPHQL_API_")}
    parts = assemble(Settings.read(ours), clock=lambda: utc_now() + ahead)
    alice = await parts.services.accounts.principal_of(Identity("https://issuer.test", "alice", "Alice"))
    yield House(parts, alice)
    await parts.close()


Environ = Callable[[Clamd], dict[str, str]]


@pytest.fixture
def environ_with(database_url: str, surroundings: Surroundings) -> Environ:
    def make(clamd: Clamd) -> dict[str, str]:
        return surroundings.environ(database_url, SCAN="clamd", CLAMD_ADDRESS=clamd.tcp_address)

    return make


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a letter", None),
        (b"", None),
        (b"before " + HARMLESS_THREAT, UploadFailureCode.INFECTED),
        (EICAR, UploadFailureCode.INFECTED),
        (zipped(b"a letter"), None),
        (zipped(b"text " * 1000 + HARMLESS_THREAT), UploadFailureCode.INFECTED),
        (bytes(FILE_LIMIT + 1), UploadFailureCode.NOT_SCANNED),
        (bytes(STREAM_LIMIT + 1), UploadFailureCode.NOT_SCANNED),
    ],
    ids=["clean", "empty", "infected", "eicar", "zip", "infected zip", "over file limit", "over stream limit"],
)
async def test_clamd_decides_whether_bytes_become_a_file(
    environ_with: Environ, clamd: Clamd, content: bytes, code: UploadFailureCode | None
) -> None:
    async with house(environ_with(clamd)) as here:
        upload = await here.brought(content)
        assert await here.scan() == Turn(1, is_more=False)
        now, file = await here.now_of(upload), await here.file_of(upload)
        stored = await here.parts.store.find(upload.object_key)
        assert (now.failure and now.failure.code) == code
        assert (file is None) == (stored is None) == (code is not None)


async def test_clamd_that_comes_back_is_asked_again(environ_with: Environ, own_clamd: Clamd) -> None:
    environ = environ_with(own_clamd)
    async with house(environ) as here:
        upload = await here.brought(b"a letter")
        own_clamd.kill()
        assert await here.scan() == Turn(0, is_more=False)
        assert (await here.now_of(upload)).status is UploadStatus.PROCESSING
    own_clamd.start()
    async with house(environ, ahead=timedelta(seconds=10)) as later:
        assert await later.scan() == Turn(1, is_more=False)
        assert await later.file_of(upload) is not None


async def test_what_a_killed_worker_was_scanning_is_scanned_by_another(
    environ_with: Environ,
    own_clamd: Clamd,
    surroundings: Surroundings,
    database: Database,
    database_url: str,
    tmp_path: Path,
) -> None:
    environ = environ_with(own_clamd)
    async with house(environ) as here:
        upload = await here.brought(HARMLESS_THREAT)
    own_clamd.freeze()
    how = {"SCAN": "clamd", "CLAMD_ADDRESS": own_clamd.tcp_address}
    with worker(surroundings, database_url, tmp_path, **how) as program:
        assert events(program.err, "worker_started") == [
            "worker_started loops=jobs,copies,publications,scans,uploads,objects,strays,rechecks,keys,moves,records,"
            "share_links,rates,dead_letters"
        ]
        async with database.autocommit() as connection:
            while not await connection.scalar(select(JobRow.lease)):  # it waits for clamd's answer from then on
                assert program.process.poll() is None, program.err
        program.tell(signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
    own_clamd.thaw()
    async with house(environ) as too_early:
        assert await too_early.scan() == Turn(0, is_more=False)
        assert (await too_early.now_of(upload)).status is UploadStatus.PROCESSING
    async with house(environ, ahead=LEASE + timedelta(seconds=1)) as later:
        assert await later.scan() == Turn(1, is_more=False)
        failure = (await later.now_of(upload)).failure
        assert failure is not None
        assert failure.code is UploadFailureCode.INFECTED
        assert failure.message == "the scanner found Test.Harmless.UNOFFICIAL"


async def test_a_worker_scans_and_no_log_tells_what(
    environ_with: Environ, clamd: Clamd, surroundings: Surroundings, database_url: str, tmp_path: Path
) -> None:
    environ = environ_with(clamd)
    async with house(environ) as here:
        clean, bad = await here.brought(b"a letter", "private.txt"), await here.brought(EICAR, "worse.txt")
        with worker(surroundings, database_url, tmp_path, SCAN="clamd", CLAMD_ADDRESS=clamd.unix_address) as program:
            wait_for(lambda: len(events(program.err, "job_done kind=scan")) == 2)
            assert program.stop() == 0
        assert await here.file_of(clean) is not None
        assert (await here.now_of(bad)).status is UploadStatus.FAILED
    assert len(events(program.err, f"upload_rejected upload={bad.id} code=INFECTED")) == 1
    assert "private.txt" not in program.err
    assert "worse.txt" not in program.err


def guardduty_says(upload: Upload, bucket: str, etag: str, result: str) -> str:
    """Source: see tests/events/test_s3_messages.py."""
    detail = {
        "s3ObjectDetails": {"bucketName": bucket, "objectKey": upload.object_key, "eTag": etag, "versionId": None},
        "scanResultDetails": {"scanResultStatus": result, "threats": None},
    }
    kind = "GuardDuty Malware Protection Object Scan Result"
    return json.dumps({"version": "0", "source": "aws.guardduty", "detail-type": kind, "detail": detail})


async def test_guardduty_decides_by_event_whether_bytes_become_a_file(
    database_url: str, surroundings: Surroundings, ministack: MiniStack, tmp_path: Path
) -> None:
    with watched(ministack.session(), ministack.endpoint_url, account="000000000000") as place:
        environ = surroundings.environ(
            database_url,
            SCAN="guardduty",
            EVENTS_QUEUE_URL=place.queue_url,
            EVENTS_ENDPOINT_URL=ministack.endpoint_url,
            EVENTS_ACCESS_KEY_ID=ministack.access_key_id,
            EVENTS_SECRET_ACCESS_KEY=ministack.secret_access_key,
        )
        async with house(environ) as here:
            assert here.parts.scans is None
            uploads = [await here.brought(name.encode(), name) for name in ("clean", "infected", "unsupported", "none")]
            said = ("NO_THREATS_FOUND", "THREATS_FOUND", "UNSUPPORTED", "ACCESS_DENIED")
            for upload, result in zip(uploads, said, strict=True):
                stored = await here.parts.store.find(upload.object_key)
                assert stored is not None
                for _ in range(2):
                    place.send(guardduty_says(upload, surroundings.store.bucket, stored.etag, result))
            ended = outcome(["worker", "--once"], tmp_path, environ=environ)
            assert ended.status == 0, ended.err
            statuses = [(await here.now_of(upload)).status for upload in uploads]
            assert statuses == [
                UploadStatus.COMPLETED,
                UploadStatus.FAILED,
                UploadStatus.FAILED,
                UploadStatus.PROCESSING,
            ]
            assert [await here.file_of(upload) is not None for upload in uploads] == [True, False, False, False]
