"""What has to have happened before a test can begin."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import event

from graphql_api.access.standing import Standing
from graphql_api.db import rules, traffic
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FolderId, new_rule_id
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.model.stored_object import PromisedObject
from graphql_api.model.upload import Upload, UploadMethod
from graphql_api.services.upload_wishes import UploadWish
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


async def sent_as_one_part(world: World, principal: Principal, filename: str = "cat.txt") -> Upload:
    """An upload in parts of which there is one, and it is there."""
    upload = await promised(world, principal, filename, method=UploadMethod.MULTIPART)
    await world.services.upload_targets.target(upload)
    [store_upload] = [each for each in world.store.open if each.key == upload.object_key]
    world.store.put_part(store_upload, 1, CONTENT)
    return upload


async def filed(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> File:
    """A file with ``CONTENT``."""
    upload = await sent(world, principal, filename, **wish)
    _, file = await world.services.completion.complete(principal, upload.id)
    assert file is not None
    return file


async def home_of(world: World, principal: Principal) -> FolderId:
    home = await world.services.accounts.find_home(principal)
    assert home is not None
    return home


async def ruled(
    world: World, subject: Principal | str, resource: str, *permissions: Permission, **more: Any
) -> AccessRule:
    """A rule that somebody has made about ``subject``, ALLOW if nothing else is said."""
    about = subject if isinstance(subject, str) else str(subject.user_id)
    effect = more.pop("effect", Effect.ALLOW)
    terms = RuleTerms(effect, frozenset(permissions), Subject(about), Scope(resource), **more)
    now = world.clock()
    rule = AccessRule(new_rule_id(now), terms, 1, None, now, now)
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, [rule])
    return rule


async def denied(
    world: World, subject: Principal | str, resource: str, *permissions: Permission, **more: Any
) -> AccessRule:
    return await ruled(world, subject, resource, *permissions, effect=Effect.DENY, **more)


async def unruled(world: World, *gone: AccessRule) -> None:
    """The rules are no more."""
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.delete_rules(connection, [rule.id for rule in gone])


async def standing_of(world: World, principal: Principal) -> Standing:
    async with world.database.autocommit() as connection:
        return await world.standings.of(connection, principal)


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Gathers the statements that run meanwhile."""
    gathered: list[str] = []

    def gather(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        gathered.append(statement)

    engine = world.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", gather)
    yield gathered
    event.remove(engine, "before_cursor_execute", gather)


async def delivered(world: World, counts: Mapping[tuple[File, date], tuple[int, int]]) -> None:
    """Downloads and bytes by file and day, as if a log had told of them."""
    async with world.database.transaction() as connection:
        await traffic.add_traffic(connection, {(file.id, day): each for (file, day), each in counts.items()})


async def foldered(world: World, principal: Principal, name: str, parent_id: FolderId | None = None) -> Folder:
    """A folder, in the principal's home if nothing else is said."""
    return await world.services.folders.create(principal, parent_id or await home_of(world, principal), name)
