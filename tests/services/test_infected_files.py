"""Bytes that a scanner calls infected when they are a file already: nobody gets a link to them any more."""

import logging
from dataclasses import replace

import pytest

from graphql_api.db.engine import Database
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.file import File
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Principal
from graphql_api.model.scan import Judge
from graphql_api.model.signal import REFRESH, FolderChange
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.upload import Upload, UploadMethod, UploadStatus
from tests.agreement import disagreements
from tests.services.comparing import everything, fixed, steps_of
from tests.services.stock import administrator
from tests.services.stories import home_of, sent
from tests.world import World

FILE = """
    query ($id: ID!) {
      file(by: {id: $id}) { infectedAt signedUrl { url } versions { nodes { number infectedAt signedUrl { url } } } }
    }
"""


@pytest.fixture
def world(database: Database) -> World:
    return World(database, judge=Judge.EVENTS)


def verdict_on(upload: Upload, result: ScanResult, *threats: str) -> ScanVerdict:
    return ScanVerdict(upload.object_key, "etag", result, threats)


async def called_clean(world: World, principal: Principal, filename: str, **wish: object) -> tuple[Upload, File]:
    upload = await sent(world, principal, filename, **wish)
    await world.services.completion.complete(principal, upload.id)
    await world.verdicts.judged(verdict_on(upload, ScanResult.NO_THREATS_FOUND))
    done, file = await world.services.completion.complete(principal, upload.id)
    assert done.status is UploadStatus.COMPLETED
    assert file is not None
    return done, file


async def now_of(world: World, principal: Principal, file: File) -> File:
    return (await world.services.files.find(principal, [file.id]))[file.id]


async def test_a_file_that_turns_out_to_be_infected_is_withheld(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    upload, file = await called_clean(world, alice, "cat.txt")
    assert (await world.data(FILE, {"id": file.id}, as_=alice))["file"]["signedUrl"] is not None
    event = verdict_on(upload, ScanResult.THREATS_FOUND, "Eicar\n2026 forged", "é" * 300)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):  # it may come twice
            await world.verdicts.judged(event)
    await world.verdicts.judged(verdict_on(upload, ScanResult.NO_THREATS_FOUND))  # nothing takes it back
    assert (await now_of(world, alice, file)).infected_at == world.clock()
    shown = (await world.data(FILE, {"id": file.id}, as_=alice))["file"]
    assert shown["infectedAt"] is not None
    assert shown["signedUrl"] is shown["versions"]["nodes"][0]["signedUrl"] is None
    [record] = caplog.records
    assert record.getMessage().startswith(f"file_infected file={file.id} upload={upload.id} threat=Eicar_2026")
    assert record.getMessage().isascii()
    wanted = AuditFilter(resource_id=file.id, actions=(AuditAction.FILE_WITHHELD,))
    [audited] = (await world.services.audit_log.list(await administrator(world), wanted, PageRequest())).nodes
    assert (audited.actor_id, audited.occurred_at) == (None, world.clock())
    assert audited.after is not None
    assert audited.after["uploadId"] == upload.id


async def test_where_nobody_judges_bad_news_count_as_well(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    await world.verdicts.judged(verdict_on(upload, ScanResult.UNSUPPORTED))
    assert (await now_of(world, alice, file)).infected_at is None
    await world.verdicts.judged(verdict_on(upload, ScanResult.THREATS_FOUND))
    assert (await now_of(world, alice, file)).infected_at is not None


async def test_who_watches_the_folder_is_told(live_world: World) -> None:
    world = live_world
    alice = await world.principal("alice")
    upload, file = await called_clean(world, alice, "cat.txt")
    events = await world.services.live.folder_events(alice, await home_of(world, alice))
    assert await anext(events) == REFRESH
    await world.verdicts.judged(verdict_on(upload, ScanResult.THREATS_FOUND))
    event = await anext(events)
    assert (event.change, event.entry_id) == (FolderChange.UPDATED, file.id)
    assert isinstance(event.entry, File)
    assert event.entry.infected_at == world.clock()
    await events.aclose()


async def test_the_mark_stays_with_the_bytes(world: World) -> None:
    alice = await world.principal("alice")
    first, file = await called_clean(world, alice, "cat.txt")
    _, file = await called_clean(world, alice, "dog.txt", replaces=file.id)
    await world.verdicts.judged(verdict_on(first, ScanResult.THREATS_FOUND))
    assert (await now_of(world, alice, file)).infected_at is None
    shown = (await world.data(FILE, {"id": file.id}, as_=alice))["file"]
    assert [each["signedUrl"] is not None for each in shown["versions"]["nodes"]] == [True, False]  # the newest first

    page = (await world.services.versions.list_of(alice, PageRequest(), [file.id]))[file.id]
    old = next(version for version in page.nodes if not version.is_current)
    back = await world.services.versions.restore(alice, file.id, old.id)
    assert (back.infected_at, world.services.delivery.grant(back)) == (old.infected_at, None)
    assert old.infected_at is not None


async def test_what_was_deleted_meanwhile_is_not_told_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    upload, file = await called_clean(world, alice, "cat.txt")
    await world.services.files.delete(alice, [file.id])
    with caplog.at_level(logging.ERROR):
        await world.verdicts.judged(verdict_on(upload, ScanResult.THREATS_FOUND))
    assert caplog.records == []


async def test_neither_comparisons_nor_reconciliation_give_it_again(world: World) -> None:
    alice = await world.principal("alice")
    by_form = {"method": UploadMethod.POST, "sha256": "0" * 64}
    upload, file = await called_clean(world, alice, "cat.txt", **by_form)
    await world.verdicts.judged(replace(verdict_on(upload, ScanResult.THREATS_FOUND), etag="another"))
    world.clock.advance(days=2)
    assert await world.services.rechecks.sweep() == 1
    assert fixed(await steps_of(everything(world), fix=True)) == []
    assert await disagreements(world) == []
    now = await now_of(world, alice, file)
    assert now.infected_at is not None
    assert world.services.delivery.grant(now) is None
