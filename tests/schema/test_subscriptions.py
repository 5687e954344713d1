"""Subscriptions as GraphQL tells them: each event resolved anew, failures as errors, bugs as nothing but an id."""

import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

import anyio
import pytest

from graphql_api.model.ids import new_folder_id, new_upload_id
from graphql_api.model.principal import ANONYMOUS, Permission
from graphql_api.schema import Context
from graphql_api.services.files import Files
from graphql_api.services.rates import BASE_COST, RateLimits
from tests.services.stories import filed, home_of, promised, ruled, send, unruled
from tests.watching import listening
from tests.world import SCHEMA, START, World

UPLOAD = """subscription ($id: ID!) {
  uploadStatusChanged(uploadId: $id) {
    previousStatus
    upload { status filename target { expiresAt } file { name path signedUrl { url } } folder { name } }
  }
}"""
FOLDER = """subscription ($id: ID!) {
  folderContentsChanged(folderId: $id) { action fileId file { name path labels folder { name } signedUrl { url } } }
}"""


def data(result: Any) -> Any:
    assert result.errors is None, result.errors
    [value] = result.data.values()
    return value


async def test_an_upload_is_told_until_it_is_a_file(live_world: World) -> None:
    ada = await live_world.principal("ada")
    upload = await promised(live_world, ada, "cat.txt")
    async with live_world.subscribed(UPLOAD, {"id": upload.id}, as_=ada) as told:
        first = data(await anext(told))
        assert (first["previousStatus"], first["upload"]["status"]) == (None, "PENDING")
        assert first["upload"]["target"]
        assert first["upload"]["file"] is None
        send(live_world, upload)
        await live_world.services.completion.complete(ada, upload.id)
        then = data(await anext(told))
        assert (then["previousStatus"], then["upload"]["status"]) == ("PENDING", "COMPLETED")
        assert then["upload"]["target"] is None
        assert then["upload"]["file"]["path"] == "/Ada/cat.txt"
        assert then["upload"]["file"]["signedUrl"]["url"].startswith("https://cdn.test/")
        with pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_a_folder_is_told_event_by_event_and_nothing_is_remembered_between_them(live_world: World) -> None:
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    async with live_world.subscribed(FOLDER, {"id": home}, as_=ada) as told:
        assert data(await anext(told)) == {"action": "REFRESH", "fileId": None, "file": None}
        file = await filed(live_world, ada, "cat.txt")
        event = data(await anext(told))
        assert (event["action"], event["fileId"]) == ("CREATED", file.id)
        assert event["file"]["folder"] == {"name": "Ada"}
        root = await live_world.principal("root", is_admin=True)
        await live_world.services.folders.rename(root, home, "Countess")
        await live_world.services.notes.change_labels(ada, file.id, ["red"])
        event = data(await anext(told))
        assert event["action"] == "UPDATED"
        assert event["file"]["labels"] == ["red"]
        assert event["file"]["path"] == "/Countess/cat.txt"
        assert event["file"]["folder"] == {"name": "Countess"}
        await live_world.services.files.delete(ada, [file.id])
        assert data(await anext(told)) == {"action": "DELETED", "fileId": file.id, "file": None}


