"""``graphql-api reconcile`` as an operator runs it: real processes on both databases and a store that speaks S3, some
of which die half-way. What has to be old is looked at by processes in whose world it is two days later.
"""

import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import update

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.cli import main
from graphql_api.db.tables import StorageUsageRow
from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, new_object_key
from graphql_api.model.principal import Identity, Principal
from graphql_api.model.stored_object import PostUploadTarget, PutUploadTarget
from graphql_api.model.upload import Upload, UploadMethod
from graphql_api.services.clock import utc_now
from graphql_api.services.upload_wishes import UploadWish
from graphql_api.settings import Settings
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from tests.agreement import assert_in_agreement
from tests.cli.program import Program, outcome, refusal
from tests.cli.warm import MODULE
from tests.e2e.service import Surroundings
from tests.faults import Answer, FaultyProxy, Hold, Request
from tests.store import free_port
from tests.workers.running import events

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a fact of processes, not of databases
pytestmark = pytest.mark.anyio

IN_TWO_DAYS = (sys.executable, str(Path(__file__).parent / "ahead.py"), "48")
AGREES, FAILED, DIFFERS = 0, 1, 2
CONTENT, OTHER = b"what was promised", b"what nobody wants"
assert len(CONTENT) == len(OTHER)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedStore]:
    with SeaweedStore(tmp_path_factory.mktemp("compared"), port=free_port(), bucket="compared") as store:
        store.create_bucket([upload_cors_rule(["https://app.example.com"])], lifecycle_rules())
        yield store


@pytest.fixture
def bucket(server: SeaweedStore) -> Iterator["S3Client"]:
    """Empty for each test; what is done through it, we know nothing of."""
    client = connect(server.endpoint_url, server.api)
    yield client
    for entry in client.list_objects_v2(Bucket=server.bucket).get("Contents", ()):
        client.delete_object(Bucket=server.bucket, Key=entry["Key"])
    for opened in client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=server.bucket, Key=opened["Key"], UploadId=opened["UploadId"])
    client.close()


