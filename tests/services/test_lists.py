"""Lists of files: whatever the order, page size and direction, each file once, as a plain Python sort has it."""

import base64
import dataclasses
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import insert

from graphql_api.db.notes import insert_words
from graphql_api.db.scopes import insert_scopes
from graphql_api.db.tables import FileRow
from graphql_api.errors import InvalidInput
from graphql_api.model.file import File
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, new_file_id, new_object_key
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.media_type import essence
from graphql_api.model.names import name_key
from graphql_api.model.page import MAX_COUNTED, PageRequest
from graphql_api.model.principal import Principal
from graphql_api.model.rule import PLAIN
from tests.services.stories import foldered, home_of
from tests.world import START, World

ORDERS = [FileOrder(field, direction) for field in FileOrderField for direction in OrderDirection]
EVERYTHING = FileFilter()
NAMES = [
    "b",
    "A",
    "a.txt",
    "ä",
    "Ä2",
    "猫",
    "😀",
    "Z",
    "z2",
    "é",
    "e\u0301e",
    "1",
    "10",
    "2",
    " ",
    '"',
    "\\",
    "ß",
    "ss2",
]
TYPES = ["image/png", "image/jpeg", "image/svg+xml", "text/plain", "text/plain; charset=utf-8", "imagex/png", "text/a"]


async def stock(world: World, owner: Principal, folder_ids: Sequence[FolderId], *, names: Sequence[str]) -> list[File]:
    """Files with many equal sizes and instants, inserted as they are."""
    assert owner.user_id is not None
    files = []
    for number, name in enumerate(names):
        instant = START + timedelta(microseconds=number * 7 % 4)
        files.append(
            File(
                id=new_file_id(START + timedelta(milliseconds=number * 5 % 3)),
                folder_id=folder_ids[number % len(folder_ids)],
                owner_id=owner.user_id,
                name=name,
                size=[0, 5, 5, 2**53 - 1, 7][number * 3 % 5],
                content_type=TYPES[number * 4 % len(TYPES)],
                stored_content_type="a/b",
                sha256=None,
                object_key=new_object_key(START),
                created_at=instant,
                updated_at=instant,
                terms=PLAIN,
            )
        )
    await put(world, files)
    return files


async def put(world: World, files: Sequence[File]) -> None:
    """Into the database as they are, names unclaimed."""
    async with world.database.transaction() as connection:
        rows = [dataclasses.asdict(file) | {"name_key": name_key(file.name)} for file in files]
        await connection.execute(insert(FileRow), [{key: row[key] for key in row.keys() - {"terms"}} for row in rows])
        await insert_scopes(connection, [file.id for file in files])
        await insert_words(connection, {file.id: file.name for file in files})


def in_order(files: Sequence[File], order: FileOrder) -> list[File]:
    keys: dict[FileOrderField, Callable[[File], Any]] = {
        FileOrderField.CREATED_AT: lambda file: file.created_at,
        FileOrderField.NAME: lambda file: name_key(file.name),
        FileOrderField.SIZE: lambda file: file.size,
    }
    key = keys[order.field]
    return sorted(files, key=lambda file: (key(file), file.id), reverse=order.direction is OrderDirection.DESC)


async def walk(
    world: World,
    principal: Principal,
    order: FileOrder,
    size: int,
    *,
    is_backward: bool = False,
    between: Callable[[list[File]], Awaitable[None]] | None = None,
) -> list[File]:
    """All pages, in list order; ``between`` is called with what was seen after each page."""
    seen: list[File] = []
    cursor = None
    while True:
        request = PageRequest(size, cursor, is_backward)
        page = await world.services.files.list(principal, EVERYTHING, order, request)
        assert len(page.nodes) <= size
        nodes = list(page.nodes)
        seen = nodes + seen if is_backward else seen + nodes
        goes_on, came_from = (
            (page.has_previous_page, page.has_next_page)
            if is_backward
            else (page.has_next_page, page.has_previous_page)
        )
        assert came_from == (cursor is not None)
        if not goes_on:
            return seen
        assert len(nodes) == size
        cursor = page.cursor_of(nodes[0] if is_backward else nodes[-1])
        if between is not None:
            await between(seen)


async def test_each_file_comes_once_in_order_whatever_the_page(world: World) -> None:
    alice, bob, admin = [await world.principal("alice"), await world.principal("bob"), await world.principal("root")]
    admin = dataclasses.replace(admin, is_admin=True)
    own = await stock(world, alice, [await home_of(world, alice)], names=NAMES)
    foreign = await stock(world, bob, [await home_of(world, bob)], names=NAMES[:4])
    for order, size, is_backward in itertools.product(ORDERS, (1, 2, 3, 7, 100), (False, True)):
        assert await walk(world, alice, order, size, is_backward=is_backward) == in_order(own, order)
    for order in ORDERS:
        assert await walk(world, admin, order, 7) == in_order(own + foreign, order)


