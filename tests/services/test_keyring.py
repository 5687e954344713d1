"""The keyring: keys come, are tried at the edge, take over and go, and every process follows."""

import asyncio
import logging
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from graphql_api.db.engine import Database
from graphql_api.db.tables import AuditEventRow, Base, SigningKeyRow
from graphql_api.errors import (
    ConfigurationError,
    Conflict,
    DeliveryError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unavailable,
)
from graphql_api.keys import PrivatePem
from graphql_api.model.signal import KEYS_TOPIC, KeysChanged
from graphql_api.model.signing_key import FROM_SETTINGS, HashAlgorithm, KeyPlace, KeyReference, KeyStatus
from graphql_api.services.keyring import CLOCKS_DIFFER, LOAD_AGAIN_AFTER, TRUST, ConfiguredId, Keyring
from graphql_api.services.link_signing import SignerInUse
from graphql_api.services.signing_keys import Rotation
from tests.memory_keys import MemoryKeys
from tests.services.rotating import DAY, HOUR, SHA256, WHY, House, fault
from tests.services.stories import filed
from tests.world import World

PENDING, ACTIVE, RETIRING, RETIRED = KeyStatus


async def test_the_key_of_the_settings_is_the_first_and_signs(house: House) -> None:
    assert await house.statuses() == {"K1": ACTIVE}
    link = await house.link()
    assert link.key_pair_id == "K1"
    assert house.opens(link)
    await house.process(SignerInUse()).start()
    assert await house.statuses() == {"K1": ACTIVE}


async def test_many_processes_that_start_at_once_enter_it_once(world: World) -> None:
    house = House(world)
    world.key_places.put("")
    in_uses = [SignerInUse() for _ in range(6)]
    await asyncio.gather(*(house.process(in_use).start() for in_use in in_uses))
    assert await house.statuses() == {"K1": ACTIVE}
    assert {in_use.key_pair_id for in_use in in_uses} == {"K1"}


async def test_of_two_first_keys_one_signs_and_the_other_waits(world: World) -> None:
    house = House(world)
    world.key_places.put("")
    await asyncio.gather(
        *(house.process(SignerInUse(), name).take_in() for name in ("K1", "K2", "K1", "K2")),
    )
    assert sorted((await house.statuses()).values()) == [ACTIVE, PENDING]


async def test_another_key_in_the_settings_waits_and_the_first_must_still_be_had(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.world.key_places.put("")  # the operator has put another key into the settings
    message = await fault(house.process(SignerInUse(), "K2").start(), ConfigurationError)
    assert "K1" in message
    assert "graphql-api keys activate" in message
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}
    assert "signing_key_pending key=K2" in caplog.messages
    house.trust("K2", "")
    await house.rotate("K2")
    in_use = SignerInUse()
    await house.process(in_use, "K2").start()
    assert in_use.key_pair_id == "K2"


async def test_a_key_takes_over_once_the_edge_has_let_it_through(house: House) -> None:
    old = await house.link()
    await house.add()
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}
    now = house.world.clock.now
    rotation = await house.rotate()
    assert "&Key-Pair-Id=K2&" in house.world.edge.opened[-1]
    assert rotation.retiring is not None
    assert (rotation.active.key_pair_id, rotation.retiring.key_pair_id) == ("K2", "K1")
    assert rotation.retiring.retires_at == now + DAY + TRUST + CLOCKS_DIFFER
    assert (await house.link()).key_pair_id == "K1"
    await house.keyring.refresh()
    new = await house.link()
    assert new.key_pair_id == "K2"
    assert house.opens(old)
    assert house.opens(new)


