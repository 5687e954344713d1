"""The log is written once and never again, and read newest first however it is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DBAPIError

from graphql_api.db.audit import delete_events_before, find_events, insert_events, list_events
from graphql_api.db.engine import Database
from graphql_api.db.tables import AuditEventRow, UserRow
from graphql_api.errors import InvalidInput
from graphql_api.model.audit import AuditAction, AuditEvent, AuditFilter, audit_event
from graphql_api.model.ids import EventId, UserId, new_user_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Principal
from tests.world import START

MINUTE = timedelta(minutes=1)
ACTIONS = (AuditAction.RULE_CREATED, AuditAction.RULE_DELETED, AuditAction.FILE_MOVED)
THINGS = ("folder_1", "folder_2", "label:secret")


async def add_user(database: Database, name: str) -> UserId:
    user_id = new_user_id(START)
    async with database.transaction() as connection:
        row = {"id": user_id, "issuer": "i", "subject": name, "display_name": name, "created_at": START}
        await connection.execute(insert(UserRow).values(**row))
    return user_id


async def written(database: Database) -> tuple[list[AuditEvent], list[UserId]]:
    """Events of two users and the system about three things, some at one instant; oldest first."""
    people = [await add_user(database, name) for name in ("ada", "ben")]
    actors = [None, *map(Principal, people)]
    events = []
    for number, (actor, action, thing, is_rule) in enumerate(product(actors, ACTIONS, THINGS, (False, True))):
        target, resource = (f"rule_{number}", thing) if is_rule else (thing, None if number % 4 else thing)
        events.append(audit_event(actor, action, target, now=START + number // 5 * MINUTE, resource=resource))
    async with database.transaction() as connection:
        await insert_events(connection, events[::2])
        await insert_events(connection, events[1::2])
        await insert_events(connection, [])
    return sorted(events, key=lambda event: (event.occurred_at, event.id)), people


def matches(event: AuditEvent, wanted: AuditFilter) -> bool:
    return (
        (wanted.actor_id is None or event.actor_id == wanted.actor_id)
        and (wanted.resource_id is None or wanted.resource_id in (event.target, event.resource))
        and (not wanted.actions or event.action in wanted.actions)
        and (wanted.since is None or event.occurred_at >= wanted.since)
        and (wanted.until is None or event.occurred_at < wanted.until)
    )


async def walked(database: Database, wanted: AuditFilter, size: int, *, is_backward: bool) -> Sequence[AuditEvent]:
    """All pages, one after the other, in the order of the list."""
    found: list[AuditEvent] = []
    cursor, is_more = None, True
    async with database.autocommit() as connection:
        while is_more:
            page = await list_events(connection, wanted, PageRequest(size, cursor, is_backward))
            nodes = list(page.nodes)
            found = nodes + found if is_backward else found + nodes
            is_more = page.has_previous_page if is_backward else page.has_next_page
            cursor = page.cursor_of(nodes[0] if is_backward else nodes[-1]) if nodes else None
            assert len(nodes) == size or not is_more
    return found


async def test_an_event_comes_out_as_it_went_in(database: Database) -> None:
    event = AuditEvent(
        EventId("event_1"),
        START,
        await add_user(database, "ada"),
        AuditAction.RULE_UPDATED,
        "rule_1",
        "label:ü",
        {"ipRanges": ["192.0.2.0/24"], "endsAt": None, "text": '\0 " 猫'},
        {},
        "2001:db8::1",
        "req-1",
    )
    bare = AuditEvent(EventId("event_0"), START, None, AuditAction.FILE_DELETED, "file_1")
    async with database.transaction() as connection:
        await insert_events(connection, [event, bare])
    async with database.autocommit() as connection:
        assert (await list_events(connection, AuditFilter(), PageRequest())).nodes == (event, bare)
        assert await find_events(connection, [event.id, EventId("event_2")]) == {event.id: event}


@pytest.mark.parametrize("is_backward", [False, True])
async def test_every_filter_finds_what_it_names_and_pages_meet_without_gap(
    database: Database, is_backward: bool
) -> None:
    events, people = await written(database)
    for actor, resource, actions, window in product(
        (None, people[1]),
        (None, "folder_1", "label:secret", "rule_7", "folder_9"),
        ((), ACTIONS[:1], ACTIONS[1:]),
        ((None, None), (START + 3 * MINUTE, START + 8 * MINUTE)),
    ):
        wanted = AuditFilter(actor, resource, actions, *window)
        expected = [event for event in reversed(events) if matches(event, wanted)]
        assert await walked(database, wanted, 7, is_backward=is_backward) == expected, wanted


async def test_what_happens_between_two_pages_moves_nothing(database: Database) -> None:
    events, _ = await written(database)
    async with database.autocommit() as connection:
        first = await list_events(connection, AuditFilter(), PageRequest(10))
        await insert_events(connection, [replace(events[0], id=EventId("event_new"), occurred_at=START + 60 * MINUTE)])
        second = await list_events(connection, AuditFilter(), PageRequest(10, first.cursor_of(first.nodes[-1])))
    assert list(first.nodes + second.nodes) == events[::-1][:20]


async def test_a_cursor_of_another_list_is_refused(database: Database) -> None:
    async with database.autocommit() as connection:
        for wanted in (AuditFilter(), AuditFilter(resource_id="folder_1")):
            with pytest.raises(InvalidInput):
                await list_events(connection, wanted, PageRequest(10, "bm9uc2Vuc2U="))


async def test_what_is_written_cannot_be_rewritten(database: Database) -> None:
    events, _ = await written(database)
    for changes in ({"actor_id": None}, {"after": "{}"}, {"occurred_at": START}):
        with pytest.raises(DBAPIError, match="append-only"):
            async with database.transaction() as connection:
                await connection.execute(update(AuditEventRow).values(**changes))
    async with database.autocommit() as connection:
        page = await list_events(connection, AuditFilter(), PageRequest(100))
    assert list(page.nodes) == events[::-1]


async def test_an_actor_cannot_be_removed_from_under_the_log(database: Database) -> None:
    await written(database)
    with pytest.raises(DBAPIError):
        async with database.transaction() as connection:
            await connection.execute(delete(UserRow))


async def test_retention_takes_the_oldest_and_no_more_than_it_may_at_once(database: Database) -> None:
    events, _ = await written(database)
    instant = START + 4 * MINUTE
    old = [event for event in events if event.occurred_at < instant]
    async with database.autocommit() as connection:
        assert await delete_events_before(connection, instant, 7) == 7
        left = await list_events(connection, AuditFilter(), PageRequest(100))
        assert list(left.nodes) == events[:6:-1]
        assert await delete_events_before(connection, instant, 100) == len(old) - 7
        assert await delete_events_before(connection, instant, 100) == 0
        left = await list_events(connection, AuditFilter(), PageRequest(100))
    assert list(left.nodes) == events[len(old) :][::-1]