async def test_what_stays_comes_once_while_others_come_and_go(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    for round_, (order, is_backward) in enumerate(itertools.product(ORDERS, (False, True))):
        staying = await stock(world, alice, [home], names=NAMES)
        others = [file.id for file in await _more(world, alice, home, f"{round_}-0")]

        async def change(seen: list[File], others: list[FileId] = others, round_: int = round_) -> None:
            await world.services.files.delete(alice, [others.pop(0), others.pop()])
            others += [file.id for file in await _more(world, alice, home, f"{round_}-{len(seen)}")]

        seen = await walk(world, alice, order, 3, is_backward=is_backward, between=change)
        ids = {file.id for file in staying}
        assert [file for file in seen if file.id in ids] == in_order(staying, order)
        assert len({file.id for file in seen}) == len(seen)
        await world.services.files.delete(alice, [*ids, *others])


async def _more(world: World, owner: Principal, home: FolderId, tag: str) -> list[File]:
    assert owner.user_id is not None
    files = [
        File(
            id=new_file_id(START),
            folder_id=home,
            owner_id=owner.user_id,
            name=f"{letter}{tag}",
            size=size,
            content_type="a/b",
            stored_content_type="a/b",
            sha256=None,
            object_key=new_object_key(START),
            created_at=START + timedelta(microseconds=size),
            updated_at=START,
            terms=PLAIN,
        )
        for letter, size in (("a", 0), ("猫", 5), ("m", 2))
    ]
    await put(world, files)
    return files


async def test_filters_agree_with_plain_python(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    top = await foldered(world, alice, "top")
    below = await foldered(world, alice, "below", top.id)
    files = await stock(world, alice, [home, top.id, below.id], names=[*NAMES, *(f"{name}x" for name in NAMES)])
    within = {home: {home, top.id, below.id}, top.id: {top.id, below.id}, below.id: {below.id}}

    def is_wanted(file: File, wanted: FileFilter) -> bool:
        folders = {wanted.folder_id}
        if wanted.folder_id is not None and wanted.is_recursive:
            folders = within[wanted.folder_id]  # type: ignore[assignment]  # of ids only, none of them None
        kind = essence(file.content_type)
        return (
            (wanted.folder_id is None or file.folder_id in folders)
            and (not wanted.content_types or bool({kind, kind.split("/")[0] + "/*"} & set(wanted.content_types)))
            and (wanted.min_size is None or file.size >= wanted.min_size)
            and (wanted.max_size is None or file.size <= wanted.max_size)
            and (wanted.created_since is None or file.created_at >= wanted.created_since)
            and (wanted.created_before is None or file.created_at < wanted.created_before)
        )

    places: list[tuple[FolderId | None, bool]] = [
        (None, False),
        (home, False),
        (home, True),
        (top.id, False),
        (top.id, True),
        (below.id, True),
    ]
    kinds: list[tuple[str, ...]] = [
        (),
        ("image/png",),
        ("image/*",),
        ("text/plain",),
        ("text/plain", "image/*"),
        ("image/*", "text/*"),
        ("x/y",),
    ]
    sizes = [(None, None), (5, None), (None, 5), (6, 2**53 - 1), (5, 5), (8, 6)]
    dates = [(None, None), (START + timedelta(microseconds=1), START + timedelta(microseconds=3))]
    lengths = set()
    for (folder_id, is_recursive), types, (low, high), (since, before) in itertools.product(
        places, kinds, sizes, dates
    ):
        wanted = FileFilter(folder_id, is_recursive, types, low, high, since, before)
        page = await world.services.files.list(alice, wanted, FileOrder(), PageRequest(100))
        expected = in_order([file for file in files if is_wanted(file, wanted)], FileOrder())
        assert list(page.nodes) == expected, wanted
        lengths.add(len(expected))
    assert {0, len(files)} < lengths
    count = await world.services.files.count(alice, FileFilter(top.id, True, ("image/*",)))
    assert count.number == sum(is_wanted(file, FileFilter(top.id, True, ("image/*",))) for file in files)
    assert count.is_exact


async def test_a_filter_that_makes_no_sense_is_refused_at_its_place(world: World) -> None:
    alice = await world.principal("alice")
    for wanted, path in (
        (FileFilter(content_types=("image",)), ("filter", "contentTypes")),
        (FileFilter(content_types=("*/*",)), ("filter", "contentTypes")),
        (FileFilter(content_types=("image/\0",)), ("filter", "contentTypes")),
        (FileFilter(content_types=("image/png",) * 21), ("filter", "contentTypes")),
        (FileFilter(is_recursive=True), ("filter", "isRecursive")),
    ):
        for work in (
            world.services.files.list(alice, wanted, FileOrder(), PageRequest()),
            world.services.files.count(alice, wanted),
        ):
            with pytest.raises(InvalidInput) as caught:
                await work
            assert caught.value.path == path


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


NOW = START.isoformat()
HOSTILE_CURSORS = {
    FileOrderField.CREATED_AT: [
        "",
        "=",
        "not a cursor",
        "猫",
        "\0",
        "A" * 4097,
        "A" * 4096,
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b'["file-created", "\\ud800", "file_1"]').decode(),
        cursor(),
        cursor("file-created"),
        cursor("file-created", NOW),
        cursor("file-created", NOW, "file_1", "more"),
        cursor("file-created", NOW, None),
        cursor("file-created", NOW, 5),
        cursor("file-created", NOW, "file_\0"),
        cursor("file-created", None, "file_1"),
        cursor("file-created", 5, "file_1"),
        cursor("file-created", "", "file_1"),
        cursor("file-created", "2026-11-22T12:00:00", "file_1"),  # no time zone
        cursor("file-created", "0001-01-01T00:00:00+23:59", "file_1"),  # before the first instant
        cursor("file-created", "9999-12-31T23:59:59-23:59", "file_1"),  # after the last
        cursor("file-created", "10000-01-01T00:00:00Z", "file_1"),
        cursor("file-name", "a", "file_1"),
        cursor("upload-created", NOW, "upload_1"),
    ],
    FileOrderField.NAME: [
        cursor("file-name", 5, "file_1"),
        cursor("file-name", "nul\0", "file_1"),
        cursor("file-name", ["a"], "file_1"),
        cursor("folder-name", "a", "folder_1"),
        cursor("file-created", NOW, "file_1"),
    ],
    FileOrderField.SIZE: [
        cursor("file-size", "5", "file_1"),
        cursor("file-size", 5.0, "file_1"),
        cursor("file-size", True, "file_1"),
        cursor("file-size", -1, "file_1"),
        cursor("file-size", 2**63, "file_1"),
        base64.urlsafe_b64encode(b'["file-size", 1e999, "file_1"]').decode(),
        base64.urlsafe_b64encode(b'["file-size", ' + b"9" * 2000 + b', "file_1"]').decode(),
    ],
}


async def test_a_cursor_that_is_not_of_the_list_is_refused_at_its_argument(world: World) -> None:
    alice = await world.principal("alice")
    for field, cursors in HOSTILE_CURSORS.items():
        for hostile, is_backward in itertools.product(cursors, (False, True)):
            with pytest.raises(InvalidInput) as caught:
                await world.services.files.list(
                    alice, EVERYTHING, FileOrder(field), PageRequest(5, hostile, is_backward)
                )
            assert caught.value.path == ("before" if is_backward else "after",)
    with pytest.raises(InvalidInput):
        await world.services.uploads.list(alice, PageRequest(5, cursor("file-created", NOW, "file_1")))
    with pytest.raises(InvalidInput):
        await world.services.folders.list_top(alice, PageRequest(5, cursor("file-name", "a", "file_1")))


async def test_a_made_up_cursor_is_a_position_and_shows_nothing_foreign(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    await stock(world, bob, [await home_of(world, bob)], names=NAMES)
    for field, made_up in (
        (FileOrderField.CREATED_AT, cursor("file-created", "9999-12-31T23:59:59+00:00", "~")),
        (FileOrderField.CREATED_AT, cursor("file-created", "0001-01-01T00:00:00+00:00", "")),
        (FileOrderField.SIZE, cursor("file-size", 2**63 - 1, "~")),
        (FileOrderField.NAME, cursor("file-name", "' OR 1=1 --", "~")),
    ):
        for is_backward in (False, True):
            page = await world.services.files.list(
                alice, EVERYTHING, FileOrder(field), PageRequest(5, made_up, is_backward)
            )
            assert page.nodes == ()


async def test_a_total_is_counted_up_to_a_limit(world: World) -> None:
    alice = await world.principal("alice")
    names = [f"{number}" for number in range(MAX_COUNTED)]
    await stock(world, alice, [await home_of(world, alice)], names=names)
    count = await world.services.files.count(alice, EVERYTHING)
    assert (count.number, count.is_exact) == (MAX_COUNTED, True)
    await stock(world, await world.principal("bob"), [ROOT_FOLDER_ID], names=["not alice's"])
    assert await world.services.files.count(alice, EVERYTHING) == count
    await _more(world, alice, await home_of(world, alice), "one more")
    count = await world.services.files.count(alice, EVERYTHING)
    assert (count.number, count.is_exact) == (MAX_COUNTED, False)


async def test_folders_and_uploads_come_in_pages_too(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    folders = sorted(
        [await foldered(world, alice, name) for name in NAMES if name.strip()], key=lambda f: name_key(f.name)
    )
    for size, is_backward in itertools.product((1, 4, 100), (False, True)):
        seen: list[Any] = []
        position = None
        while True:
            request = PageRequest(size, position, is_backward)
            page = await world.services.folders.list_subfolders(alice, home, request)
            seen = [*page.nodes, *seen] if is_backward else [*seen, *page.nodes]
            if not (page.has_previous_page if is_backward else page.has_next_page):
                break
            position = page.cursor_of(page.nodes[0] if is_backward else page.nodes[-1])
        assert seen == folders
