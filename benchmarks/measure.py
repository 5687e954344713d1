"""CPU time per call, in a way that a busy machine does not spoil."""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Operation = Callable[[], Awaitable[object]]


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