async def test_retiring_waits_for_the_last_link_and_what_is_out_of_the_group_opens_nothing(house: House) -> None:
    clock, keys = house.world.clock, house.world.services.signing_keys
    await house.add()
    await house.rotate()
    last = await house.link()  # by a process that has not heard of it yet
    assert last.key_pair_id == "K1"
    message = await fault(keys.retire(None, "K1", reason=WHY), Conflict)
    assert "live until" in message
    assert (await keys.turn()).done == 0
    clock.now = last.expires_at - timedelta(seconds=1)
    assert house.opens(last)
    assert (await keys.turn()).done == 0
    clock.now = last.expires_at + TRUST + CLOCKS_DIFFER + HOUR
    assert (await keys.turn()).done == 1
    assert (await keys.turn()).done == 0
    assert await house.statuses() == {"K1": RETIRED, "K2": ACTIVE}


async def test_the_same_link_after_an_immediate_rotation_and_the_removal_from_the_group(house: House) -> None:
    link = await house.link()
    await house.add()
    rotation = await house.rotate(is_immediate=True)
    assert rotation.retiring is not None
    assert rotation.retiring.status is RETIRED
    assert rotation.retiring.retires_at is not None
    assert rotation.retiring.retires_at >= link.expires_at, "it says until when links would have lived"
    assert house.opens(link)
    del house.world.edge.group["K1"]
    assert house.world.edge.judge(link.url).code == "InvalidKey"


@pytest.mark.parametrize("is_immediate", [False, True])
async def test_who_cannot_have_the_new_key_signs_with_the_old_one_only_while_it_is_retiring(
    house: House, is_immediate: bool
) -> None:
    in_use = SignerInUse()
    other = house.process(in_use)
    await other.start()
    await house.add()
    await house.rotate(is_immediate=is_immediate)
    kept = house.world.key_places.kept.pop("/K2.pem")
    await other.refresh()
    if is_immediate:
        with pytest.raises(Unavailable):
            in_use.signer()
    else:
        assert in_use.key_pair_id == "K1"
    house.world.key_places.kept["/K2.pem"] = kept
    house.world.clock.advance(minutes=5)
    await other.refresh()
    assert in_use.key_pair_id == "K2"


