"""``graphql-api ingest-logs`` as cron runs it: real processes, a real bucket, and one that is killed half-way."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from graphql_api.db.engine import Database
from graphql_api.db.tables import AccessLogRow, FileRow, FileTrafficRow, FileVersionRow, UserRow
from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.ids import ROOT_FOLDER_ID, new_file_id, new_object_key, new_user_id, new_version_id
from tests.cli.program import DIES, Outcome, Program, clean_environment, numbers, outcome, refusal
from tests.cli.warm import MODULE
from tests.edge.logs import SIGNATURE, as_json, name, packed, values, w3c
from tests.postgres import PostgresCluster
from tests.world import START

KEY = new_object_key(START)
LINE = values(cs_uri_stem=f"/{KEY}")
DAY = date(2026, 11, 22)


@pytest.fixture
def environ(database_url: str) -> Mapping[str, str]:
    """A database with one file, whose object is at ``KEY``."""
    asyncio.run(_file(database_url))
    return clean_environment(GRAPHQL_API_DATABASE_URL=database_url)


@pytest.fixture
def on_sqlite(sqlite_template: Path, tmp_path: Path) -> Mapping[str, str]:
    """The same, for what no database has a part in."""
    url = f"sqlite:///{copyfile(sqlite_template, tmp_path / 'api.db')}"
    asyncio.run(_file(url))
    return clean_environment(GRAPHQL_API_DATABASE_URL=url)


async def _file(url: str) -> None:
    database = Database(url)
    user, file = new_user_id(START), new_file_id(START)
    same = {"size": 5, "content_type": "text/plain", "object_key": KEY, "created_at": START}
    async with database.transaction() as connection:
        row = {"issuer": "x", "subject": "ada", "display_name": "Ada", "created_at": START}
        await connection.execute(insert(UserRow).values(id=user, **row))
        more = {"name": "cat", "name_key": "cat", "stored_content_type": "text/plain", "updated_at": START}
        place = {"folder_id": ROOT_FOLDER_ID, "owner_id": user}
        await connection.execute(insert(FileRow).values(id=file, **same, **more, **place))
        version = {"id": new_version_id(START), "file_id": file, "number": 1, "created_by": user}
        await connection.execute(insert(FileVersionRow).values(**version, **same))
    await database.close()


def traffic(environ: Mapping[str, str]) -> dict[date, tuple[int, int]]:
    """Of the file: downloads and bytes by day."""

    async def read() -> dict[date, tuple[int, int]]:
        database = Database(environ["GRAPHQL_API_DATABASE_URL"])
        async with database.autocommit() as connection:
            rows = (await connection.execute(select(FileTrafficRow))).all()
        await database.close()
        return {row.day: (row.downloads, row.delivered_bytes) for row in rows}

    return asyncio.run(read())


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two logs, of both forms."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / name("A")).write_bytes(packed(w3c(LINE, values())))
    (folder / name("B")).write_bytes(packed(as_json(LINE, LINE | {"sc-bytes": "-1"})))
    return folder


def ingest(*arguments: str | Path, folder: Path, environ: Mapping[str, str]) -> Outcome:
    return outcome(["ingest-logs", *arguments], folder, environ=environ)


def test_a_folder_is_counted_once(logs: Path, environ: Mapping[str, str]) -> None:
    first = ingest(logs, folder=logs.parent, environ=environ)
    assert (first.status, first.err) == (0, "")
    known_as = [name(unique).removesuffix(".gz") for unique in "AB"]
    assert first.out.splitlines() == [
        f"{known_as[0]}: 2 requests, 1 downloads, 512 bytes, 1 of no file",
        f"{known_as[1]}: 1 requests, 1 downloads, 512 bytes, 1 lines that make no sense",
        "2 files: 2 counted.",
        "In all 3 requests, 2 downloads, 1,024 bytes, 1 of no file, 1 lines that make no sense.",
    ]
    again = ingest(logs, folder=logs.parent, environ=environ)
    assert (again.status, again.out, again.err) == (0, "2 files: 2 counted before.\n", "")
    assert traffic(environ) == {DAY: (2, 1024)}


def test_scripts_are_told_in_json_what_was_counted_and_what_was_not(logs: Path, on_sqlite: Mapping[str, str]) -> None:
    (logs / name("C")).write_bytes(packed(w3c(LINE))[:-1])
    (logs / name("D")).write_bytes(b"PAR1" + SIGNATURE.encode())
    (logs / "README.md").write_text("These are logs.")
    ended = ingest(logs, "--json", folder=logs.parent, environ=on_sqlite)
    assert (ended.status, ended.err) == (2, "")
    lines: list[dict[str, Any]] = [json.loads(line) for line in ended.out.splitlines()]
    counts = {"requests": 2, "downloads": 1, "deliveredBytes": 512, "unknown": 1, "malformed": 0}
    assert lines[0] == {"name": name("A").removesuffix(".gz"), "fate": "COUNTED", **counts}
    assert [line["fate"] for line in lines[:-1]] == ["COUNTED", "COUNTED", "UNREADABLE", "UNREADABLE"]
    assert "too early" in lines[2]["reason"]
    assert "Parquet" in lines[3]["reason"]
    sums = {"requests": 3, "downloads": 2, "deliveredBytes": 1024, "unknown": 1, "malformed": 1}
    assert lines[-1] == {"files": {"counted": 2, "unreadable": 2, "foreign": 1}, **sums}
    assert SIGNATURE not in ended.out


@pytest.fixture
def bucket(store_server: SeaweedStore, tmp_path: Path) -> Iterator[str]:
    """A folder of the tests' bucket, with three logs and something else beside it."""
    prefix = f"logs-{next(numbers)}-{tmp_path.name}"
    with closing(connect(store_server.endpoint_url, store_server.admin)) as client:
        for path, content in {
            f"{prefix}/{name('A')}": packed(w3c(LINE)),
            f"{prefix}/2026/11/{name('B')}": packed(as_json(LINE)),
            f"{prefix}/2026/11/{name('C')}": packed(as_json(LINE))[:-3],
            f"{prefix}-other/{name('D')}": packed(w3c(LINE)),
        }.items():
            client.put_object(Bucket=store_server.bucket, Key=path, Body=content)
        yield prefix


