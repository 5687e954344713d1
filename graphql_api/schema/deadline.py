"""Until when an operation has to be answered, where the transport gave it a deadline."""

import math
from collections.abc import Iterator

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType


class LastingSubscriptions(SchemaExtension):
    """Lifts the deadline of subscriptions, which is known of an operation no earlier than here."""

    def on_execute(self) -> Iterator[None]:
        deadline = self.execution_context.context.deadline
        if deadline is not None and self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            deadline.deadline = math.inf
        yield
