"""How often the same is tried again, and how many things are done at once."""

import random
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio

from graphql_api.client.errors import Busy

T = TypeVar("T")

LONGEST_WISH: Final = 120.0  # seconds; who asks for a longer pause is not obeyed


@dataclass(frozen=True, slots=True)
class Patience:
    """``tries`` in all, and between them pauses that double from ``first`` to ``longest`` seconds, half of it by chance
    so that clients which were cut off together do not come back together.
    """

    tries: int = 10
    first: float = 0.5
    longest: float = 30.0

    def pauses(self) -> Iterator[float]:
        """Seconds before each further try."""
        for number in range(self.tries - 1):
            yield random.uniform(0.5, 1) * min(self.longest, self.first * 2**number)


async def persist(patience: Patience, work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` comes to once it is not ``Busy``; who makes progress is tried for ever.

    Raises: Busy: it still was, at the last try.
    """
    pauses = patience.pauses()
    while True:
        try:
            return await work()
        except Busy as busy:
            if busy.has_progressed:
                pauses = patience.pauses()
            pause = next(pauses, None)
            if pause is None:
                raise
            await anyio.sleep(max(pause, min(busy.retry_after, LONGEST_WISH)))


async def in_parallel(jobs: int, things: AsyncIterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do ``work`` for all ``things``, ``jobs`` at a time. The first failure ends the others and is raised itself."""
    send, receive = anyio.create_memory_object_stream[T]()

    async def worker() -> None:
        async with receive.clone() as mine:
            async for thing in mine:
                await work(thing)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(jobs):
                group.start_soon(worker)
            async with send:
                async for thing in things:
                    await send.send(thing)
    except BaseExceptionGroup as failures:
        raise _first(failures) from None
    finally:
        receive.close()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