def of_store(store: SeaweedStore, environ: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **environ,
        "GRAPHQL_API_S3_ENDPOINT_URL": store.endpoint_url,
        "GRAPHQL_API_S3_ADDRESSING_STYLE": "path",
        "GRAPHQL_API_S3_ACCESS_KEY_ID": store.api.access_key_id,
        "GRAPHQL_API_S3_SECRET_ACCESS_KEY": store.api.secret_access_key,
    }


def test_a_bucket_is_counted_once(
    store_server: SeaweedStore, bucket: str, on_sqlite: Mapping[str, str], tmp_path: Path
) -> None:
    environ = of_store(store_server, on_sqlite)
    source = f"s3://{store_server.bucket}/{bucket}/"
    first = ingest(source, folder=tmp_path, environ=environ)
    assert (first.status, first.err) == (2, ""), first
    assert first.out.splitlines()[-2:] == [
        "3 files: 2 counted, 1 not counted.",
        "In all 2 requests, 2 downloads, 1,024 bytes.",
    ]
    with closing(connect(store_server.endpoint_url, store_server.admin)) as client:
        whole = packed(as_json(LINE))
        client.put_object(Bucket=store_server.bucket, Key=f"{bucket}/2026/11/{name('C')}", Body=whole)
    again = ingest(source, "--region", "us-east-1", folder=tmp_path, environ=environ)
    assert (again.status, again.out.splitlines()[1]) == (0, "3 files: 1 counted, 2 counted before.")
    assert traffic(environ) == {DAY: (3, 1536)}