@dataclass
class House:
    """An installation: what its programs are told, its parts in this process, and somebody who uploads."""

    environ: Mapping[str, str]
    parts: Assembly
    alice: Principal
    bucket: "S3Client"
    bucket_name: str
    folder: Path

    async def sent(self, name: str, method: UploadMethod = UploadMethod.PUT, **more: Any) -> Upload:
        """An upload whose bytes are there."""
        digest = sha256(CONTENT).hexdigest()
        wish = UploadWish(name, len(CONTENT), "text/plain", sha256=digest, method=method, **more)
        upload = await self.parts.services.uploads.create(self.alice, wish)
        target = await self.parts.services.upload_targets.target(upload)
        async with httpx.AsyncClient(trust_env=False) as client:
            if isinstance(target, PostUploadTarget):
                sent = await client.post(target.url, data=dict(target.fields), files={"file": ("x", CONTENT)})
            else:
                assert isinstance(target, PutUploadTarget)
                sent = await client.put(target.url, headers=dict(target.headers), content=CONTENT)
        sent.raise_for_status()
        return upload

    async def filed(self, name: str, method: UploadMethod = UploadMethod.PUT, **more: Any) -> File:
        upload = await self.sent(name, method, **more)
        _, file = await self.parts.services.completion.complete(self.alice, upload.id)
        assert file is not None
        return file

    async def find(self, file_id: FileId) -> File:
        return (await self.parts.services.files.find(self.alice, [file_id]))[file_id]

    def put(self, key: str, content: bytes = CONTENT) -> str:
        """Past us."""
        self.bucket.put_object(Bucket=self.bucket_name, Key=key, Body=content, ContentType="text/plain")
        return key

    def orphan(self) -> str:
        return self.put(new_object_key(utc_now()))

    def stray(self) -> tuple[str, str]:
        begun = self.bucket.create_multipart_upload(Bucket=self.bucket_name, Key=new_object_key(utc_now()))
        return begun["Key"], begun["UploadId"]

    def objects(self) -> set[str]:
        return {entry["Key"] for entry in self.bucket.list_objects_v2(Bucket=self.bucket_name).get("Contents", ())}

    def open_uploads(self) -> set[tuple[str, str]]:
        listed = self.bucket.list_multipart_uploads(Bucket=self.bucket_name).get("Uploads", ())
        return {(entry["Key"], entry["UploadId"]) for entry in listed}

    async def miscount(self) -> None:
        async with self.parts.database.transaction() as connection:
            await connection.execute(update(StorageUsageRow).values(stored=7))

    def reconcile(
        self, *arguments: str | Path, expect: int, command: tuple[str, ...] = IN_TWO_DAYS
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What it found, and the sum."""
        ended = outcome(["reconcile", "--json", *arguments], self.folder, environ=self.environ, command=command)
        assert ended.status == expect, ended.err
        *findings, total = [json.loads(line) for line in ended.out.splitlines()]
        return findings, total


@asynccontextmanager
async def open_house(
    environ: Mapping[str, str], bucket: "S3Client", bucket_name: str, folder: Path
) -> AsyncIterator[House]:
    parts = assemble(Settings.read({k: v for k, v in environ.items() if k.startswith("GRAPHQL_API_")}))
    alice = await parts.services.accounts.principal_of(Identity("https://issuer.test", "alice", "Alice"))
    yield House(environ, parts, alice, bucket, bucket_name, folder)
    await parts.close()


@pytest.fixture
async def house(
    database_url: str, server: SeaweedStore, bucket: "S3Client", surroundings: Surroundings, tmp_path: Path
) -> AsyncIterator[House]:
    around = Surroundings(server, surroundings.issuer, surroundings.cdn_key)
    async with open_house(around.environ(database_url), bucket, server.bucket, tmp_path) as opened:
        yield opened


def told(findings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(finding["kind"], finding["subject"]) for finding in findings}


@ON_SQLITE
async def test_everything_is_found_and_what_can_be_put_right_is(house: House) -> None:
    kept = await house.filed("kept")
    await house.filed("kept", replaces=kept.id)
    await house.sent("arrived")
    by_form = await house.filed("by form", UploadMethod.POST)
    broken, altered = await house.filed("broken"), await house.filed("altered")
    house.bucket.delete_object(Bucket=house.bucket_name, Key=broken.object_key)
    house.put(altered.object_key, OTHER)
    orphan, foreign, backup = house.orphan(), house.put("o/readme"), house.put("backup.tar")
    stray = house.stray()
    await house.miscount()
    before = house.objects(), house.open_uploads(), await house.find(altered.id)

    at_once = {
        ("BROKEN", broken.object_key),
        ("ALTERED", altered.object_key),
        ("MISCOUNTED", str(house.alice.user_id)),
    }
    findings, total = house.reconcile(expect=DIFFERS)
    everything = at_once | {("ORPHAN", orphan), ("FOREIGN", foreign), ("STRAY", stray[0])}
    assert told(findings) == everything
    assert [each["storeUploadId"] for each in findings if each["kind"] == "STRAY"] == [stray[1]]
    assert {each["kind"] for each in findings if each["canBeFixed"]} == {"ORPHAN", "STRAY", "MISCOUNTED"}
    assert total["examined"] == {"objects": 8, "open uploads": 1, "counters": 1}
    assert (house.objects(), house.open_uploads(), await house.find(altered.id)) == before  # it was only looked

    findings, total = house.reconcile("--fix", expect=DIFFERS, command=MODULE)
    assert told(findings) == at_once  # the rest is too young to be called superfluous
    assert {each["kind"] for each in findings if each["fixed"]} == {"MISCOUNTED"}
    assert (house.objects(), house.open_uploads()) == before[:2]
    findings, total = house.reconcile("--fix", expect=DIFFERS)
    assert told(findings) == everything - {("MISCOUNTED", str(house.alice.user_id))}
    assert {each["kind"] for each in findings if each["fixed"]} == {"ORPHAN", "STRAY"}
    assert total["fixed"] == 2
    assert house.objects() == before[0] - {orphan}
    assert house.open_uploads() == set()

    house.put(broken.object_key)  # from a backup
    await house.parts.services.files.delete(house.alice, [altered.id])
    house.bucket.delete_object(Bucket=house.bucket_name, Key=foreign)
    findings, total = house.reconcile(expect=AGREES)
    assert (findings, total["found"]) == ([], {})
    await assert_in_agreement(house.parts)
    assert {kept.object_key, by_form.object_key, broken.object_key, backup} < house.objects()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_people_are_told_in_words(house: House) -> None:
    await house.filed("kept")
    orphan = house.orphan()
    for arguments, remedy, status, number in (([], "would be removed", DIFFERS, 0), (["--fix"], "removed", AGREES, 1)):
        ended = outcome(["reconcile", *arguments], house.folder, environ=house.environ, command=IN_TWO_DAYS)
        assert ended.status == status, ended.err
        first, total = ended.out.splitlines()
        assert first.startswith(f"orphan: {orphan}: {len(CONTENT)} bytes since ")
        assert first.endswith(f": {remedy}")
        assert total == f"2 objects, 0 open uploads, 1 counters examined: found 1 orphan; {number} put right."
        assert len(events(ended.err, "reconciled kind=ORPHAN subject=")) == number
    ended = outcome(["reconcile"], house.folder, environ=house.environ, command=IN_TWO_DAYS)
    assert ended.out == "1 objects, 0 open uploads, 1 counters examined: everything agrees.\n"


def lists_uploads(request: Request) -> bool:
    return request.method == "GET" and "uploads" in request.query.split("&")


def removes(request: Request) -> bool:
    return request.method == "POST" and "delete" in request.query.split("&")


def lists_objects(request: Request) -> bool:
    return "list-type=2" in request.query


@ON_SQLITE
async def test_what_the_store_does_not_remove_now_is_not_called_removed(house: House, server: SeaweedStore) -> None:
    orphan = house.orphan()
    with FaultyProxy(server.endpoint_url) as proxy:
        proxy.plan(Answer(503), times=99, which=removes)
        environ = {**house.environ, "GRAPHQL_API_S3_ENDPOINT_URL": proxy.address}
        ended = outcome(["reconcile", "--fix"], house.folder, environ=environ, command=IN_TWO_DAYS)
    assert ended.status == AGREES, ended.err
    finding, total = ended.out.splitlines()
    assert finding.startswith(f"orphan: {orphan}: ")
    assert finding.endswith(": will be removed")
    assert total.endswith(": found 1 orphan; 0 put right, 1 will be.")
    assert house.objects() == {orphan}


@ON_SQLITE
async def test_a_run_that_was_killed_goes_on_where_it_was(house: House, server: SeaweedStore) -> None:
    orphan, stray = house.orphan(), house.stray()
    state = house.folder / "state.json"
    arguments = ["reconcile", "--fix", "--json", "--state", str(state)]
    with FaultyProxy(server.endpoint_url) as proxy:
        environ = {**house.environ, "GRAPHQL_API_S3_ENDPOINT_URL": proxy.address}
        hold = Hold()
        proxy.plan(hold, which=lists_uploads)
        with Program([*IN_TWO_DAYS, *arguments], house.folder, cwd=house.folder, environ=environ) as program:
            assert hold.reached.wait(60)
            program.tell(signal.SIGKILL)
            assert program.end() == -signal.SIGKILL
        hold.go_on.set()
        assert house.objects() == set()
        assert house.open_uploads() == {stray}
        kept = json.loads(state.read_text())
        assert (kept["check"], kept["after"], kept["fixed"]) == ("open uploads", None, 1)

        proxy.requests.clear()
        ended = outcome(arguments, house.folder, environ=environ, command=IN_TWO_DAYS)
        assert proxy.seen(lists_objects) == []  # it did not begin anew
    assert ended.status == AGREES, ended.err
    *findings, total = [json.loads(line) for line in ended.out.splitlines()]
    assert told(findings) == {("STRAY", stray[0])}
    assert total["found"] == {"ORPHAN": 1, "STRAY": 1}  # of both runs
    assert total["examined"] == {"objects": 1, "open uploads": 1, "counters": 1}
    assert house.open_uploads() == set()
    assert not state.exists()
    assert orphan not in house.objects()


@ON_SQLITE
async def test_what_a_killed_run_was_removing_is_removed_by_upkeep(house: House, server: SeaweedStore) -> None:
    file, orphan = await house.filed("kept"), house.orphan()
    with FaultyProxy(server.endpoint_url) as proxy:
        environ = {**house.environ, "GRAPHQL_API_S3_ENDPOINT_URL": proxy.address}
        hold = Hold()
        proxy.plan(hold, which=removes)
        command = [*IN_TWO_DAYS, "reconcile", "--fix"]
        with Program(command, house.folder, cwd=house.folder, environ=environ) as program:
            assert hold.reached.wait(60)
            program.tell(signal.SIGKILL)
            assert program.end() == -signal.SIGKILL
        assert orphan in house.objects()  # as long as the proxy keeps the request
        house.reconcile(expect=AGREES)  # it is known that it has to go
        ended = outcome(["worker", "--once"], house.folder, environ=house.environ, command=IN_TWO_DAYS)
        assert ended.status == 0, ended.err
        assert house.objects() == {file.object_key}


@ON_SQLITE
async def test_a_run_that_is_told_to_stop_says_how_to_go_on(house: House, server: SeaweedStore) -> None:
    state = house.folder / "state.json"
    with FaultyProxy(server.endpoint_url) as proxy:
        environ = {**house.environ, "GRAPHQL_API_S3_ENDPOINT_URL": proxy.address}
        hold = Hold()
        proxy.plan(hold, which=lists_uploads)
        command = [*MODULE, "reconcile", "--state", str(state)]
        with Program(command, house.folder, cwd=house.folder, environ=environ) as program:
            assert hold.reached.wait(60)
            program.tell(signal.SIGTERM)
            hold.go_on.set()
            assert program.end() == FAILED
            assert program.err.splitlines()[-1] == "graphql-api: stopped: the same command goes on from here"
    assert state.exists()
    house.reconcile("--state", state, expect=AGREES, command=MODULE)
    assert not state.exists()


@ON_SQLITE
async def test_it_does_not_empty_the_bucket_of_another_database(house: House) -> None:
    orphans = {house.orphan() for _ in range(3)}
    arguments = ["reconcile", "--fix", "--max-removals", "2"]
    said = refusal(arguments, house.folder, environ=house.environ, command=IN_TWO_DAYS)
    assert said == (
        "stopped: at least 3 things would be removed, of at most 2: is this the database of this bucket? If so, allow "
        "it with --max-removals"
    )
    assert house.objects() == orphans
    findings, _ = house.reconcile("--fix", "--max-removals", "3", expect=AGREES)
    assert len(findings) == 3


@ON_SQLITE
async def test_a_part_of_the_keys_can_be_compared(house: House) -> None:
    keys = sorted(house.put(f"o/{first}{'0' * 25}") for first in "01")
    findings, total = house.reconcile("--prefix", "o/1", expect=DIFFERS)
    assert told(findings) == {("ORPHAN", keys[1])}
    assert total["examined"]["objects"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prefix", "backup/"], "the prefix must begin with o/"),
        (["--prefix", ""], "the prefix must begin with o/"),
        (["--prefix", "o/ü"], "the prefix must begin with o/"),
        (["--safe-age", "0"], "Invalid value for '--safe-age'"),
        (["--max-removals", "-1"], "Invalid value for '--max-removals'"),
        (["--fixx"], "No such option '--fixx'"),
        (["--state", "garbage"], "garbage: is no state of this command"),
        (["--state", "other"], "other: is of a run with other options"),
    ],
)
def test_it_says_what_it_does_not_do(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("garbage").write_text("{}")
    Path("other").write_text(
        '{"prefix": "o/", "fix": true, "safe_age": 24, "check": "counters", "after": null, "examined": {}, '
        '"found": {}, "fixed": 0}'
    )
    ended = CliRunner().invoke(main, ["reconcile", *arguments])
    assert (ended.exit_code, ended.stdout) == (FAILED, "")
    assert said in ended.stderr.splitlines()[-1]


@ON_SQLITE
async def test_a_state_that_cannot_be_kept_is_a_failure(house: House) -> None:
    environ = {**house.environ, "GRAPHQL_API_LOG_LEVEL": "ERROR"}
    said = refusal(["reconcile", "--state", "no/folder"], house.folder, environ=environ)
    assert said == "no/folder: cannot be written: No such file or directory"


def test_it_wants_the_newest_schema(surroundings: Surroundings, tmp_path: Path) -> None:
    environ = surroundings.environ(f"sqlite:///{tmp_path / 'empty.db'}", LOG_LEVEL="ERROR")
    assert "run `graphql-api migrate`" in refusal(["reconcile"], tmp_path, environ=environ)


@ON_SQLITE
async def test_a_store_that_does_not_answer_is_a_failure(house: House) -> None:
    environ = {**house.environ, "GRAPHQL_API_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    ended = outcome(["reconcile"], house.folder, environ=environ)
    assert (ended.status, ended.out) == (FAILED, "")
    assert ended.err.splitlines()[-1] == "graphql-api: The store does not answer at the moment; try again shortly."


@ON_SQLITE
async def test_a_worker_aborts_strays_and_compares_what_came_by_a_form(house: House) -> None:
    same, altered = [await house.filed(name, UploadMethod.POST) for name in ("same", "altered")]
    house.put(altered.object_key, OTHER)
    house.stray()
    for command, lines in ((MODULE, []), (IN_TWO_DAYS, ["turn loop=rechecks done=2", "turn loop=strays done=1"])):
        # The first, for which nothing is old, has looked for strays as well: the second comes an hour later or more.
        ended = outcome(["worker", "--once"], house.folder, environ=house.environ, command=command)
        assert ended.status == 0, ended.err
        assert sorted(events(ended.err, "turn ")) == lines
    [line] = events(ended.err, "object_altered")
    assert line.startswith(f"object_altered file={altered.id} key={altered.object_key} reason=")
    assert (await house.find(same.id)).altered_at is None
    now = await house.find(altered.id)
    assert now.altered_at is not None
    assert house.parts.services.delivery.grant(now) is None
    assert house.open_uploads() == set()
