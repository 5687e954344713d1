"""Asked twice with one key, answered alike; asked for something else with it, refused."""

import asyncio
from datetime import timedelta

import pytest

from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.db.idempotency import delete_keys_before, fingerprint_of, remember, remembered, require_key
from graphql_api.errors import Conflict, InvalidInput
from graphql_api.model.ids import UserId
from tests.world import START

ADA, BEN = UserId("user_ada"), UserId("user_ben")
ASKED = fingerprint_of("createAccessRule", {"resource": "folder_1", "permissions": ["READ"]})


async def test_an_answer_is_remembered_for_who_asked(database: Database) -> None:
    answer = {"ruleId": "rule_1", "rules": ["rule_1", None, 'ü "\0']}
    async with database.transaction() as connection:
        assert await remembered(connection, ADA, "key", ASKED) is None
        await remember(connection, ADA, "key", ASKED, answer, START)
    async with database.autocommit() as connection:
        assert await remembered(connection, ADA, "key", ASKED) == answer
        assert await remembered(connection, BEN, "key", ASKED) is None
        assert await remembered(connection, ADA, "KEY", ASKED) is None


async def test_a_key_that_was_used_for_something_else_is_refused(database: Database) -> None:
    other = fingerprint_of("createAccessRule", {"resource": "folder_2", "permissions": ["READ"]})
    async with database.transaction() as connection:
        await remember(connection, ADA, "key", ASKED, {}, START)
        for work in (remembered(connection, ADA, "key", other), remember(connection, ADA, "key", other, {}, START)):
            with pytest.raises(Conflict) as caught:
                await work
            assert caught.value.path == ("idempotencyKey",)
        assert await remembered(connection, ADA, "key", ASKED) == {}


async def test_what_was_rolled_back_was_not_answered(database: Database) -> None:
    class Failed(Exception):
        pass

    async def fail() -> None:
        async with database.transaction() as connection:
            await remember(connection, ADA, "key", ASKED, {}, START)
            raise Failed

    with pytest.raises(Failed):
        await fail()
    async with database.autocommit() as connection:
        assert await remembered(connection, ADA, "key", ASKED) is None


async def test_of_many_who_ask_at_once_with_one_key_one_does_it_and_all_are_answered_alike(database: Database) -> None:
    done = []

    async def ask(number: int) -> object:
        async with database.transaction() as connection:
            await rules.bump_version(connection)
            answer = await remembered(connection, ADA, "key", ASKED)
            if answer is None:
                done.append(number)
                answer = {"by": number}
                await remember(connection, ADA, "key", ASKED, answer, START)
            return answer

    answers = await asyncio.gather(*map(ask, range(8)))
    assert answers == [{"by": done[0]}] * 8
    assert len(done) == 1


async def test_old_keys_are_forgotten_the_oldest_first(database: Database) -> None:
    async with database.transaction() as connection:
        for hours in range(5):
            for actor in (ADA, BEN):
                await remember(connection, actor, f"{hours}", ASKED, {}, START + timedelta(hours=hours))
    async with database.autocommit() as connection:
        assert await delete_keys_before(connection, START + timedelta(hours=3), 4) == 4
        assert await remembered(connection, ADA, "1", ASKED) is None
        assert await remembered(connection, BEN, "2", ASKED) == {}
        assert await delete_keys_before(connection, START + timedelta(hours=3), 4) == 2
        assert await delete_keys_before(connection, START + timedelta(hours=3), 4) == 0
        assert await remembered(connection, ADA, "3", ASKED) == {}


def test_equal_questions_have_equal_fingerprints() -> None:
    assert fingerprint_of("createAccessRule", {"permissions": ["READ"], "resource": "folder_1"}) == ASKED
    assert fingerprint_of("createAccessRule", {"permissions": ["READ"], "resource": "folder_2"}) != ASKED
    assert fingerprint_of("updateAccessRule", {"permissions": ["READ"], "resource": "folder_1"}) != ASKED
    assert len(ASKED) == 64
    assert fingerprint_of("any", {"text": "\ud800", "number": 2**64}) != fingerprint_of(
        "any", {"text": "", "number": 0}
    )


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "a\nb", "\ud800"], ids=ascii)
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        require_key(key)
    assert caught.value.path == ("idempotencyKey",)
    require_key("0b6f9f0e-0000-4000-8000-000000000000")