async def test_a_hash_that_is_changed_in_the_settings_is_said_not_to_count(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    world = house.world
    changed = Keyring(
        world.database,
        world.clock,
        world.loader,
        SignerInUse(),
        ConfiguredId("K1", HashAlgorithm.SHA1),
        longest_lifetime=DAY,
    )
    await changed.start()
    assert "signing_key_hash_kept key=K1 hash=SHA256" in caplog.messages


async def test_a_leak_that_is_noticed_after_the_rotation_is_not_passed_over(house: House) -> None:
    await house.add()
    await house.rotate()
    message = await fault(house.rotate("K2", is_immediate=True), Conflict)
    assert "`graphql-api keys retire K1 --now`" in message
    assert (await house.rotate("K2")).active.key_pair_id == "K2", "asking again for what is done is no fault"
    await house.world.services.signing_keys.retire(None, "K1", reason="it leaked", is_immediate=True)
    again = await house.rotate("K2", is_immediate=True)
    assert (again.active.key_pair_id, again.retiring) == ("K2", None)


async def test_a_key_of_the_settings_that_was_retired_before_its_time_is_trusted_no_longer(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.add()
    assert house.keyring.trusts_configured
    await house.rotate(is_immediate=True)
    await house.keyring.refresh()
    assert not house.keyring.trusts_configured
    await house.keyring.refresh()
    assert caplog.messages.count("signing_key_distrusted key=K1") == 1
    restarted, changed = house.process(SignerInUse()), house.process(SignerInUse(), "K2")
    for keyring in (restarted, changed):
        await keyring.start()
    assert (restarted.trusts_configured, changed.trusts_configured) == (False, True)


async def test_a_rotation_without_haste_leaves_the_old_key_trusted_unless_it_is_broken_off(house: House) -> None:
    keys = house.world.services.signing_keys
    await house.add()
    await house.rotate()
    await house.keyring.refresh()
    assert house.keyring.trusts_configured
    house.world.key_places.put("/K3.pem")
    house.trust("K3", "/K3.pem")
    await house.add("K3", "/K3.pem")
    await house.rotate("K3")
    await keys.retire(None, "K2", reason="it leaked", is_immediate=True)
    house.world.clock.now += DAY + HOUR
    await keys.turn()
    assert await house.statuses() == {"K1": RETIRED, "K2": RETIRED, "K3": ACTIVE}
    by_configured = {}
    for configured in ("K1", "K2", "K3"):
        keyring = house.process(SignerInUse(), configured)
        await keyring.start()
        by_configured[configured] = keyring.trusts_configured
    assert by_configured == {"K1": True, "K2": False, "K3": True}


async def test_concurrent_rotations_leave_one_active_key(house: House) -> None:
    names = [f"K{number}" for number in range(2, 8)]
    for name in names:
        house.world.key_places.put(f"/{name}.pem")
        house.trust(name, f"/{name}.pem")
        await house.add(name, f"/{name}.pem")
    outcomes = await asyncio.gather(*map(house.rotate, names), return_exceptions=True)
    done = [outcome for outcome in outcomes if isinstance(outcome, Rotation)]
    assert all(isinstance(outcome, Rotation | Conflict) for outcome in outcomes)
    assert done
    statuses = list((await house.statuses()).values())
    assert statuses.count(ACTIVE) == 1
    assert statuses.count(RETIRING) == len(done)
    assert statuses.count(PENDING) == len(names) - len(done)
    async with house.world.database.autocommit() as connection:
        rotated = await connection.execute(select(AuditEventRow.id).where(AuditEventRow.action == "KEY_ROTATED"))
    assert len(rotated.all()) == len(done)


async def test_the_same_rotation_twice_at_once_is_one(house: House) -> None:
    await house.add()
    outcomes = await asyncio.gather(house.rotate("K2"), house.rotate("K2"), return_exceptions=True)
    assert all(isinstance(outcome, Rotation | Conflict) for outcome in outcomes)
    assert await house.statuses() == {"K1": RETIRING, "K2": ACTIVE}
    again = await house.rotate("K2")
    assert again.active.key_pair_id == "K2"


async def test_which_key_is_meant_must_be_clear(house: House) -> None:
    assert "add one first" in await fault(house.rotate(), Conflict)
    await house.add()
    await house.add("K3")
    assert "say which" in await fault(house.rotate(), Conflict)
    await fault(house.rotate("K9"), NotFound)
    await house.rotate("K2")
    assert "does not come back" in await fault(house.rotate("K1"), Conflict)


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\nb"])
async def test_a_reason_is_asked_for(house: House, reason: str) -> None:
    await fault(house.world.services.signing_keys.rotate(None, reason=reason), InvalidInput)


async def test_the_active_key_is_not_retired_and_a_pending_one_at_once(house: House) -> None:
    keys = house.world.services.signing_keys
    assert "let another take over" in await fault(keys.retire(None, "K1", reason=WHY, is_immediate=True), Conflict)
    await fault(keys.retire(None, "K9", reason=WHY), NotFound)
    await house.add()
    assert (await keys.retire(None, "K2", reason=WHY)).status is RETIRED
    assert (await keys.retire(None, "K2", reason=WHY)).status is RETIRED
    await fault(house.add(), Conflict)  # an id does not come back


async def test_an_emergency_retires_at_once_and_says_what_breaks(house: House) -> None:
    keys = house.world.services.signing_keys
    await house.add()
    link = await house.link()
    await house.rotate()
    retired = await keys.retire(None, "K1", reason="it leaked", is_immediate=True)
    assert retired.status is RETIRED
    assert retired.retires_at is not None
    assert retired.retires_at >= link.expires_at


async def test_only_administrators_see_and_change_keys(house: House) -> None:
    keys, alice = house.world.services.signing_keys, await house.world.principal("alice")
    admin = await house.world.principal("root", is_admin=True)
    reference = KeyReference(KeyPlace.FILE, "/K2.pem")
    for work in (
        keys.list(alice),
        keys.add(alice, "K2", reference, SHA256),
        keys.rotate(alice, reason=WHY),
        keys.retire(alice, "K1", reason=WHY),
    ):
        await fault(work, Forbidden)
    [known] = await keys.list(admin)
    assert await keys.find(alice, [known.id]) == {}
    assert await keys.find(admin, [known.id]) == {known.id: known}
    assert house.world.edge.opened == []


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        (KeyReference(KeyPlace.FILE, "K2.pem"), InvalidInput),
        (KeyReference(KeyPlace.FILE, "/absent.pem"), ConfigurationError),
        (KeyReference(KeyPlace.FILE, "/text.pem"), ConfigurationError),
    ],
)
async def test_what_cannot_sign_is_not_added(house: House, reference: KeyReference, kind: type[DeliveryError]) -> None:
    house.world.key_places.kept["/text.pem"] = PrivatePem("a shopping list")
    message = await fault(house.world.services.signing_keys.add(None, "K2", reference, SHA256), kind)
    assert "shopping" not in message
    assert await house.statuses() == {"K1": ACTIVE}


