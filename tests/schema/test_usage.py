"""What was delivered, as clients ask for it."""

from datetime import date, timedelta

import pytest

from graphql_api.model.principal import ANONYMOUS
from graphql_api.model.traffic import MAX_BYTES, MAX_DOWNLOADS
from tests.services.stories import delivered, filed, statements
from tests.world import START, World

TODAY = START.date()
BUCKET = "{ startsOn downloads deliveredBytes }"
OF_FILE = f"query ($id: ID!, $since: Date) {{ file(by: {{id: $id}}) {{ usage(since: $since) {BUCKET} }} }}"


async def test_a_client_sees_what_was_delivered_of_a_file(world: World) -> None:
    ada, admin = await world.principal("ada"), await world.principal("admin", is_admin=True)
    cat = await filed(world, ada, "cat")
    await delivered(world, {(cat, TODAY): (MAX_DOWNLOADS, MAX_BYTES), (cat, date(2026, 10, 31)): (1, 5)})
    whole = {"startsOn": "2026-11-22", "downloads": MAX_DOWNLOADS, "deliveredBytes": MAX_BYTES}
    october = {"startsOn": "2026-10-31", "downloads": 1, "deliveredBytes": 5}
    for viewer in (ada, admin):
        shown = await world.data(OF_FILE, {"id": cat.id}, as_=viewer)
        assert shown == {"file": {"usage": [october, whole]}}
        shown = await world.data(OF_FILE, {"id": cat.id, "since": "2026-11-01"}, as_=viewer)
        assert shown == {"file": {"usage": [whole]}}


async def test_a_viewer_sees_their_own_and_an_administrator_all(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    admin = await world.principal("admin", is_admin=True)
    cat, owl = await filed(world, ada, "cat"), await filed(world, bob, "owl")
    await delivered(world, {(cat, TODAY): (1, 900), (owl, TODAY): (2, 20), (cat, date(2026, 10, 31)): (1, 5)})
    viewer = f"""{{ viewer {{
        usage(since: "2026-01-01", interval: MONTH) {BUCKET}
        topFiles(since: "2026-11-22", until: "2026-11-23", first: 1) {{ file {{ name }} downloads deliveredBytes }}
    }} }}"""
    assert (await world.data(viewer, as_=ada))["viewer"] == {
        "usage": [
            {"startsOn": "2026-10-01", "downloads": 1, "deliveredBytes": 5},
            {"startsOn": "2026-11-01", "downloads": 1, "deliveredBytes": 900},
        ],
        "topFiles": [{"file": {"name": "cat"}, "downloads": 1, "deliveredBytes": 900}],
    }
    everyones = '{ topFiles(since: "2026-11-22", orderBy: DELIVERED_BYTES) { file { name } deliveredBytes } }'
    assert await world.data(everyones, as_=admin) == {
        "topFiles": [
            {"file": {"name": "cat"}, "deliveredBytes": 900},
            {"file": {"name": "owl"}, "deliveredBytes": 20},
        ]
    }
    for other in (ada, ANONYMOUS):
        refused = await world.ask(everyones, as_=other)
        assert refused.data == {"topFiles": None}
        assert [error.extensions["code"] for error in refused.errors or () if error.extensions] == ["FORBIDDEN"]


async def test_a_page_of_files_asks_once_for_what_was_delivered(world: World) -> None:
    ada = await world.principal("ada")
    cats = [await filed(world, ada, f"cat {number}") for number in range(6)]
    await delivered(world, {(cat, TODAY): (1, 5) for cat in cats})
    page = f"query ($first: Int!) {{ files(first: $first) {{ nodes {{ usage {BUCKET} }} }} }}"
    costs = []
    for size in (1, 6):
        await world.data(page, {"first": size}, as_=ada)
        with statements(world) as run:
            nodes = (await world.data(page, {"first": size}, as_=ada))["files"]["nodes"]
        assert [node["usage"] for node in nodes] == size * [
            [{"startsOn": "2026-11-22", "downloads": 1, "deliveredBytes": 5}]
        ]
        costs.append(len(run))
        assert len([statement for statement in run if "file_traffic" in statement]) == 1
    assert costs[0] == costs[1]


async def test_different_days_of_the_same_files_are_not_mixed_up(world: World) -> None:
    ada = await world.principal("ada")
    cat = await filed(world, ada, "cat")
    yesterday = TODAY - timedelta(days=1)
    await delivered(world, {(cat, TODAY): (1, 5), (cat, yesterday): (2, 6)})
    query = """query ($id: ID!) { file(by: {id: $id}) {
        today: usage(since: "2026-11-22") { downloads }
        before: usage(until: "2026-11-22") { downloads }
    } }"""
    shown = await world.data(query, {"id": cat.id}, as_=ada)
    assert shown["file"] == {"today": [{"downloads": 1}], "before": [{"downloads": 2}]}


@pytest.mark.parametrize("day", ["2026-02-30", "2026-W01-1", "20260101", "2026-1-1", "٢٠٢٦-01-01", "", 20260101, 1.5])
async def test_a_date_is_a_day_of_the_calendar_as_text(sqlite_world: World, day: object) -> None:
    refused = await sqlite_world.ask(OF_FILE, {"id": "file_x", "since": day})
    assert refused.data is None
    assert refused.errors is not None
    [error] = refused.errors
    assert error.extensions == {"code": "BAD_USER_INPUT"}


async def test_too_many_days_are_refused_by_name(world: World) -> None:
    ada = await world.principal("ada")
    refused = await world.ask('{ viewer { usage(since: "2020-01-01") { downloads } } }', as_=ada)
    assert refused.errors is not None
    [error] = refused.errors
    assert error.message == "at most 366 days at a time"
    assert error.extensions is not None
    assert error.extensions["code"] == "BAD_USER_INPUT"
