"""Who tries tokens and passwords is let do so for a while only."""

import asyncio
import threading
from datetime import timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher

from graphql_api.errors import NotFound, RateLimited
from graphql_api.limits import Buckets
from graphql_api.services.guesses import Guesses
from graphql_api.services.passwords import Passwords
from tests.services.sharing import opens, shared, visitor
from tests.services.stories import filed
from tests.world import Clock, World


async def test_unknown_tokens_are_refused_so_often_and_then_not_even_looked_at(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    guesser = visitor()
    limits = world.guess_limits
    for number in range(limits.per_address):
        with pytest.raises(NotFound):
            await world.services.visits.begin(guesser, f"{number:08}" + "x" * 35)
    with pytest.raises(RateLimited) as limited:
        await world.services.visits.begin(guesser, made.token)
    assert limited.value.retry_after == limits.window / limits.per_address
    assert await opens(world, made.token, by=visitor("198.51.100.1"))
    world.clock.advance(seconds=limited.value.retry_after.total_seconds())
    assert await opens(world, made.token, by=guesser)


async def test_guesses_that_come_at_once_are_limited_like_those_that_come_one_by_one(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    limit = world.guess_limits.per_address
    tokens = [f"{number:08}" + "x" * 35 for number in range(limit + 20)]
    begin = world.services.visits.begin
    outcomes = await asyncio.gather(*(begin(visitor(), token) for token in tokens), return_exceptions=True)
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == limit
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 20
    world.clock.advance(minutes=10)
    visits = (begin(visitor(), made.token) for _ in range(limit + 20))
    assert len(await asyncio.gather(*visits)) == limit + 20  # who finds something does not guess


async def test_guesses_that_begin_alike_are_counted_together_wherever_they_come_from(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    for number in range(world.guess_limits.per_link):
        assert not await opens(world, f"{made.token[:20]}{number:023}", by=visitor(f"198.51.100.{number}"))
    with pytest.raises(RateLimited):
        await opens(world, made.token)
    world.clock.advance(minutes=10)
    assert await opens(world, made.token)


async def test_neighbours_of_an_ipv6_address_are_one_guesser(sqlite_world: World) -> None:
    visits, limits = sqlite_world.services.visits, sqlite_world.guess_limits
    for number in range(limits.per_address):
        with pytest.raises(NotFound):
            await visits.begin(visitor(f"2001:db8::{number:x}"), f"{number:08}" + "x" * 35)
    with pytest.raises(RateLimited):
        await visits.begin(visitor("2001:db8::ffff:1"), "another")
    with pytest.raises(NotFound):
        await visits.begin(visitor("2001:db8:0:1::1"), "another")


async def test_who_finds_what_is_there_is_never_limited(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    outcomes = [await opens(world, made.token) for _ in range(world.guess_limits.per_address + 10)]
    assert all(outcomes)


async def test_who_has_the_address_of_a_link_that_has_ended_does_not_guess(sqlite_world: World) -> None:
    """An office, which has one address, may well follow the link of an old mail a hundred times."""
    world = sqlite_world
    ada = await world.principal("ada")
    ended, good = [await shared(world, ada, await filed(world, ada, name)) for name in ("1.txt", "2.txt")]
    await world.services.share_links.revoke(ada, ended.link.id)
    outcomes = [await opens(world, ended.token) for _ in range(world.guess_limits.per_address + 10)]
    assert not any(outcomes)
    assert await opens(world, good.token)


async def test_passwords_are_hashed_as_rfc_9106_recommends() -> None:
    hashed = await Passwords().hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await Passwords().is_right(hashed, "correct horse")
    assert not await Passwords().is_right(hashed, "correct house")


async def test_passwords_are_hashed_beside_the_event_loop() -> None:
    """Whoever waits for one holds up nobody who asks for something else."""
    threads = []

    class Watched(PasswordHasher):
        def hash(self, *passwords: Any, **more: Any) -> str:
            threads.append(threading.current_thread())
            return super().hash(*passwords, **more)

        def verify(self, *passwords: Any) -> Literal[True]:
            threads.append(threading.current_thread())
            return super().verify(*passwords)

    passwords = Passwords(Watched(time_cost=1, memory_cost=8, parallelism=1))
    assert await passwords.is_right(await passwords.hash("correct horse"), "correct horse")
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_who_chooses_a_password_holds_up_nobody_who_is_asked_for_one() -> None:
    is_over = threading.Event()

    class Slow(PasswordHasher):
        def hash(self, *passwords: Any, **more: Any) -> str:
            assert is_over.wait(timeout=60)
            return super().hash(*passwords, **more)

    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(Slow(time_cost=1, memory_cost=8, parallelism=1))
    making = [asyncio.create_task(passwords.hash("another")) for _ in range(5)]
    await asyncio.sleep(0)
    assert await passwords.is_right(cheap.hash("correct horse"), "correct horse")
    is_over.set()
    assert len(set(await asyncio.gather(*making))) == 5


async def test_a_password_opens_and_wrong_ones_are_counted(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="caf\u00e9 au lait")
    visits, limits = world.services.visits, world.guess_limits
    visit = await visits.begin(visitor(), made.token)
    assert await visits.unlock(visit, "cafe\u0301 au lait")  # the same text, typed on another system
    guesses = [f"guess {number}" for number in range(limits.per_link + 5)]
    outcomes = await asyncio.gather(*(visits.unlock(visit, guess) for guess in guesses), return_exceptions=True)
    assert outcomes.count(False) == limits.per_link  # those that come at once, too
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 5
    with pytest.raises(RateLimited):
        await visits.unlock(visit, "caf\u00e9 au lait")
    world.clock.advance(minutes=10)
    visit = await visits.begin(visitor(), made.token)
    assert await visits.unlock(visit, "caf\u00e9 au lait")


async def test_right_passwords_are_not_counted(sqlite_world: World) -> None:
    world = sqlite_world
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse")
    visit = await world.services.visits.begin(visitor(), made.token)
    outcomes = [
        await world.services.visits.unlock(visit, "correct horse") for _ in range(world.guess_limits.per_link + 5)
    ]
    assert all(outcomes)


def test_failures_are_forgotten_one_after_the_other() -> None:
    clock = Clock()
    guesses = Guesses(clock, limit=3, window=timedelta(seconds=30))
    for _ in range(3):
        guesses.require_room("k")
        guesses.count("k")
    with pytest.raises(RateLimited) as limited:
        guesses.require_room("k")
    assert limited.value.retry_after == timedelta(seconds=10)
    guesses.require_room("another")
    clock.advance(seconds=10)
    guesses.require_room("k")
    guesses.count("k")
    with pytest.raises(RateLimited):
        guesses.require_room("k")
    clock.advance(seconds=30)
    for _ in range(3):
        guesses.require_room("k")
        guesses.count("k")


def test_what_is_remembered_is_bounded() -> None:
    guesses = Guesses(Clock(), limit=1, window=timedelta(seconds=30), buckets=Buckets(max_kept=2))
    for key in ("a", "b", "c"):
        guesses.count(key)
    guesses.require_room("a")
    for key in ("b", "c"):
        with pytest.raises(RateLimited):
            guesses.require_room(key)