async def test_every_step_stands_in_the_audit_log(house: House) -> None:
    admin = await house.world.principal("root", is_admin=True)
    keys = house.world.services.signing_keys
    clock = house.world.clock
    clock.advance(seconds=1)
    await keys.add(admin, "K2", KeyReference(KeyPlace.FILE, "/K2.pem"), SHA256)
    clock.advance(seconds=1)
    rotation = await keys.rotate(admin, reason=WHY)
    clock.advance(seconds=1)
    await keys.retire(admin, "K1", reason="it leaked", is_immediate=True)
    async with house.world.database.autocommit() as connection:
        rows = await connection.execute(
            select(AuditEventRow).where(AuditEventRow.action.startswith("KEY_")).order_by(AuditEventRow.id)
        )
        events = [(row.action, row.actor_id, row.target, row.after) for row in rows]
    assert [(action, actor) for action, actor, *_ in events] == [
        ("KEY_ADDED", None),
        ("KEY_ADDED", admin.user_id),
        ("KEY_ROTATED", admin.user_id),
        ("KEY_RETIRED", admin.user_id),
    ]
    assert events[2][2] == rotation.active.id
    assert WHY in events[2][3]
    assert "it leaked" in events[3][3]


async def test_a_rotation_that_is_asked_for_again_is_the_same(house: House) -> None:
    admin = await house.world.principal("root", is_admin=True)
    keys = house.world.services.signing_keys
    await house.add()
    first = await keys.rotate(admin, reason=WHY, idempotency_key="once")
    house.world.key_places.put("/K3.pem")
    await house.add("K3", "/K3.pem")
    assert await keys.rotate(admin, reason=WHY, idempotency_key="once") == first
    await fault(keys.rotate(admin, reason="other", idempotency_key="once"), Conflict)
    assert (await house.statuses())["K3"] is PENDING


async def test_a_longer_setting_of_another_process_is_waited_for(house: House) -> None:
    await house.process(SignerInUse(), longest=DAY * 7).start()
    await house.process(SignerInUse(), longest=HOUR).start()
    await house.add()
    rotation = await house.rotate()
    assert rotation.retiring is not None
    assert rotation.retiring.retires_at == house.world.clock.now + DAY * 7 + TRUST + CLOCKS_DIFFER


async def test_a_process_that_cannot_read_the_keyring_signs_no_link_that_outlives_the_key(house: House) -> None:
    clock = house.world.clock
    read_at = clock.now
    await house.add()
    clock.advance(seconds=1)
    rotation = await house.rotate()
    assert rotation.retiring is not None
    retires_at = rotation.retiring.retires_at
    assert retires_at is not None
    for later in (timedelta(), HOUR, DAY, DAY + TRUST - timedelta(seconds=2)):
        clock.now = read_at + later + timedelta(seconds=1)
        link = await house.link()
        assert link.key_pair_id == "K1"
        assert link.expires_at <= retires_at - CLOCKS_DIFFER
        assert link.expires_at > clock.now
    clock.now = read_at + DAY + TRUST
    assert "signing key" in await fault(house.link(), Unavailable)
    await house.keyring.refresh()
    assert (await house.link()).key_pair_id == "K2"


