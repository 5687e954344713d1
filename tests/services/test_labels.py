"""Labels, which rules can name, and metadata, which they cannot."""

from collections.abc import Mapping, Sequence

import pytest

from graphql_api.errors import Forbidden, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.ids import new_file_id
from graphql_api.model.labels import MAX_LABELS, MAX_METADATA
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission
from graphql_api.model.rule import ANYONE, ROOT, Obligations, ReadTerms
from tests.services.stories import denied, filed, foldered, ruled
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE


async def test_labels_are_put_on_and_taken_off(world: World) -> None:
    alice = await world.principal("alice")
    file, change = await filed(world, alice), world.services.notes.change_labels
    world.clock.advance(seconds=1)
    changed = await change(alice, file.id, ["Zoo", "zoo", "Cafe\u0301", "猫"])
    assert changed.updated_at > file.updated_at
    assert await world.services.notes.labels(alice, [file.id]) == {file.id: ("café", "zoo", "猫")}
    world.clock.advance(seconds=1)
    assert await change(alice, file.id, ["ZOO"], ["never there"]) == changed  # nothing to do
    await change(alice, file.id, ["new"], ["CAFÉ", "zoo"])
    assert await world.services.notes.labels(alice, [file.id]) == {file.id: ("new", "猫")}
    admin = await world.principal("root", is_admin=True)
    page = await world.services.audit_log.list(admin, AuditFilter(resource_id=file.id), PageRequest())
    assert [(event.action, event.before, event.after) for event in page.nodes] == [
        (AuditAction.LABELS_CHANGED, {"labels": ["café", "zoo", "猫"]}, {"labels": ["new", "猫"]}),
        (AuditAction.LABELS_CHANGED, {"labels": []}, {"labels": ["café", "zoo", "猫"]}),
    ]


@pytest.mark.parametrize(
    ("add", "remove", "paths"),
    [
        ([""], [], [("add", "0")]),
        (["fine", " ", "a\0b"], [], [("add", "1"), ("add", "2")]),
        (["a\nb"], ["-"], [("add", "0"), ("remove", "0")]),
        (["x" * 65], [], [("add", "0")]),
        (["same"], ["SAME"], [("remove",)]),
        ([f"label {number}" for number in range(MAX_LABELS + 1)], [], [("add",)]),
    ],
)
async def test_what_is_no_label_is_refused_at_its_place(
    world: World, add: Sequence[str], remove: Sequence[str], paths: Sequence[tuple[str, ...]]
) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    with pytest.raises(InvalidInput) as caught:
        await world.services.notes.change_labels(alice, file.id, add, remove)
    assert [fault.path for fault in caught.value.faults] == paths
    assert await world.services.notes.labels(alice, [file.id]) == {file.id: ()}


async def test_a_file_has_so_many_labels_and_no_more(world: World) -> None:
    alice = await world.principal("alice")
    file, change = await filed(world, alice), world.services.notes.change_labels
    await change(alice, file.id, [f"label {number}" for number in range(MAX_LABELS)])
    with pytest.raises(InvalidInput):
        await change(alice, file.id, ["one more"])
    await change(alice, file.id, ["one more"], ["label 0"])
    assert len((await world.services.notes.labels(alice, [file.id]))[file.id]) == MAX_LABELS


