"""What has to have happened before a test can begin."""

from dataclasses import replace
from typing import Any

from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FolderId
from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PromisedObject
from graphql_api.model.upload import Upload
from graphql_api.services.uploads import UploadWish
from tests.world import World

CONTENT = b"hello"


async def promised(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> Upload:
    """An upload of ``CONTENT``, if nothing else is wished for, that waits for its bytes."""
    wanted = UploadWish(filename, len(CONTENT), "text/plain")
    return await world.services.uploads.create(principal, replace(wanted, **wish))


def send(world: World, upload: Upload, content: bytes = CONTENT, **lies: Any) -> None:
    """The bytes arrive at the store, as promised except for ``lies``."""
    promise = PromisedObject(upload.object_key, upload.size, upload.content_type, upload.sha256)
    world.store.put(replace(promise, **lies), content)


async def sent(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> Upload:
    """An upload whose bytes are there."""
    upload = await promised(world, principal, filename, **wish)
    send(world, upload)
    return upload


async def filed(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> File:
    """A file with ``CONTENT``."""
    upload = await sent(world, principal, filename, **wish)
    _, file = await world.services.uploads.complete(principal, upload.id)
    assert file is not None
    return file


async def home_of(world: World, principal: Principal) -> FolderId:
    home = await world.services.accounts.find_home(principal)
    assert home is not None
    return home


async def foldered(world: World, principal: Principal, name: str, parent_id: FolderId | None = None) -> Folder:
    """A folder, in the principal's home if nothing else is said."""
    return await world.services.folders.create(principal, parent_id or await home_of(world, principal), name)
