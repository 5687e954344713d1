"""Whoever changes a bundle holds it before the uploads of its entries, so nobody waits for one who waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import select

from graphql_api.db.tables import BundleRow, UploadRow
from graphql_api.errors import DeliveryError, UploadMismatch, UploadStateConflict
from graphql_api.model.ids import BundleId
from graphql_api.model.upload import Upload, UploadStatus
from tests.services.bundled import promised_bundle
from tests.services.stock import require_exact
from tests.services.stories import foldered, send
from tests.services.test_races import it_waits, outcome
from tests.world import World

Change = Callable[[World, Sequence[Upload]], Awaitable[object]]


async def completes(world: World, uploads: Sequence[Upload]) -> None:
    send(world, uploads[1])
    upload, _ = await world.services.completion.complete(await world.principal("alice"), uploads[1].id)
    assert upload.status is UploadStatus.PROCESSING


async def comes_last(world: World, uploads: Sequence[Upload]) -> None:
    await completes(world, uploads)
    send(world, uploads[2])
    _, file = await world.services.completion.complete(await world.principal("alice"), uploads[2].id)
    assert file is not None


async def is_given_up(world: World, uploads: Sequence[Upload]) -> None:
    given_up = await world.services.uploads.abort(await world.principal("alice"), uploads[1].id)
    assert given_up.status is UploadStatus.ABORTED


async def is_given_up_when_it_is_in(world: World, uploads: Sequence[Upload]) -> None:
    given_up = await world.services.uploads.abort(await world.principal("alice"), uploads[0].id)
    assert given_up.status is UploadStatus.ABORTED


async def fails(world: World, uploads: Sequence[Upload]) -> None:
    send(world, uploads[1], b"another length")
    with pytest.raises(UploadMismatch):
        await world.services.completion.complete(await world.principal("alice"), uploads[1].id)


async def loses_its_folder(world: World, uploads: Sequence[Upload]) -> None:
    folder_id = uploads[0].folder_id
    assert folder_id is not None
    await world.services.folders.delete(await world.principal("alice"), folder_id, is_recursive=True)


@pytest.mark.parametrize(
    "change", [completes, comes_last, is_given_up, is_given_up_when_it_is_in, fails, loses_its_folder]
)
async def test_who_waits_for_a_bundle_holds_none_of_its_uploads(world: World, change: Change) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "films")
    bundle_id, uploads = await promised_bundle(world, alice, folder_id=folder.id)
    send(world, uploads[0])
    await world.services.completion.complete(alice, uploads[0].id)
    async with world.database.transaction() as connection:
        await connection.execute(select(BundleRow.id).where(BundleRow.id == bundle_id).with_for_update())
        changing = asyncio.ensure_future(change(world, uploads))
        await it_waits(world)
        assert await free(world, bundle_id) == len(uploads)
    await changing
    await require_exact(world)


async def free(world: World, bundle_id: BundleId) -> int:
    """How many uploads of its entries nobody holds."""
    statement = select(UploadRow.id).where(UploadRow.bundle_id == bundle_id)
    async with world.database.autocommit() as connection:
        return len(list(await connection.scalars(statement.with_for_update(skip_locked=True))))


async def test_an_entry_that_comes_in_while_it_is_given_up_is_given_up(world: World) -> None:
    alice, services = await world.principal("alice"), world.services
    bundle_id, uploads = await promised_bundle(world, alice)
    send(world, uploads[0])
    async with world.database.transaction() as connection:
        await connection.execute(select(BundleRow.id).where(BundleRow.id == bundle_id).with_for_update())
        completing = asyncio.ensure_future(outcome(services.completion.complete(alice, uploads[0].id)))
        await it_waits(world)
        aborting = asyncio.ensure_future(outcome(services.uploads.abort(alice, uploads[0].id)))
        await it_waits(world, 2)
    given_up = await aborting
    assert isinstance(given_up, Upload), given_up
    assert given_up.status is UploadStatus.ABORTED
    await completing
    await require_exact(world)


async def test_entries_that_come_in_and_are_given_up_at_once_hinder_nobody(world: World) -> None:
    alice, services = await world.principal("alice"), world.services
    for number in range(5):
        _, uploads = await promised_bundle(world, alice, name=f"film {number}")
        for upload in uploads:
            send(world, upload)
        *_, aborted = results = await asyncio.gather(
            *(outcome(services.completion.complete(alice, upload.id)) for upload in uploads),
            outcome(services.uploads.abort(alice, uploads[number % 3].id)),
        )
        assert {each.code for each in results if isinstance(each, DeliveryError)} <= {"UPLOAD_STATE"}
        if isinstance(aborted, UploadStateConflict):
            assert aborted.status is UploadStatus.COMPLETED
    await require_exact(world)
