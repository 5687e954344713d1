"""What can be done: what the model says of it, and the same done to the product."""

from typing import Protocol, Self

from tests.stateful.model import Model
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage


class Deed(Protocol):
    """Values only, so that it can be done to any copy of the model."""

    @classmethod
    def picked(cls, pick: Pick) -> Self: ...

    def foretell(self, model: Model) -> object:
        """What it comes to, which the model knows afterwards. Raises: Refused."""

    async def do(self, stage: Stage) -> object:
        """What it came to, or what it was refused for, by name."""