async def test_who_loses_the_folder_gets_the_end_and_no_reason(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    home = await home_of(live_world, ada)
    rule = await ruled(live_world, bob, home, Permission.READ)
    async with live_world.subscribed(FOLDER, {"id": home}, as_=bob) as told:
        await anext(told)
        await unruled(live_world, rule)
        await filed(live_world, ada)
        with pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_hidden_absent_and_malformed_subjects_fail_alike(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    upload, home = await promised(live_world, ada), await home_of(live_world, ada)
    for query, ids in (
        (UPLOAD, [upload.id, new_upload_id(START), home, "no id", "", "upload_" + "\ud800" * 26]),
        (FOLDER, [home, new_folder_id(START), upload.id, "no id", "", "x" * 10_000]),
    ):
        said = []
        for who in (bob, ANONYMOUS):
            for id_ in ids:
                async with live_world.subscribed(query, {"id": id_}, as_=who) as told:
                    results = [result async for result in told]
                said.append([(result.data, [error.formatted for error in result.errors]) for result in results])
        assert all(one == said[0] for one in said)
        [(nothing, [error])] = said[0]
        assert nothing is None
        assert error["extensions"]["code"] == "NOT_FOUND"


async def test_a_bug_in_an_event_shows_nothing_of_itself(
    live_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    async with live_world.subscribed(FOLDER, {"id": home}, as_=ada) as told:
        await anext(told)
        live_world.clock.now = None  # type: ignore[assignment]  # links cannot be made without a time
        live_world.database.signals.miss()
        event = await anext(told)
    assert [error.message for error in event.errors] == ["Internal error"]
    assert event.errors[0].extensions == {"code": "INTERNAL_SERVER_ERROR", "requestId": "req-1"}
    assert "internal_error" in caplog.text


async def test_a_document_that_does_not_fit_is_refused_before_anything_is_watched(live_world: World) -> None:
    for query in ("subscription { nonsense }", "subscription {", f"{UPLOAD} {FOLDER}"):
        async with live_world.subscribed(query) as told:
            [result] = [result async for result in told]
        assert result.errors
    assert live_world.database.signals.watched == 0


@pytest.fixture
async def counting(world: World, database_url: str) -> AsyncIterator[World]:
    limits = RateLimits(per_viewer=BASE_COST + 3 * 232, per_address=0, window=timedelta(minutes=1))
    counting = World(world.database, rate_limits=limits)
    async with listening(counting, database_url):
        yield counting


async def test_each_event_costs_what_is_asked_of_it_until_no_points_are_left(counting: World) -> None:
    ada = await counting.principal("ada")
    home = await home_of(counting, ada)
    pages = "a: files(first: 10) { totalCount nodes { id } } b: files(first: 4) { nodes { id } }"
    watch = f"subscription ($id: ID!) {{ folderContentsChanged(folderId: $id) {{ action subfolder {{ {pages} }} }} }}"
    async with counting.subscribed(watch, {"id": home}, as_=ada) as told:
        for action in ("REFRESH", "CREATED", "CREATED"):
            assert data(await anext(told))["action"] == action
            await counting.services.folders.create(ada, home, f"after {counting.clock().timestamp()} {action}")
            counting.clock.advance(seconds=0.001)
        refused = await anext(told)
        assert refused.data is None
        assert [error.extensions["code"] for error in refused.errors] == ["RATE_LIMITED"]
        assert refused.errors[0].extensions["retryAfter"] > 0
        with pytest.raises(StopAsyncIteration):
            await anext(told)


class Stuck(Files):
    """Never answers."""

    def __init__(self) -> None:
        pass

    async def list(self, *_asked: object, **_also: object) -> NoReturn:
        await anyio.sleep_forever()
        raise AssertionError


async def test_an_event_has_to_be_answered_in_time_and_may_happen_at_any(live_world: World) -> None:
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    services = replace(live_world.services, files=Stuck())
    context = Context(services, ada, client_address=None, request_id="req-1")
    watch = """subscription ($id: ID!) {
      folderContentsChanged(folderId: $id) { action subfolder { files { nodes { id } } } }
    }"""

    async def watched(deadline: anyio.CancelScope) -> None:
        context.deadline = deadline
        stream: Any = await SCHEMA.stream(watch, {"id": home}, context_value=context)
        async with aclosing(stream) as told:
            assert data(await anext(told))["action"] == "REFRESH"
            assert deadline.deadline == math.inf
            assert 0 < context.event_limit <= 60
            context.event_limit = 0.01
            await live_world.services.folders.create(ada, home, "new")
            await anext(told)

    with pytest.raises(TimeoutError), anyio.fail_after(60) as deadline:
        await watched(deadline)
