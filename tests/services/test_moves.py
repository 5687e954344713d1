"""Moving is sharing: what others gain or escape by it must be the mover's to give. What moved is where it is now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from graphql_api.db import rules
from graphql_api.db.scopes import scopes_of_files
from graphql_api.errors import Forbidden
from graphql_api.model.audit import AuditAction, AuditEvent, AuditFilter
from graphql_api.model.file import File
from graphql_api.model.ids import FolderId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE, PLAIN, ROOT, Effect, Obligations, ReadTerms, RuleTerms, Scope, Subject
from graphql_api.services.rule_json import rule_json
from tests.services.stories import denied, filed, foldered, home_of, ruled, unruled
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE


async def seen_by(world: World, principal: Principal, file: File) -> bool:
    return file.id in await world.services.files.find(principal, [file.id])


async def events(world: World, target: str) -> list[AuditEvent]:
    admin = await world.principal("root", is_admin=True)
    page = await world.services.audit_log.list(admin, AuditFilter(resource_id=target), PageRequest())
    return list(page.nodes)


async def refused_move(world: World, mover: Principal, file: File, to: FolderId) -> Permission:
    with pytest.raises(Forbidden) as caught:
        await world.services.files.move(mover, file.id, to)
    assert caught.value.path == ("folderId",)
    return Permission(caught.value.required_permission)


async def test_what_is_moved_into_reach_is_seen_and_out_of_reach_is_not(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    shared, inner = await foldered(world, alice, "shared"), await foldered(world, alice, "inner")
    file = await filed(world, alice, "plan.txt", folder_id=inner.id)
    await ruled(world, bob, shared.id, READ)
    assert not await seen_by(world, bob, file)
    assert (await world.services.files.move(alice, file.id, shared.id)).terms == PLAIN
    assert await seen_by(world, bob, file)
    await world.services.files.move(alice, file.id, inner.id)
    assert not await seen_by(world, bob, file)
    await world.services.folders.move(alice, inner.id, shared.id)
    assert await seen_by(world, bob, file)
    assert set(await world.services.folders.find(bob, [inner.id])) == {inner.id}
    await world.services.folders.move(alice, inner.id, await home_of(world, alice))
    assert not await seen_by(world, bob, file)


async def test_the_scopes_of_a_file_are_where_it_stands(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    a, b = await foldered(world, alice, "a"), await foldered(world, alice, "b")
    inner = await foldered(world, alice, "inner", a.id)
    file = await filed(world, alice, folder_id=inner.id)
    await world.services.notes.change_labels(alice, file.id, ["x"])

    async def stands_in(*above: FolderId) -> None:
        async with world.database.autocommit() as connection:
            found = (await scopes_of_files(connection, [file.id]))[file.id]
        assert found == {file.id, *above, ROOT, alice.user_id, "label:x"}

    await stands_in(inner.id, a.id, home)
    await world.services.folders.move(alice, inner.id, b.id)
    await stands_in(inner.id, b.id, home)
    await world.services.files.move(alice, file.id, a.id)
    await stands_in(a.id, home)
    await world.services.folders.move(alice, a.id, inner.id)
    await stands_in(a.id, inner.id, b.id, home)


@pytest.mark.parametrize("is_public", [False, True])
async def test_where_others_would_gain_a_move_takes_share(world: World, is_public: bool) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    source, target = await foldered(world, bob, "source"), await foldered(world, bob, "target")
    file, inner = await filed(world, bob, folder_id=source.id), await foldered(world, bob, "inner", source.id)
    for folder in (source, target):
        await ruled(world, alice, folder.id, READ, WRITE)
    carol = await world.principal("carol")
    await ruled(world, ANYONE if is_public else carol, target.id, READ)
    assert await refused_move(world, alice, file, target.id) is SHARE
    with pytest.raises(Forbidden) as caught:
        await world.services.folders.move(alice, inner.id, target.id)
    assert (caught.value.required_permission, caught.value.path) == (SHARE, ("parentId",))
    assert not await seen_by(world, carol, file)
    assert (await world.services.folders.find(bob, [inner.id]))[inner.id].parent_id == source.id
    assert await events(world, file.id) == []
    await ruled(world, alice, source.id, SHARE)
    assert (await world.services.files.move(alice, file.id, target.id)).folder_id == target.id
    assert (await world.services.folders.move(alice, inner.id, target.id)).parent_id == target.id
    assert await seen_by(world, carol, file)


async def test_nobody_gives_by_moving_what_they_do_not_hold(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    source, target = await foldered(world, bob, "source"), await foldered(world, bob, "target")
    file = await filed(world, bob, folder_id=source.id)
    await ruled(world, alice, source.id, READ, WRITE, SHARE)
    await ruled(world, alice, target.id, READ, WRITE)
    await ruled(world, carol, target.id, READ, DELETE)
    assert await refused_move(world, alice, file, target.id) is DELETE
    await ruled(world, alice, source.id, DELETE, ends_at=START + timedelta(days=1))
    assert await refused_move(world, alice, file, target.id) is DELETE  # Carol would hold it for longer
    await ruled(world, carol, source.id, DELETE)  # who holds it already gains nothing
    assert (await world.services.files.move(alice, file.id, target.id)).folder_id == target.id


async def test_a_rule_that_is_over_gives_nothing(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    source, target = await foldered(world, bob, "source"), await foldered(world, bob, "target")
    file = await filed(world, bob, folder_id=source.id)
    for folder in (source, target):
        await ruled(world, alice, folder.id, READ, WRITE)
    await ruled(world, carol, target.id, READ, ends_at=START + timedelta(hours=1))
    assert await refused_move(world, alice, file, target.id) is SHARE
    world.clock.advance(hours=1)
    assert (await world.services.files.move(alice, file.id, target.id)).folder_id == target.id


async def test_who_lets_others_escape_a_denial_must_hold_share_where_it_stands(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    outer = await foldered(world, bob, "outer")
    secret, plain = await foldered(world, bob, "secret", outer.id), await foldered(world, bob, "plain", outer.id)
    file, inner = await filed(world, bob, folder_id=secret.id), await foldered(world, bob, "inner", secret.id)
    await ruled(world, alice, outer.id, READ, WRITE)
    await ruled(world, carol, outer.id, READ)
    await denied(world, carol, secret.id, READ)
    assert await refused_move(world, alice, file, plain.id) is SHARE
    await ruled(world, alice, file.id, SHARE)  # on the file alone is not enough
    assert await refused_move(world, alice, file, plain.id) is SHARE
    with pytest.raises(Forbidden):
        await world.services.folders.move(alice, inner.id, plain.id)
    assert not await seen_by(world, carol, file)
    await ruled(world, alice, secret.id, SHARE)
    await world.services.files.move(alice, file.id, plain.id)
    await world.services.folders.move(alice, inner.id, plain.id)
    assert await seen_by(world, carol, file)


async def test_nobody_moves_their_own_out_of_a_denial_that_binds_them(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    locked = await foldered(world, bob, "locked")
    await ruled(world, alice, locked.id, READ, WRITE, SHARE)
    file = await filed(world, alice, "mine.txt", folder_id=locked.id)
    await denied(world, alice, locked.id, DELETE)
    assert await refused_move(world, alice, file, await home_of(world, alice)) is DELETE
    assert (await world.services.files.find(alice, [file.id]))[file.id].folder_id == locked.id


async def test_terms_are_decided_anew_after_a_move(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    outer = await foldered(world, bob, "outer")
    free, bound = await foldered(world, bob, "free", outer.id), await foldered(world, bob, "bound", outer.id)
    await ruled(world, alice, outer.id, WRITE)
    await ruled(world, alice, free.id, READ)
    await ruled(world, alice, bound.id, READ, obligations=Obligations(timedelta(minutes=5), True, True))
    file = await filed(world, bob, folder_id=free.id)
    here = replace(alice, address=ip_address("192.0.2.7"))
    assert (await world.services.files.find(here, [file.id]))[file.id].terms == PLAIN
    moved = await world.services.files.move(here, file.id, bound.id)
    assert moved.terms == ReadTerms(timedelta(minutes=5), "192.0.2.7/32", forces_download=True)
    assert moved == (await world.services.files.find(here, [file.id]))[file.id]
    renamed = await world.services.files.update(here, file.id, name="other.txt")
    assert renamed.terms == moved.terms
    elsewhere = replace(alice, address=ip_address("2001:db8::7"))
    assert await refused_move(world, elsewhere, file, free.id) is SHARE  # she would have it without strings


async def test_moves_and_deletions_stand_in_the_audit_log(world: World) -> None:
    alice = replace(await world.principal("alice"), address=ip_address("192.0.2.7"), request_id="req-7")
    home, folder = await home_of(world, alice), await foldered(world, alice, "folder")
    inner, file = await foldered(world, alice, "inner"), await filed(world, alice, "cat.txt")
    await world.services.files.move(alice, file.id, folder.id)
    await world.services.folders.move(alice, inner.id, folder.id)
    await world.services.files.move(alice, file.id, folder.id)  # where it is already
    await filed(world, alice, "dog.txt", folder_id=inner.id)
    world.clock.advance(seconds=1)
    await world.services.files.delete(alice, [file.id])
    await world.services.folders.delete(alice, inner.id, is_recursive=True)
    deleted, moved = await events(world, file.id)
    assert (moved.action, moved.before, moved.after) == (
        AuditAction.FILE_MOVED,
        {"folderId": home},
        {"folderId": folder.id},
    )
    assert (deleted.action, deleted.after) == (AuditAction.FILE_DELETED, None)
    assert deleted.before == {"name": "cat.txt", "folderId": folder.id, "ownerId": alice.user_id}
    assert {(event.actor_id, event.address, event.request_id) for event in (moved, deleted)} == {
        (alice.user_id, "192.0.2.7", "req-7")
    }
    deleted, moved = await events(world, inner.id)
    assert (moved.action, moved.before, moved.after) == (
        AuditAction.FOLDER_MOVED,
        {"parentId": home},
        {"parentId": folder.id},
    )
    assert deleted.action is AuditAction.FOLDER_DELETED
    place = {"name": "inner", "parentId": folder.id, "ownerId": alice.user_id}
    assert deleted.before == {**place, "folders": 1, "files": 1}


async def test_rules_that_go_with_what_they_stand_on_stand_in_the_audit_log(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    outer = await foldered(world, alice, "outer")
    inner, single = await foldered(world, alice, "inner", outer.id), await filed(world, alice, "single")
    below = [(await filed(world, alice, name, folder_id=inner.id)).id for name in ("cat.txt", "dog.txt")]
    kept = await ruled(world, bob, await home_of(world, alice), READ)
    alone = [await ruled(world, bob, single.id, READ), await denied(world, ANYONE, single.id, WRITE)]
    along = [await ruled(world, bob, thing, READ) for thing in (outer.id, inner.id, *below)]
    await world.services.files.delete(alice, [single.id])
    assert await rules_gone(world, alice) == {rule.id: (rule.terms.resource, rule_json(rule)) for rule in alone}
    world.clock.advance(seconds=1)
    await world.services.folders.delete(alice, outer.id, is_recursive=True)
    gone = await rules_gone(world, alice)
    assert gone == {rule.id: (rule.terms.resource, rule_json(rule)) for rule in (*alone, *along)}
    [told] = [event for event in await events(world, outer.id) if event.action is AuditAction.FOLDER_DELETED]
    assert told.before is not None
    assert (told.before["folders"], told.before["files"]) == (2, 2)
    for thing in (inner.id, *below):  # the folder's event counts them
        assert [event.action for event in await events(world, thing)] == [AuditAction.RULE_DELETED]
    async with world.database.autocommit() as connection:
        assert kept in await rules.list_rules_on(connection, [kept.terms.resource])


async def rules_gone(world: World, actor: Principal) -> dict[str, tuple[str | None, Mapping[str, Any] | None]]:
    """What each rule stood on that ``actor`` took away, and how it was."""
    admin = await world.principal("root", is_admin=True)
    wanted = AuditFilter(actor_id=actor.user_id, actions=(AuditAction.RULE_DELETED,))
    page = await world.services.audit_log.list(admin, wanted, PageRequest(100))
    assert {event.after for event in page.nodes} == {None}
    return {event.target: (event.resource, event.before) for event in page.nodes}


async def test_the_rule_of_a_home_is_the_systems_and_stands_in_the_audit_log(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    async with world.database.autocommit() as connection:
        [rule] = await rules.list_rules_on(connection, [home])
    assert rule.terms == RuleTerms(
        Effect.ALLOW, frozenset({READ, WRITE, DELETE, SHARE}), Subject(str(alice.user_id)), Scope(home)
    )
    assert rule.made_by is None
    [event] = await events(world, home)
    assert (event.action, event.target, event.actor_id) == (AuditAction.RULE_CREATED, rule.id, None)
    assert event.after is not None
    assert event.after["resource"] == home


async def test_remembered_rules_know_where_moved_files_and_folders_stand(world: World) -> None:
    """Both are named by rules, and what rules name is carved out of folders by where it stands."""
    alice, bob = await world.principal("alice"), await world.principal("bob")
    outer, other = await foldered(world, alice, "outer"), await foldered(world, alice, "other")
    inner, file = await foldered(world, alice, "inner", outer.id), await filed(world, alice, folder_id=outer.id)
    await ruled(world, bob, outer.id, READ)
    await denied(world, bob, other.id, READ)
    allow = await ruled(world, bob, file.id, READ)
    denial = await denied(world, bob, inner.id, READ)

    async def listed() -> tuple[int, int]:
        files = await world.services.files.list(bob, FileFilter(), FileOrder(), PageRequest())
        return len(files.nodes), len((await world.services.folders.list_subfolders(bob, outer.id, PageRequest())).nodes)

    assert await listed() == (1, 0)
    await world.services.files.move(alice, file.id, other.id)
    assert await listed() == (0, 0)
    await world.services.files.move(alice, file.id, inner.id)
    await world.services.folders.move(alice, inner.id, await home_of(world, alice))
    assert await listed() == (0, 0)
    await unruled(world, denial)
    assert await listed() == (1, 0)
    await world.services.folders.move(alice, inner.id, outer.id)
    await unruled(world, allow)
    assert await listed() == (1, 1)
