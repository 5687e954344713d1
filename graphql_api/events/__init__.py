"""What the outside tells us, behind one protocol. Vendors stand in this package's modules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from graphql_api.model.store_event import StoreEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of the queue, handed out to us for a time.

    ``events`` is empty for a message that says nothing to us, such as a test, and for one that cannot be read, where
    ``fault`` says why, in words that repeat nothing of it.
    """

    message_id: str
    receipt: str = field(repr=False)  # whoever has it can acknowledge the message
    receives: int  # how often the queue has handed it out, this time included
    body: str = field(repr=False)
    events: tuple[StoreEvent, ...] = ()
    fault: str | None = None


class EventSource(Protocol):
    """A queue that hands each message out until it is acknowledged: at least once, in any order.

    Every method raises ``Unavailable("queue")`` when the queue does not answer.
    """

    async def receive(self, *, lease: timedelta) -> Sequence[Delivery]:
        """Some messages, which nobody else is handed before ``lease`` has passed. Waits a few seconds for a first."""

    async def hide(self, deliveries: Sequence[Delivery], *, lasting: timedelta) -> None:
        """Nobody is handed these before ``lasting`` has passed from now on: a longer lease, or a delay until the next
        try. One whose lease has ended is left as it is.
        """

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These are dealt with. Any that the queue keeps nevertheless is handed out again."""
