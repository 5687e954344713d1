"""Gates of folders: what sizes and types come in, and by which ways."""

from typing import Any

import pytest

from graphql_api.errors import InvalidInput, UploadMismatch
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.media_type import is_in
from graphql_api.model.page import PageRequest
from graphql_api.model.quota import Gate
from graphql_api.model.upload import UploadFailureCode, UploadStatus
from tests.services.stock import administrator, limited, require_exact, taken
from tests.services.stories import CONTENT, filed, foldered, home_of, promised, sent
from tests.world import World

SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("media_type", "kind", "expected"),
    [
        ("image/png", "image/png", True),
        ("image/png", "image/*", True),
        ("image/png; q=1", "image/png", True),
        ("image/png;q=1", "image/*", True),
        ("image/pngx", "image/png", False),
        ("imagex/png", "image/*", False),
        ("text/plain", "image/*", False),
        ("application/image/*", "image/*", False),
    ],
)
def test_a_type_is_of_itself_and_of_its_family(media_type: str, kind: str, expected: bool) -> None:
    assert is_in(media_type, kind) is expected


@pytest.mark.parametrize(
    ("outer", "inner", "wish", "faults"),
    [
        (Gate(), Gate(), {}, []),
        (Gate(max_file_size=SIZE), Gate(max_file_size=SIZE + 1), {}, []),
        (Gate(max_file_size=SIZE - 1), Gate(), {}, ["size"]),
        (Gate(max_file_size=SIZE - 1), Gate(max_file_size=SIZE), {}, ["size"]),
        (Gate(max_file_size=SIZE), Gate(max_file_size=SIZE - 1), {}, ["size"]),
        (Gate(max_file_size=0), Gate(), {"size": 0}, []),
        (Gate(allowed_content_types=("text/*",)), Gate(allowed_content_types=("text/plain",)), {}, []),
        (Gate(allowed_content_types=("text/*",)), Gate(), {"content_type": "Text/CSV; charset=utf-8"}, []),
        (Gate(allowed_content_types=("image/*",)), Gate(allowed_content_types=("text/plain",)), {}, ["contentType"]),
        (Gate(allowed_content_types=("text/*",)), Gate(allowed_content_types=("image/png",)), {}, ["contentType"]),
        (Gate(allowed_content_types=("TEXT/Plain",)), Gate(), {}, []),
        (Gate(max_file_size=1), Gate(allowed_content_types=("image/*",)), {}, ["size", "contentType"]),
    ],
)
async def test_all_gates_above_hold(
    world: World, outer: Gate, inner: Gate, wish: dict[str, Any], faults: list[str]
) -> None:
    alice, admin = await world.principal("alice"), await administrator(world)
    folder = await foldered(world, alice, "folder")
    for folder_id, gate in ((await home_of(world, alice), outer), (folder.id, inner)):
        await world.services.quotas.set_folder_gate(admin, folder_id, gate)
    if not faults:
        await promised(world, alice, folder_id=folder.id, **wish)
        return
    with pytest.raises(InvalidInput) as caught:
        await promised(world, alice, folder_id=folder.id, **wish)
    assert [fault.path for fault in caught.value.faults] == [(each,) for each in faults]
    assert await taken(world, alice) == (0, 0)


async def test_a_gate_that_came_after_the_promise_fails_the_upload_and_gives_back_its_room(world: World) -> None:
    alice = await world.principal("alice")
    gated = await foldered(world, alice, "gated")
    moving = await foldered(world, alice, "moving")
    before, replacing = await sent(world, alice, "a", folder_id=gated.id), await filed(world, alice, "b")
    newer = await sent(world, alice, replaces=replacing.id)
    moved = await sent(world, alice, "c", folder_id=moving.id)
    await limited(world, gated.id, 100, allowed_content_types=("image/*",))
    await world.services.folders.move(alice, moving.id, gated.id)
    await limited(world, await home_of(world, alice), None, max_file_size=SIZE - 1)
    for upload in (before, newer, moved):
        with pytest.raises(UploadMismatch) as caught:
            await world.services.completion.complete(alice, upload.id)
        assert caught.value.failure.code is UploadFailureCode.NOT_ALLOWED
        found = (await world.services.uploads.find(alice, [upload.id]))[upload.id]
        assert (found.status, found.failure) == (UploadStatus.FAILED, caught.value.failure)
        assert upload.object_key not in world.store.objects
    assert (await taken(world, alice), await taken(world, gated.id)) == ((SIZE, 0), (0, 0))
    await require_exact(world)


async def test_no_other_way_leads_past_a_gate(world: World) -> None:
    alice = await world.principal("alice")
    gated, inside = await foldered(world, alice, "gated"), await foldered(world, alice, "inside")
    await world.services.folders.move(alice, inside.id, gated.id)
    old = await filed(world, alice, "old", folder_id=gated.id)
    await limited(world, gated.id, None, allowed_content_types=("text/markdown",), max_file_size=SIZE)
    outside = await filed(world, alice, "outside")
    files, folders = world.services.files, world.services.folders
    with pytest.raises(InvalidInput) as caught:
        await files.move(alice, outside.id, inside.id)
    assert caught.value.path == ("folderId",)
    full = await foldered(world, alice, "full")
    await filed(world, alice, "deep", folder_id=(await foldered(world, alice, "deep", full.id)).id)
    with pytest.raises(InvalidInput) as caught:
        await folders.move(alice, full.id, inside.id)
    assert caught.value.path == ("parentId",)
    for work in (promised(world, alice, replaces=old.id), files.update(alice, old.id, content_type="text/csv")):
        with pytest.raises(InvalidInput) as caught:
            await work
        assert caught.value.path == ("contentType",)
    assert (await files.move(alice, old.id, inside.id)).folder_id == inside.id  # what is there may move within
    await files.update(alice, old.id, name="new name")
    await files.update(alice, outside.id, content_type="text/markdown")
    assert (await files.move(alice, outside.id, inside.id)).folder_id == inside.id


@pytest.mark.parametrize("types", [(), ("image",), ("image/png; q=1",), ("*/*",), ("image/png",) * 3 + ("a b/c",)])
async def test_a_gate_that_makes_no_sense_is_refused(sqlite_world: World, types: tuple[str, ...]) -> None:
    world = sqlite_world
    alice, admin = await world.principal("alice"), await administrator(world)
    with pytest.raises(InvalidInput) as caught:
        await world.services.quotas.set_folder_gate(
            admin, await home_of(world, alice), Gate(allowed_content_types=types)
        )
    assert caught.value.path == ("allowedContentTypes",)


async def test_a_gate_is_shown_and_its_changes_are_told_to_auditors(world: World) -> None:
    alice, admin = await world.principal("alice"), await administrator(world)
    home, quotas = await home_of(world, alice), world.services.quotas
    gate = Gate(100, 10, ("image/*", "text/plain"))
    for each in (gate, gate, Gate(100), Gate()):  # the same again is no change
        await quotas.set_folder_gate(admin, home, each)
        shown = (await quotas.gates(alice, [home])).get(home)
        assert (shown.gate if shown else Gate()) == each
    page = await world.services.audit_log.list(admin, AuditFilter(actions=(AuditAction.GATE_CHANGED,)), PageRequest())
    whole = {"quota": 100, "maxFileSize": 10, "allowedContentTypes": ["image/*", "text/plain"]}
    less = whole | {"maxFileSize": None, "allowedContentTypes": None}
    said = sorted(repr((event.before, event.after)) for event in page.nodes)
    assert said == sorted(map(repr, [(None, whole), (whole, less), (less, None)]))