async def test_rules_reach_files_by_their_labels(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    files, file, change = world.services.files, await filed(world, alice), world.services.notes.change_labels
    await ruled(world, bob, "label:press", READ, obligations=Obligations(forces_download=True))
    await denied(world, bob, "label:secret", READ)
    admin = await world.principal("root", is_admin=True)
    assert await files.find(bob, [file.id]) == {}
    await change(admin, file.id, ["Press"])
    assert (await files.find(bob, [file.id]))[file.id].terms == ReadTerms(forces_download=True)
    await change(admin, file.id, ["secret"])
    assert await files.find(bob, [file.id]) == {}
    await change(admin, file.id, [], ["press", "secret"])
    assert await files.find(bob, [file.id]) == {}


async def test_who_labels_a_file_gives_only_what_is_theirs_to_give(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    folder = await foldered(world, bob, "folder")
    file, change = await filed(world, bob, folder_id=folder.id), world.services.notes.change_labels
    await ruled(world, alice, folder.id, READ, WRITE)
    await ruled(world, carol, "label:press", READ)
    await denied(world, carol, "label:secret", READ)
    with pytest.raises(Forbidden) as caught:
        await change(alice, file.id, ["press"])
    assert (caught.value.required_permission, caught.value.path) == (SHARE, ("fileId",))
    await change(alice, file.id, ["secret"])  # nobody gains by a denial
    await ruled(world, alice, folder.id, SHARE)
    await change(alice, file.id, ["press"])
    with pytest.raises(Forbidden) as caught:
        await change(alice, file.id, [], ["secret"])  # the denial stands on a label, so on all files
    assert caught.value.required_permission == SHARE
    assert await world.services.files.find(carol, [file.id]) == {}
    await ruled(world, alice, ROOT, SHARE)
    await change(alice, file.id, [], ["secret"])
    assert set(await world.services.files.find(carol, [file.id])) == {file.id}


async def test_what_becomes_public_by_a_label_is_called_public(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await ruled(world, ANYONE, "label:public", READ)
    assert await world.services.files.visibility(alice, [file.id, new_file_id(START)]) == {file.id: False}
    await world.services.notes.change_labels(alice, file.id, ["public"])
    assert await world.services.files.visibility(alice, [file.id]) == {file.id: True}
    assert set(await world.services.files.find(ANONYMOUS, [file.id])) == {file.id}
    assert await world.services.notes.labels(ANONYMOUS, [file.id]) == {file.id: ("public",)}


async def test_metadata_is_noted_changed_and_forgotten(world: World) -> None:
    alice = await world.principal("alice")
    file, change = await filed(world, alice), world.services.notes.change_metadata
    world.clock.advance(seconds=1)
    noted = await change(alice, file.id, {"camera": "X100", "note": "first line\nsecond\t猫"})
    assert noted.updated_at > file.updated_at
    assert await change(alice, file.id, {"camera": "X100"}, ["never.there"]) == noted
    await change(alice, file.id, {"camera": "", "iso": "400"}, ["note"])
    found = await world.services.notes.metadata(alice, [file.id, new_file_id(START)])
    assert found == {file.id: {"camera": "", "iso": "400"}}


@pytest.mark.parametrize(
    ("wanted", "unwanted", "paths"),
    [
        ({"": "x"}, [], [("set",)]),
        ({"a b": "x", "-": "y"}, [], [("set",), ("set",)]),
        ({"k" * 65: "x"}, ["\0"], [("set",), ("remove",)]),
        ({"key": "x" * 1025}, [], [("set",)]),
        ({"key": "nul\0"}, [], [("set",)]),
        ({"key": "\ud800"}, [], [("set",)]),
        ({"key": "x"}, ["key"], [("remove",)]),
        ({f"key{number}": "x" for number in range(MAX_METADATA + 1)}, [], [("set",)]),
    ],
)
async def test_what_cannot_be_noted_is_refused_at_its_place(
    world: World, wanted: Mapping[str, str], unwanted: Sequence[str], paths: Sequence[tuple[str, ...]]
) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    with pytest.raises(InvalidInput) as caught:
        await world.services.notes.change_metadata(alice, file.id, wanted, unwanted)
    assert [fault.path for fault in caught.value.faults] == paths
    assert await world.services.notes.metadata(alice, [file.id]) == {file.id: {}}


async def test_a_file_has_so_many_pairs_and_no_more(world: World) -> None:
    alice = await world.principal("alice")
    file, change = await filed(world, alice), world.services.notes.change_metadata
    await change(alice, file.id, {f"key{number}": "x" for number in range(MAX_METADATA)})
    with pytest.raises(InvalidInput):
        await change(alice, file.id, {"more": "x"})
    await change(alice, file.id, {"more": "x"}, ["key0"])


async def test_notes_go_with_their_file(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await world.services.notes.change_labels(alice, file.id, ["label"])
    await world.services.notes.change_metadata(alice, file.id, {"key": "value"})
    await world.services.files.delete(alice, [file.id])
    assert await world.services.notes.labels(alice, [file.id]) == {}
    for change in (
        world.services.notes.change_labels(alice, file.id, ["label"]),
        world.services.notes.change_metadata(alice, file.id, {"key": "value"}),
    ):
        with pytest.raises(NotFound):
            await change
