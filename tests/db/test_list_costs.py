"""What lists look at and how often they ask: bounds that hold however many files there are. Times are not asserted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import event

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db.engine import Database
from graphql_api.db.files import find_files
from graphql_api.db.listing import Limits, count_files, list_files
from graphql_api.db.scopes import change_labels
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, UserId
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.page import MAX_COUNTED, Count, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, Effect, Obligations, RuleTerms, Scope, Subject, label_scope
from tests.access.worlds import BEGINNING, USERS, rule_of
from tests.db.stocked import insert_files, insert_folders, insert_users
from tests.world import CURSOR_SEAL

ALICE, BOB = USERS[:2]
HOME, HIDDEN, DENIED = [FolderId(f"folder_{name:0>26}") for name in ("h", "k", "q")]
ABSENT: Final = FolderId("folder_" + "z" * 26)
BY_NAME: Final = FileOrder(FileOrderField.NAME, OrderDirection.ASC)
READ: Final = frozenset({Permission.READ})


def standing(*allowed: str, denied: Sequence[str] = (), user: UserId | None = ALICE, **terms: Any) -> Standing:
    """Of ``user``, whom rules allow and deny to read; ``HIDDEN`` is a folder of somebody else's."""
    effects = [(scope, Effect.ALLOW) for scope in allowed] + [(scope, Effect.DENY) for scope in denied]
    rules = [
        rule_of(
            number, RuleTerms(effect, READ, Subject(ALICE), Scope(scope), **(terms if effect is Effect.ALLOW else {}))
        )
        for number, (scope, effect) in enumerate(effects)
    ]
    named = [scope for scope, _ in effects if scope.startswith("folder_")]
    chains = {folder: (folder, ROOT) if folder != ROOT else (ROOT,) for folder in named}
    return Rulebook(user, False, frozenset(), tuple(rules), chains).standing(BEGINNING, None)


AT_HOME: Final = standing(HOME, denied=[DENIED])


def a_folder(id_: FolderId, owner_id: UserId) -> Folder:
    return Folder(id_, ROOT_FOLDER_ID, owner_id, id_, BEGINNING, BEGINNING)


def some_files(number: int, folder_id: FolderId = HOME, owner_id: UserId = ALICE, *, start: int = 0) -> list[File]:
    return [
        File(
            id=FileId(f"file_{start + each:026}"),
            folder_id=folder_id,
            owner_id=owner_id,
            name=f"file {start + each:05}",
            size=each,
            content_type="text/plain",
            stored_content_type="text/plain",
            sha256=None,
            object_key=f"o/{start + each}",
            created_at=BEGINNING + timedelta(seconds=start + each),
            updated_at=BEGINNING,
        )
        for each in range(number)
    ]


