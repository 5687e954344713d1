"""Where a search for files stopped may be a file that is hidden from the viewer: the cursor to go on from is sealed."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db.engine import Database
from graphql_api.db.folder_lists import list_top_folders
from graphql_api.db.listing import Limits, list_files
from graphql_api.db.scopes import change_labels
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import InvalidInput
from graphql_api.model.file import File
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, UserId
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.names import MAX_NAME_LENGTH, name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, ROOT, Effect, RuleTerms, Scope, label_scope
from tests.access.worlds import BEGINNING, USERS, rule_of
from tests.db.stocked import insert_files, insert_users
from tests.world import CURSOR_SEAL

ALICE, BOB, CAROL = USERS[:3]
NUMBER: Final = 24  # of files, of which the last of each three is shown
LIMITS: Final = Limits(steps=(2,), small=0)
LONGEST: Final = "\u1fb7" * MAX_NAME_LENGTH  # no character has a longer key
ORDERS: Final = [FileOrder(field, direction) for field in FileOrderField for direction in OrderDirection]


def reader(user: UserId | None) -> Standing:
    """Who may read everything but what is labelled red."""
    read = frozenset({Permission.READ})
    terms = [
        RuleTerms(Effect.ALLOW, read, ANYONE, Scope(ROOT)),
        RuleTerms(Effect.DENY, read, ANYONE, Scope(label_scope("red"))),
    ]
    rules = tuple(rule_of(number, each) for number, each in enumerate(terms))
    return Rulebook(user, False, frozenset(), rules, {ROOT: (ROOT,)}).standing(BEGINNING, None)


def a_file(number: int) -> File:
    names = {0: "a", 1: LONGEST}
    return File(
        id=FileId(f"file_{number:026}"),
        folder_id=ROOT_FOLDER_ID,
        owner_id=BOB,
        name=names.get(number, f"merger with company {number:03}"),
        size=7_000_000_000_001 + number,
        content_type="text/plain",
        stored_content_type="text/plain",
        sha256=None,
        object_key=f"o/{number}",
        created_at=BEGINNING + timedelta(minutes=number, microseconds=123_457),
        updated_at=BEGINNING,
    )


FILES: Final = [a_file(number) for number in range(NUMBER)]
SHOWN: Final = FILES[2::3]
HIDDEN: Final = [file for file in FILES if file not in SHOWN]


async def plant(connection: AsyncConnection) -> None:
    await insert_users(connection, USERS)
    await insert_files(connection, FILES)
    for file in HIDDEN:
        await change_labels(connection, file, add=["red"])


async def short_pages(
    connection: AsyncConnection, order: FileOrder, *, is_backward: bool
) -> tuple[list[File], list[str]]:
    """All files, in list order, and the cursors of the pages that ended early."""
    seen: list[File] = []
    cursors: list[str] = []
    cursor = None
    while True:
        request = PageRequest(2, cursor, is_backward)
        page = await list_files(connection, reader(CAROL), FileFilter(), order, request, CURSOR_SEAL, LIMITS)
        seen = [*page.nodes, *seen] if is_backward else [*seen, *page.nodes]
        if not (page.has_previous_page if is_backward else page.has_next_page):
            return seen, cursors
        if page.resume is not None:
            cursors.append(page.resume)
        cursor = page.resume or page.cursor_of(page.nodes[0 if is_backward else -1])


def readings(cursor: str) -> list[bytes]:
    """The cursor, and what comes of decoding it, wherever one begins."""
    digits = cursor.lstrip("~").rstrip("=")
    rests = [digits[start:] for start in range(4)]
    return [cursor.encode(), *(base64.urlsafe_b64decode(rest[: len(rest) // 4 * 4]) for rest in rests)]


def traces(file: File) -> list[bytes]:
    instant = file.created_at.isoformat()
    texts = [file.id, file.id.removeprefix("file_"), str(file.size), instant, instant[11:19]]
    texts += [file.name, name_key(file.name)] if len(file.name) > 1 else []
    return [text.encode() for text in texts]


@pytest.mark.parametrize("is_backward", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field}-{order.direction}")
async def test_no_cursor_of_a_short_page_tells_of_a_hidden_file_and_each_visible_one_comes_once(
    database: Database, order: FileOrder, is_backward: bool
) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        seen, cursors = await short_pages(connection, order, is_backward=is_backward)
        again = (await short_pages(connection, order, is_backward=is_backward))[1]
    shown = SHOWN if order.direction is OrderDirection.ASC else SHOWN[::-1]
    assert [file.id for file in seen] == [file.id for file in shown]
    assert len(cursors) >= len(FILES) // 3
    for cursor in cursors:
        for reading in readings(cursor):
            for file in FILES:
                assert not any(trace in reading for trace in traces(file))
    assert len({len(cursor) for cursor in cursors}) == 1  # whatever the length of the name
    assert len({*cursors, *again}) == 2 * len(cursors)  # nor can two be seen to be one position


async def page_from(
    connection: AsyncConnection,
    cursor: str | None,
    *,
    user: UserId | None = CAROL,
    field: FileOrderField = FileOrderField.NAME,
    is_backward: bool = False,
    seal: CursorSeal = CURSOR_SEAL,
) -> Page[File]:
    order, request = FileOrder(field, OrderDirection.ASC), PageRequest(2, cursor, is_backward)
    return await list_files(connection, reader(user), FileFilter(), order, request, seal, LIMITS)


def resealed(content: Sequence[int]) -> str:
    return "~" + base64.urlsafe_b64encode(bytes(content)).decode()


async def test_a_sealed_cursor_that_is_changed_or_given_to_another_list_is_refused(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        cursor = (await page_from(connection, None)).resume
        assert cursor is not None
        content = base64.urlsafe_b64decode(cursor[1:])
        assert resealed(content) == cursor
        tampered = [
            *(resealed([*content[:at], content[at] ^ 1, *content[at + 1 :]]) for at in range(len(content))),
            *(resealed(content[:length]) for length in (0, 1, 12, 27, 28, len(content) - 1)),
            resealed([*content, 0]),
            resealed(b'["file-name", "a", "file_1"]'),
            cursor[1:],
            "~" + cursor,
            "~",
        ]
        foreign: list[dict[str, Any]] = [
            {"user": ALICE},
            {"user": None},
            {"field": FileOrderField.SIZE},
            {"field": FileOrderField.CREATED_AT},
            {"seal": CursorSeal(b"another secret")},
        ]
        for is_backward in (False, True):
            for refused, where in [*((each, {}) for each in tampered), *((cursor, each) for each in foreign)]:
                with pytest.raises(InvalidInput) as caught:
                    await page_from(connection, refused, is_backward=is_backward, **where)
                assert caught.value.path == ("before" if is_backward else "after",)
        with pytest.raises(InvalidInput):
            await list_top_folders(connection, reader(CAROL), PageRequest(2, cursor))


async def test_a_sealed_cursor_is_good_wherever_the_secret_is_the_same(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        for user in (CAROL, None):
            first = await page_from(connection, None, user=user, seal=CursorSeal(b"one secret"))
            assert first.resume is not None
            next_ = await page_from(connection, first.resume, user=user, seal=CursorSeal(b"one secret"))
            assert next_.has_previous_page
