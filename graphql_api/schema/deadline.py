"""Until when an operation has to be answered, where the transport gave it a deadline."""

import math
from collections.abc import Iterator

import anyio
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType


class LastingSubscriptions(SchemaExtension):
    """Lifts the deadline of subscriptions while they wait for something to happen. That an operation is one is known no
    earlier than here. What it has left when it begins is what the answer to each event may take: see
    ``Context.limit_event``.
    """

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context.context
        is_subscription = self.execution_context.operation_type is OperationType.SUBSCRIPTION
        if context.deadline is not None and is_subscription:
            context.event_limit = context.deadline.deadline - anyio.current_time()
            context.deadline.deadline = math.inf
        yield

    def on_stream_result(self, result: object) -> Iterator[None]:
        """An event is answered: whoever reads slowly may, and the next one has a deadline of its own."""
        context = self.execution_context.context
        if context.deadline is not None and context.event_limit < math.inf:
            context.deadline.deadline = math.inf
        yield
