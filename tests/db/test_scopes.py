"""Scopes, words and metadata are what the tree, the labels and the names say, whatever has moved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook
from graphql_api.db import files, notes, scopes
from graphql_api.db.backfill import backfill
from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from graphql_api.db.rules import bump_version, insert_rules, list_rules_on
from graphql_api.db.tables import FileMetadataRow, FileScopeRow, FileWordRow, FolderRow
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId
from graphql_api.model.names import name_words
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, Effect, RuleTerms, Scope, Subject, label_scope
from tests.access.worlds import BEGINNING, USERS, rule_of
from tests.db.stocked import insert_files, insert_folders, insert_users

TOP, LOW, LEAF, OTHER = [FolderId(f"folder_{name:0>26}") for name in ("top", "b", "c", "d")]
ADMIN: Final = Rulebook(USERS[0], is_admin=True).standing(BEGINNING, None)
OWNER: Final = Rulebook(USERS[0], is_admin=False).standing(BEGINNING, None)
STRANGER: Final = Rulebook(USERS[1], is_admin=False).standing(BEGINNING, None)


def folder(id_: FolderId, parent_id: FolderId) -> Folder:
    return Folder(id_, parent_id, USERS[0], id_, BEGINNING, BEGINNING)


def a_file(number: int, folder_id: FolderId, name: str = "") -> File:
    id_ = FileId(f"file_{number:026}")
    at = BEGINNING + timedelta(seconds=number)
    return File(id_, folder_id, USERS[0], name or f"file {number}", 1, "a/b", "a/b", None, id_, at, at)


IN_ROOT, IN_TOP, IN_LEAF = a_file(1, ROOT_FOLDER_ID), a_file(2, TOP), a_file(3, LEAF, "Ärger im Büro, Ärger.pdf")


async def plant(connection: AsyncConnection) -> None:
    """TOP has LOW, which has LEAF; OTHER stands beside TOP."""
    await insert_users(connection, USERS)
    parents = {TOP: ROOT_FOLDER_ID, LOW: TOP, LEAF: LOW, OTHER: ROOT_FOLDER_ID}
    await insert_folders(connection, [folder(id_, parent_id) for id_, parent_id in parents.items()])
    await insert_files(connection, [IN_ROOT, IN_TOP, IN_LEAF])


async def rows(connection: AsyncConnection) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for scope, created_at, file_id in await connection.execute(select(*FileScopeRow.__table__.columns)):
        assert created_at == next(file.created_at for file in (IN_ROOT, IN_TOP, IN_LEAF) if file.id == file_id)
        assert scope not in found.setdefault(file_id, set())
        found[file_id].add(scope)
    return found


async def test_a_file_is_in_the_scopes_of_its_owner_and_of_every_folder_above_but_the_root(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        assert await rows(connection) == {
            IN_ROOT.id: {USERS[0]},
            IN_TOP.id: {USERS[0], TOP},
            IN_LEAF.id: {USERS[0], TOP, LOW, LEAF},
        }
        assert await scopes.scopes_of_files(connection, [IN_ROOT.id, IN_LEAF.id, FileId("file_absent")]) == {
            IN_ROOT.id: {IN_ROOT.id, ROOT, USERS[0]},
            IN_LEAF.id: {IN_LEAF.id, ROOT, USERS[0], TOP, LOW, LEAF},
        }
        assert await scopes.scopes_of_folders(connection, [ROOT_FOLDER_ID, LOW, FolderId("folder_absent")]) == {
            ROOT_FOLDER_ID: {ROOT},
            LOW: {LOW, TOP, ROOT, USERS[0]},
        }


async def test_a_file_that_moves_changes_the_scopes_of_its_folders_only(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        await scopes.change_labels(connection, IN_LEAF, add=["red"])
        await scopes.refile(connection, IN_LEAF.id, IN_LEAF.created_at, (LEAF, LOW, TOP, ROOT), (LOW, TOP, ROOT))
        assert (await rows(connection))[IN_LEAF.id] == {USERS[0], TOP, LOW, label_scope("red")}
        await scopes.refile(connection, IN_LEAF.id, IN_LEAF.created_at, (LOW, TOP, ROOT), (ROOT,))
        assert (await rows(connection))[IN_LEAF.id] == {USERS[0], label_scope("red")}
        await scopes.refile(connection, IN_LEAF.id, IN_LEAF.created_at, (ROOT,), (OTHER, ROOT))
        assert (await rows(connection))[IN_LEAF.id] == {USERS[0], OTHER, label_scope("red")}
        assert (await rows(connection))[IN_TOP.id] == {USERS[0], TOP}


async def test_a_folder_that_moves_takes_the_scopes_of_all_below_along(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        await scopes.refile_below(connection, LOW, (LOW, TOP, ROOT), (LOW, OTHER, ROOT))
        assert (await rows(connection))[IN_LEAF.id] == {USERS[0], OTHER, LOW, LEAF}
        await scopes.refile_below(connection, LOW, (OTHER, ROOT), (ROOT,))  # itself may be left out
        assert await rows(connection) == {
            IN_ROOT.id: {USERS[0]},
            IN_TOP.id: {USERS[0], TOP},
            IN_LEAF.id: {USERS[0], LOW, LEAF},
        }


async def test_labels_come_and_go_as_often_as_one_likes(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        await scopes.change_labels(connection, IN_TOP, add=["red", "am bau", "blue"])
        await scopes.change_labels(connection, IN_TOP, add=["red"], remove=["blue", "never there"])
        await scopes.change_labels(connection, IN_ROOT)
        found = await rows(connection)
        assert found[IN_TOP.id] == {USERS[0], TOP, "label:red", "label:am bau"}
        assert found[IN_ROOT.id] == {USERS[0]}


async def test_metadata_are_set_and_removed_by_key(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        await notes.change_metadata(connection, IN_TOP.id, set={"b": "1", "a": "2"})
        await notes.change_metadata(connection, IN_TOP.id, set={"b": "3", "c": "\n"}, remove=["a", "z"])
        await notes.change_metadata(connection, IN_ROOT.id, set={})
        found = await notes.metadata_of(connection, [IN_TOP.id, IN_ROOT.id])
        assert found == {IN_TOP.id: {"b": "3", "c": "\n"}, IN_ROOT.id: {}}


async def test_the_words_of_a_name_follow_the_name(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        words = select(FileWordRow.word).where(FileWordRow.file_id == IN_LEAF.id)
        assert set(await connection.scalars(words)) == set(name_words(IN_LEAF.name)) == {"ärger", "im", "büro", "pdf"}
        await files.update_file(connection, OWNER, IN_LEAF.id, now=BEGINNING, name="猫 1")
        assert set(await connection.scalars(words)) == {"猫", "1"}


async def test_a_file_goes_with_all_that_is_noted_about_it_and_the_rules_on_it(database: Database) -> None:
    about_it = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), Subject(USERS[1]), resource=Scope(IN_TOP.id))
    async with database.transaction() as connection:
        await bump_version(connection)
        await plant(connection)
        await notes.change_metadata(connection, IN_TOP.id, set={"a": "1"})
        beside_it = replace(about_it, resource=Scope(IN_LEAF.id))
        await insert_rules(connection, [rule_of(1, about_it), rule_of(2, beside_it)])
        assert await files.delete_files(connection, [IN_TOP.id]) == [rule_of(1, about_it)]
        assert set(await rows(connection)) == {IN_ROOT.id, IN_LEAF.id}
        assert set(await connection.scalars(select(FileWordRow.file_id))) == {IN_ROOT.id, IN_LEAF.id}
        assert not list(await connection.scalars(select(FileMetadataRow.key)))
        assert await list_rules_on(connection, [IN_TOP.id, IN_LEAF.id]) == [rule_of(2, beside_it)]


async def test_what_is_locked_is_what_may_be_seen_with_all_its_scopes(database: Database) -> None:
    ids = [IN_TOP.id, IN_LEAF.id, FileId("file_absent")]
    async with database.transaction() as connection:
        await plant(connection)
        locked = await files.lock_files(connection, OWNER, ids)
        assert set(locked) == {IN_TOP.id, IN_LEAF.id}
        assert locked[IN_TOP.id].scopes == {IN_TOP.id, ROOT, USERS[0], TOP}
        assert locked[IN_TOP.id].file.terms is not None
        assert not await files.lock_files(connection, STRANGER, ids)
        inside = await files.lock_files_in(connection, [LEAF, TOP], limit=10)
        assert inside == [(file.id, locked[file.id].scopes) for file in (IN_TOP, IN_LEAF)]
        assert len(await files.lock_files_in(connection, [LEAF, TOP], limit=1)) == 1


async def test_a_file_is_inserted_with_its_scopes_and_words_and_read_on_the_terms_of_its_place(
    database: Database,
) -> None:
    new = a_file(4, LEAF)
    async with database.transaction() as connection:
        await plant(connection)
        await files.insert_file(connection, new, detected_content_type="text/plain")
        assert (await scopes.scopes_of_files(connection, [new.id]))[new.id] == {new.id, ROOT, USERS[0], TOP, LOW, LEAF}
        assert (await files.find_file_in(connection, OWNER, LEAF, "file 4")) == await files.with_terms(
            connection, OWNER, new
        )
        assert await files.find_file_in(connection, STRANGER, LEAF, "file 4") is None
        assert (await files.with_terms(connection, STRANGER, new)).terms is None


async def test_files_of_an_earlier_version_get_what_they_lack(database: Database) -> None:
    async with database.transaction() as connection:
        await plant(connection)
        await scopes.change_labels(connection, IN_TOP, add=["red"])
        complete = await rows(connection)
        lacking = [IN_ROOT.id, IN_LEAF.id]
        await connection.execute(delete(FileScopeRow).where(FileScopeRow.file_id.in_(lacking)))
        await connection.execute(delete(FileWordRow).where(FileWordRow.file_id.in_(lacking)))
    await migrate(database)
    async with database.autocommit() as connection:
        assert await rows(connection) == complete
        assert set(await connection.scalars(select(FileWordRow.file_id))) == set(complete)


async def test_filling_in_goes_on_over_many_batches_and_then_has_nothing_to_do(database: Database) -> None:
    async def alone(_: AsyncConnection) -> None:
        return None

    async with database.transaction() as connection:
        await plant(connection)
        complete = await rows(connection)
        await connection.execute(delete(FileScopeRow))
        await connection.execute(delete(FileWordRow))
    for expected in (6, 0):  # scopes and words of each, and a first version
        assert await backfill(database, alone, size=2) == expected
    async with database.autocommit() as connection:
        assert await rows(connection) == complete


async def test_scopes_that_are_kept_are_those_that_would_be_made_anew(database: Database) -> None:
    """A folder with many files, moved up and down the tree."""
    many = [a_file(number, (LEAF, LOW)[number % 2]) for number in range(10, 60)]
    async with database.transaction() as connection:
        await plant(connection)
        await insert_files(connection, many)
        for old, new in (((LOW, TOP, ROOT), (LOW, OTHER, ROOT)), ((LOW, OTHER, ROOT), (LOW, ROOT))):
            await scopes.refile_below(connection, LOW, old, new)
            moved = update(FolderRow).where(FolderRow.id == LOW)
            await connection.execute(moved.values(parent_id=new[1]))
            kept = await scopes.scopes_of_files(connection, [file.id for file in many])
            await connection.execute(delete(FileScopeRow))
            await scopes.insert_scopes(connection, [file.id for file in many])
            assert await scopes.scopes_of_files(connection, [file.id for file in many]) == kept