async def plant(database: Database, *files: File) -> None:
    async with database.transaction() as connection:
        await insert_users(connection, USERS)
        await insert_folders(connection, [a_folder(HOME, ALICE), a_folder(HIDDEN, BOB), a_folder(DENIED, BOB)])
        await insert_files(connection, files)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Those that run meanwhile."""
    ran: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        ran.append(statement)

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield ran
    event.remove(engine, "before_cursor_execute", note)


def ids(files: Sequence[File]) -> list[FileId]:
    return [file.id for file in files]


@pytest.mark.parametrize(
    ("reader", "wanted"),
    [
        (standing(HOME), FileFilter()),
        (standing(HOME, obligations=Obligations(forces_download=True)), FileFilter()),
        (standing(HOME), FileFilter(HOME)),
        (standing(HOME), FileFilter(HOME, is_recursive=True)),
        (standing(ROOT), FileFilter()),
        (standing(HOME, *(f"folder_{number:026}" for number in range(1, 40))), FileFilter()),
        (AT_HOME, FileFilter()),
        (standing(ROOT, denied=[label_scope("red")]), FileFilter()),
    ],
    ids=["home", "on terms", "folder", "folder and below", "everything", "40 rules", "a denial", "a denied label"],
)
async def test_a_page_by_creation_is_one_statement(database: Database, reader: Standing, wanted: FileFilter) -> None:
    files = some_files(120)
    await plant(database, *files)
    async with database.autocommit() as connection:
        with statements(database) as ran:
            page = await list_files(connection, reader, wanted, FileOrder(), PageRequest(100), CURSOR_SEAL)
        assert len(ran) == 1
        assert ids(page.nodes) == ids(files[::-1][:100])
        with statements(database) as ran:
            next_ = PageRequest(100, page.cursor_of(page.nodes[-1]))
            page = await list_files(connection, reader, wanted, FileOrder(), next_, CURSOR_SEAL)
        assert len(ran) == 1
        assert ids(page.nodes) == ids(files[::-1][100:])


async def test_what_is_hidden_and_what_is_absent_run_the_same_statements(database: Database) -> None:
    hidden = some_files(3, HIDDEN, BOB)
    await plant(database, *hidden, *some_files(2, DENIED, BOB, start=10))
    async with database.autocommit() as connection:
        for order in (FileOrder(), BY_NAME, FileOrder(FileOrderField.SIZE)):
            for is_recursive in (False, True):
                asked = []
                for folder_id in (ABSENT, HIDDEN, DENIED):
                    wanted = FileFilter(folder_id, is_recursive)
                    with statements(database) as ran:
                        page = await list_files(connection, AT_HOME, wanted, order, PageRequest(5), CURSOR_SEAL)
                        count = await count_files(connection, AT_HOME, wanted)
                    assert (page.nodes, page.has_next_page, page.resume) == ((), False, None)
                    assert count == Count(0, is_exact=True)
                    asked.append(ran)
                assert asked[0] == asked[1] == asked[2]
        with statements(database) as ran:
            assert not await find_files(connection, AT_HOME, [hidden[0].id])
            assert not await find_files(connection, AT_HOME, [FileId("file_" + "z" * 26)])
        assert ran[0] == ran[1]


async def test_a_denied_label_on_the_newest_files_ends_a_page_early_and_nothing_is_lost(database: Database) -> None:
    files = some_files(40)
    reader = standing(ROOT, denied=[label_scope("red")], user=None)
    limits = Limits(steps=(5, 10))
    async with database.transaction() as connection:
        await plant_in(connection, files)
        for file in files[5:]:
            await change_labels(connection, file, add=["red"])
    async with database.autocommit() as connection:
        with statements(database) as ran:
            page = await list_files(connection, reader, FileFilter(), FileOrder(), PageRequest(3), CURSOR_SEAL, limits)
        assert len(ran) == len(limits.steps)
        assert (page.nodes, page.has_next_page, page.has_previous_page) == ((), True, False)
        page = await list_files(
            connection, reader, FileFilter(), FileOrder(), PageRequest(3, page.resume), CURSOR_SEAL, limits
        )
        assert (page.nodes, page.has_next_page) == ((), True)
        page = await list_files(
            connection, reader, FileFilter(), FileOrder(), PageRequest(3, page.resume), CURSOR_SEAL, limits
        )
        assert (ids(page.nodes), page.has_next_page, page.resume) == (ids(files[4:1:-1]), True, None)
        last = PageRequest(3, page.cursor_of(page.nodes[-1]))
        page = await list_files(connection, reader, FileFilter(), FileOrder(), last, CURSOR_SEAL, limits)
        assert (ids(page.nodes), page.has_next_page, page.resume) == (ids(files[1::-1]), False, None)


async def test_backwards_a_page_that_ends_early_says_where_to_go_on_too(database: Database) -> None:
    files = some_files(20)
    reader = standing(ROOT, denied=[label_scope("red")], user=None)
    limits = Limits(steps=(5,))
    async with database.transaction() as connection:
        await plant_in(connection, files)
        for file in files[:7]:
            await change_labels(connection, file, add=["red"])
    async with database.autocommit() as connection:
        page = await list_files(
            connection, reader, FileFilter(), FileOrder(), PageRequest(3, None, is_backward=True), CURSOR_SEAL, limits
        )
        assert (page.nodes, page.has_previous_page, page.has_next_page) == ((), True, False)
        page = await list_files(
            connection,
            reader,
            FileFilter(),
            FileOrder(),
            PageRequest(3, page.resume, is_backward=True),
            CURSOR_SEAL,
            limits,
        )
        assert (ids(page.nodes), page.has_previous_page) == (ids(files[9:6:-1]), True)


async def test_a_search_that_finds_the_last_file_within_its_budget_is_complete(database: Database) -> None:
    files = some_files(12)
    await plant(database, *files)
    wanted = FileFilter(content_types=("image/*",))
    async with database.autocommit() as connection:
        for steps in ((11,), (12,), (13,), (4, 8), (4, 9)):
            page = await list_files(
                connection, standing(HOME), wanted, FileOrder(), PageRequest(3), CURSOR_SEAL, Limits(steps=steps)
            )
            goes_on = sum(steps) <= len(files)  # a search cannot know that there is nothing after its last candidate
            assert page.nodes == ()
            assert page.has_next_page == goes_on
            assert (page.resume is not None) == goes_on


async def test_who_sees_few_files_gets_them_sorted_whole_and_who_sees_many_by_walking(database: Database) -> None:
    files = some_files(30)
    await plant(database, *files)
    few = standing(*ids(files[3:20:8]), user=BOB)
    async with database.autocommit() as connection:
        with statements(database) as ran:
            page = await list_files(
                connection, few, FileFilter(), BY_NAME, PageRequest(10), CURSOR_SEAL, Limits(steps=(2,))
            )
        assert ids(page.nodes) == ids(files[3:20:8])
        assert len(ran) == 2  # how few, and the page
        many = Limits(steps=(4, 4), small=10)
        page = await list_files(connection, standing(HOME), FileFilter(), BY_NAME, PageRequest(10), CURSOR_SEAL, many)
        assert ids(page.nodes) == ids(files[:8])
        assert page.resume is not None


async def test_words_of_few_files_are_found_among_many(database: Database) -> None:
    files = [
        replace(file, name=f"rare {file.name}" if number == 7 else file.name)
        for number, file in enumerate(some_files(50))
    ]
    await plant(database, *files)
    limits = Limits(steps=(2,), small=10)
    wanted = FileFilter(words=("file", "rar"))
    async with database.autocommit() as connection:
        for order in (FileOrder(), BY_NAME):
            page = await list_files(connection, standing(HOME), wanted, order, PageRequest(10), CURSOR_SEAL, limits)
            assert (ids(page.nodes), page.has_next_page) == ([files[7].id], False)
        assert await count_files(connection, standing(HOME), wanted, limits) == Count(1, is_exact=True)


async def test_a_count_says_when_it_stopped(database: Database) -> None:
    files = some_files(30)
    await plant(database, *files)
    async with database.autocommit() as connection:
        for small, number, is_exact in ((60, 30, True), (59, 30, False), (20, 21, False)):
            count = await count_files(connection, standing(HOME), FileFilter(), Limits(small=small))
            assert count.is_exact == is_exact  # each file has two rows: its home's and its owner's
            assert count.number <= number
        pictures = FileFilter(content_types=("image/*",))
        assert await count_files(connection, standing(ROOT), pictures, Limits(tested=29)) == Count(0, is_exact=False)
        assert await count_files(connection, standing(ROOT), pictures, Limits(tested=30)) == Count(0, is_exact=True)


async def test_a_count_ends_at_its_limit(database: Database) -> None:
    await plant(database, *some_files(MAX_COUNTED + 1))
    async with database.autocommit() as connection:
        for reader in (standing(HOME), standing(HOME, user=None), standing(ROOT)):
            assert await count_files(connection, reader, FileFilter()) == Count(MAX_COUNTED, is_exact=False)
        reader, but_two = standing(HOME, user=None), FileFilter(created_since=BEGINNING + timedelta(seconds=2))
        assert not (await count_files(connection, reader, but_two)).is_exact
        enough = Limits(tested=MAX_COUNTED + 1)
        assert await count_files(connection, reader, but_two, enough) == Count(MAX_COUNTED - 1, is_exact=True)


async def plant_in(connection: Any, files: Sequence[File]) -> None:
    await insert_users(connection, USERS)
    await insert_folders(connection, [a_folder(HOME, ALICE)])
    await insert_files(connection, files)
