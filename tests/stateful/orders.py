"""Things that happened at once, or in an order that nobody is told of: is there one that explains what came of them?"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.stateful.model import Model

MOST_TRIED: Final = 500  # copies of the model, before it is called a contradiction


def in_some_order(model: Model, numbers: Sequence[int], step: Callable[[Model, int], None], seen: Any) -> Model:
    """The model after ``step`` for each of the uploads, in the order that comes to what was ``seen``; if none does, in
    one that comes near.
    """
    tried, nearest = 0, (-1, model)

    def after(so_far: Model, left: tuple[int, ...]) -> Model | None:
        nonlocal tried, nearest
        nearest = max(nearest, (len(numbers) - len(left), so_far), key=lambda each: each[0])
        if not left:
            return so_far if so_far.state() == seen else None
        for number in left:
            tried += 1
            if tried > MOST_TRIED:
                return None
            trial = so_far.copy()
            step(trial, number)
            if _is_as_seen(trial, number, seen):
                found = after(trial, tuple(other for other in left if other != number))
                if found is not None:
                    return found
        return None

    return after(model, tuple(numbers)) or nearest[1]


def _is_as_seen(model: Model, number: int, seen: Any) -> bool:
    """What became of this upload, as far as it stays so whatever happens to others."""
    state = model.state()
    if state["uploads"][number] != seen["uploads"].get(number):
        return False
    return all(
        versions.get(its_number, number) == number
        for file, (*_, ours) in state["files"].items()
        for its_number, version in ours.items()
        if version == number
        for *_, versions in [seen["files"].get(file, ({},))]
    )