async def test_who_cannot_have_the_new_key_goes_on_with_the_old_one(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    in_use = SignerInUse()
    elsewhere = house.process(in_use)
    await elsewhere.start()
    await house.add()
    await house.rotate()
    house.world.key_places.is_up = False
    await elsewhere.refresh()
    assert in_use.key_pair_id == "K1"
    assert [record for record in caplog.messages if record.startswith("signing_key_unavailable key=K2")]
    asked = house.world.key_places.asked
    house.world.key_places.is_up = True
    await elsewhere.refresh()
    assert (in_use.key_pair_id, house.world.key_places.asked) == ("K1", asked), "its place is not asked all the time"
    house.world.clock.now += LOAD_AGAIN_AFTER
    await elsewhere.refresh()
    assert in_use.key_pair_id == "K2"


async def test_a_key_that_was_swapped_in_its_place_does_not_sign(house: House) -> None:
    await house.add()
    house.world.key_places.put("/K2.pem")
    await fault(house.rotate(), Conflict)
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}


async def test_a_place_is_asked_once_however_often_the_keyring_is_read(house: House) -> None:
    await house.add()
    await house.keyring.refresh()
    asked = house.world.key_places.asked
    for _ in range(5):
        await house.keyring.refresh()
    assert house.world.key_places.asked == asked


async def test_a_private_part_is_in_no_table_log_error_or_repr(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    places: MemoryKeys = house.world.key_places
    await house.add()
    await house.rotate()
    await house.keyring.refresh()
    house.world.key_places.kept["/K2.pem"] = places.kept[""]
    shown = [repr(house.world.loader), repr(house.keyring), repr(house.world.in_use.here), caplog.text]
    loaded = await house.world.loader.load("K1", FROM_SETTINGS, SHA256)
    shown += [repr(loaded), repr(loaded.signer), repr(places.kept)]
    async with house.world.database.autocommit() as connection:
        for table in Base.metadata.sorted_tables:
            shown += [repr(row) for row in await connection.execute(select(table))]
    secret_lines = [line for line in places.pem("").splitlines() if "PRIVATE" not in line]
    everything_shown = "\n".join(shown)
    assert "PUBLIC KEY" in everything_shown
    assert "PRIVATE KEY" not in everything_shown
    assert not any(line in everything_shown for line in secret_lines)


async def test_processes_switch_when_they_are_told(house: House) -> None:
    running = asyncio.create_task(house.keyring.run())
    await house.add()
    await house.rotate()
    async with asyncio.timeout(30):
        while house.world.in_use.key_pair_id != "K2":  # noqa: ASYNC110 -- nobody tells us
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_every_step_is_announced(sqlite_world: World) -> None:
    """So that nobody has to wait for the next look."""
    house = await House.build(sqlite_world)
    await filed(sqlite_world, await sqlite_world.principal("alice"), "a.txt")
    house.trust("K2", "/K2.pem")
    keys = sqlite_world.services.signing_keys
    with sqlite_world.database.signals.watch(KEYS_TOPIC) as box:
        for step in (house.add(), house.rotate(), keys.retire(None, "K1", reason=WHY, is_immediate=True)):
            await step
            assert list((await asyncio.wait_for(box.take(), 5)).signals) == [KeysChanged()]


async def test_the_database_itself_keeps_a_second_key_from_signing(house: House) -> None:
    await house.add()
    database: Database = house.world.database
    with pytest.raises(Exception, match=r"(?i)unique"):
        async with database.transaction() as connection:
            await connection.execute(text(f"UPDATE {SigningKeyRow.__tablename__} SET status = 'ACTIVE'"))
