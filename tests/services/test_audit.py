"""The audit log is for auditors, and loses what is past its time and nothing else."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from graphql_api.db.engine import Database
from graphql_api.db.idempotency import remember, remembered
from graphql_api.errors import Forbidden, InvalidInput
from graphql_api.model.audit import AuditAction, AuditEvent, AuditFilter
from graphql_api.model.ids import EventId
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import Effect
from graphql_api.services.audit_log import KEYS_KEPT, AuditLog
from tests.services.society import RETENTION, Society, id_of, outcome
from tests.world import START


@pytest.fixture
def society(database: Database) -> Society:
    return Society(database)


async def happened(society: Society, admin: Principal, number: int) -> Sequence[AuditEvent]:
    """As many events, a day apart; the oldest first."""
    for day in range(number):
        await society.groups.create(admin, f"group of day {day}")
        society.clock.advance(days=1)
    return (await society.events())[::-1]


async def test_auditors_and_administrators_read_the_log_and_nobody_else_does(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    auditor, former = await society.principal("auditor"), await society.principal("former")
    ruler, reader = await society.administrator("ruler"), await society.principal("reader")
    for principal in (auditor, former):
        await society.rule(id_of(principal), Permission.AUDIT)
    await society.rule(id_of(former), Permission.AUDIT, effect=Effect.DENY)
    await society.rule(id_of(reader), Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE)
    [event] = await happened(society, admin, 1)
    for principal in (admin, auditor, ruler):
        assert (await society.log.list(principal, AuditFilter(), PageRequest())).nodes == (event,)
        assert await society.log.find(principal, [event.id, EventId("event_none")]) == {event.id: event}
    for principal in (former, reader, Principal(None, is_admin=True), ANONYMOUS):
        for wanted in (AuditFilter(), AuditFilter(actor_id=principal.user_id), AuditFilter(resource_id="none")):
            refused = await outcome(society.log.list(principal, wanted, PageRequest(cursor="nonsense")))
            assert isinstance(refused, Forbidden)
            assert refused.required_permission == Permission.AUDIT
        assert await society.log.find(principal, [event.id]) == {}


async def test_the_log_says_who_did_it_from_where_and_in_which_request(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    [event] = await happened(society, admin, 1)
    assert (event.actor_id, event.address, event.request_id) == (admin.user_id, "192.0.2.1", "req-1")
    assert (event.action, event.occurred_at) == (AuditAction.GROUP_CREATED, START)


async def test_a_cursor_that_is_none_is_refused(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    with pytest.raises(InvalidInput):
        await society.log.list(admin, AuditFilter(), PageRequest(cursor="nonsense"))


async def test_events_are_kept_to_the_instant(society: Society) -> None:
    log = AuditLog(society.database, society.standings, society.clock, retention=RETENTION, batch=2)
    admin = await society.principal("admin", is_admin=True)
    events = await happened(society, admin, 7)
    society.clock.now = events[0].occurred_at + RETENTION
    assert await log.sweep() == 0
    society.clock.now = events[4].occurred_at + RETENTION + timedelta(microseconds=1)
    assert await log.sweep() == 5
    assert await log.sweep() == 0
    assert (await society.events())[::-1] == events[5:]


async def test_without_retention_nothing_goes(society: Society) -> None:
    admin = await society.principal("admin", is_admin=True)
    events = await happened(society, admin, 2)
    society.clock.advance(days=36_500)
    assert await AuditLog(society.database, society.standings, society.clock, retention=None).sweep() == 0
    assert (await society.events())[::-1] == events


async def test_idempotency_keys_go_after_a_day(society: Society) -> None:
    ada = id_of(await society.principal("ada"))
    async with society.database.transaction() as connection:
        await remember(connection, ada, "old", "f" * 64, {"rule": None}, START)
        await remember(connection, ada, "new", "f" * 64, {"rule": None}, START + timedelta(seconds=1))
    society.clock.now = START + KEYS_KEPT
    assert await society.log.sweep() == 0
    society.clock.advance(microseconds=1)
    assert await society.log.sweep() == 1
    async with society.database.autocommit() as connection:
        assert await remembered(connection, ada, "old", "f" * 64) is None
        assert await remembered(connection, ada, "new", "f" * 64) == {"rule": None}
