"""What many types share: interfaces, and the arguments of a page."""

from datetime import datetime
from typing import Annotated

import strawberry

First = Annotated[int | None, strawberry.argument(description="Forward page size, 1-100; 20 if neither is given.")]
After = Annotated[str | None, strawberry.argument(description="Start after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="Backward page size, 1-100.")]
Before = Annotated[str | None, strawberry.argument(description="End before this cursor.")]


@strawberry.interface(description="Any object with a global id; ids are opaque, unique across types and never reused.")
class Node:
    id: strawberry.ID = strawberry.field(description="Global id.")


@strawberry.interface(description="Something that was made at a time and can change.")
class Timestamped:
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