def test_a_run_that_is_killed_half_way_has_counted_nothing_of_that_log(logs: Path, environ: Mapping[str, str]) -> None:
    command = [sys.executable, "-c", DIES, "INSERT INTO user_traffic"]
    died = outcome(["ingest-logs", logs], logs.parent, environ=environ, command=command)
    assert (died.status, died.out) == (-signal.SIGKILL, "")
    assert traffic(environ) == {}
    assert ingest(logs, folder=logs.parent, environ=environ).status == 0
    assert traffic(environ) == {DAY: (2, 1024)}


def test_a_run_that_is_killed_in_the_second_log_has_counted_the_first_once(
    logs: Path, environ: Mapping[str, str]
) -> None:
    (logs / name("B")).rename(logs.parent / "B")
    command = [sys.executable, "-c", DIES, "INSERT INTO user_traffic"]
    assert ingest(logs, folder=logs.parent, environ=environ).status == 0
    (logs.parent / "B").rename(logs / name("B"))
    died = outcome(["ingest-logs", logs], logs.parent, environ=environ, command=command)
    assert died.status == -signal.SIGKILL
    assert traffic(environ) == {DAY: (1, 512)}
    assert ingest(logs, folder=logs.parent, environ=environ).out.startswith(name("B").removesuffix(".gz"))
    assert traffic(environ) == {DAY: (2, 1024)}


def test_processes_at_once_count_each_log_once(logs: Path, environ: Mapping[str, str]) -> None:
    for unique in range(20):
        (logs / name(f"Z{unique}")).write_bytes(packed(w3c(LINE)))
    command: list[str | Path] = [*MODULE, "ingest-logs", logs, "--json"]
    programs = [Program(command, logs.parent, cwd=logs.parent, environ=environ) for _ in range(3)]
    assert [program.end() for program in programs] == [0, 0, 0], [program.err for program in programs]
    told = [json.loads(program.out.splitlines()[-1]) for program in programs]
    assert sum(each["files"].get("counted", 0) for each in told) == 22
    assert traffic(environ) == {DAY: (22, 22 * 512)}


async def test_told_to_stop_a_run_ends_and_leaves_the_log_that_it_was_counting(
    postgres: PostgresCluster, postgres_template: str, logs: Path
) -> None:
    url = postgres.create_database(template=postgres_template)
    await _file(url)
    environ = clean_environment(GRAPHQL_API_DATABASE_URL=url)
    database = Database(url)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.transaction() as holder:
        await holder.execute(select(FileRow.id).with_for_update())
        with Program([*MODULE, "ingest-logs", logs], logs.parent, cwd=logs.parent, environ=environ) as program:
            async with database.autocommit() as connection:
                while not await connection.scalar(waiting):  # it has claimed the log and wants to add to the file
                    assert program.process.poll() is None, program.err
                    await asyncio.sleep(0.02)
            assert program.stop(signal.SIGTERM) == 1
            assert program.out == ""
            assert program.err == "graphql-api: stopped: what was counted stays, and the next run goes on from there\n"
    async with database.autocommit() as connection:
        assert await connection.scalar(select(func.count()).select_from(AccessLogRow)) == 0
    await database.close()
    postgres.drop_database(url)


def test_what_cannot_be_done_is_one_line(on_sqlite: Mapping[str, str], tmp_path: Path) -> None:
    def said(source: str, environ: Mapping[str, str]) -> str:
        return refusal(["ingest-logs", source], tmp_path, environ=environ)

    assert said("nowhere", on_sqlite) == "nowhere: cannot be read: No such file or directory"
    assert said("s3://UPPER", on_sqlite) == "a bucket is written as s3://BUCKET or s3://BUCKET/PREFIX"
    empty = clean_environment(GRAPHQL_API_DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    assert "migrate" in said(".", empty)


def test_a_mistyped_option_is_no_list_of_files_that_were_not_counted(tmp_path: Path) -> None:
    ended = outcome(["ingest-logs", "--jsn", "."], tmp_path)
    assert (ended.status, ended.out) == (1, "")
    assert "No such option" in ended.err


def test_an_empty_folder_has_no_log(on_sqlite: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    ended = ingest("logs", folder=tmp_path, environ=on_sqlite)
    assert (ended.status, ended.out) == (0, "There is no log.\n")
