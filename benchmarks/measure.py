"""CPU time per call, in a way that a busy machine does not spoil."""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Operation = Callable[[], Awaitable[object]]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Effort:
    """``rounds`` blocks for each variant, of about ``block_seconds`` CPU time each; zero means a single call."""

    rounds: int
    block_seconds: float


async def interleaved(variants: Mapping[str, Operation], effort: Effort) -> dict[str, float]:
    """Milliseconds of CPU time per call of each variant: the least over the rounds, in which they take turns.

    The time is that of this process with all its threads; a database server's own is not in it.
    """
    calls = {name: await _calls_in_a_block(operation, effort) for name, operation in variants.items()}
    best = dict.fromkeys(variants, float("inf"))
    for _ in range(effort.rounds):
        for name, operation in variants.items():
            best[name] = min(best[name], await _block(operation, calls[name]))
    return {name: seconds * 1000 for name, seconds in best.items()}


async def fastest(variants: Mapping[Key, Operation], effort: Effort) -> dict[Key, float]:
    """Milliseconds of wall time of each variant's fastest call, a database server's work included.

    The variants take turns in ``rounds`` blocks of ``block_seconds``; one that takes longer than a second is called in
    the first two rounds only.
    """
    best = dict.fromkeys(variants, float("inf"))
    for number in range(effort.rounds):
        gc.collect()
        for name, operation in variants.items():
            if number < 2 or best[name] < 1:
                best[name] = min(best[name], await _fastest_in_a_block(operation, effort.block_seconds))
    return {name: seconds * 1000 for name, seconds in best.items()}


async def _fastest_in_a_block(operation: Operation, block_seconds: float) -> float:
    start, best = time.perf_counter(), float("inf")
    while True:
        begun = time.perf_counter()
        await operation()
        now = time.perf_counter()
        best = min(best, now - begun)
        if now - start >= block_seconds:
            return best


async def _calls_in_a_block(operation: Operation, effort: Effort) -> int:
    if not effort.block_seconds:
        return 1
    await _block(operation, 3)  # connections, caches
    once = await _block(operation, 3)
    return max(1, round(effort.block_seconds / await _block(operation, max(1, round(0.02 / once)))))


async def _block(operation: Operation, calls: int) -> float:
    gc.collect()
    start = time.process_time()
    for _ in range(calls):
        await operation()
    return (time.process_time() - start) / calls
