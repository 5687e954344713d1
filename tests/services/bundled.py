"""Bundles, promised and whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graphql_api.model.file import File
from graphql_api.model.ids import BundleId
from graphql_api.model.principal import Principal
from graphql_api.model.upload import Upload
from graphql_api.services.bundle_wishes import BundleWish, EntryWish
from tests.services.stories import CONTENT, send
from tests.world import World

PLAYLIST = "application/vnd.apple.mpegurl"
PATHS = ("index.m3u8", "low/0.ts", "low/1.ts")


def wish(paths: Sequence[str] = PATHS, **more: Any) -> BundleWish:
    """Entries of ``CONTENT``, the first of which is the main one."""
    types = {"m3u8": PLAYLIST, "html": "text/html"}
    entries = [EntryWish(path, len(CONTENT), types.get(path.rpartition(".")[2], "video/mp2t")) for path in paths]
    return replace(BundleWish("film", paths[0], entries), **more)


async def promised_bundle(
    world: World, principal: Principal, paths: Sequence[str] = PATHS, **more: Any
) -> tuple[BundleId, Sequence[Upload]]:
    return await world.services.bundles.create(principal, wish(paths, **more))


async def bundled(world: World, principal: Principal, paths: Sequence[str] = PATHS, **more: Any) -> File:
    """A bundle that is a file."""
    _, promised = await promised_bundle(world, principal, paths, **more)
    file = None
    for upload in promised:
        send(world, upload)
        _, file = await world.services.completion.complete(principal, upload.id)
    assert file is not None
    return file
