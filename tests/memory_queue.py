"""A queue without a network; what comes back, and when, is a test's to say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from graphql_api.errors import Unavailable
from graphql_api.events import Delivery
from graphql_api.model.store_event import StoreEvent


class MemoryQueue:
    """An ``EventSource`` without a network and without time: what is hidden comes back when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.hidden: dict[str, tuple[Delivery, timedelta]] = {}
        self.acknowledged: list[str] = []
        self.is_up = True

    def put(self, *events: StoreEvent, fault: str | None = None, receives: int = 1) -> None:
        number = len(self.waiting) + len(self.hidden) + len(self.acknowledged)
        self.waiting.append(Delivery(f"m-{number}", "receipt", receives, "the body", events, fault))

    def come_back(self) -> None:
        self.waiting += [replace(each, receives=each.receives + 1) for each, _ in self.hidden.values()]
        self.hidden = {}

    async def receive(self, *, lease: timedelta) -> Sequence[Delivery]:
        self._require_up()
        handed, self.waiting = self.waiting, []
        self.hidden |= {each.message_id: (each, lease) for each in handed}
        return handed

    async def hide(self, deliveries: Sequence[Delivery], *, lasting: timedelta) -> None:
        self._require_up()
        self.hidden |= {each.message_id: (each, lasting) for each in deliveries if each.message_id in self.hidden}

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._require_up()
        for each in deliveries:
            del self.hidden[each.message_id]
            self.acknowledged.append(each.message_id)

    def _require_up(self) -> None:
        if not self.is_up:
            raise Unavailable("queue")
