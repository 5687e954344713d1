"""Watches that transactions lock what is counted last, all of it in one call, so that no two can wait for each other.

Two that meet only seldom deadlock only seldom; a statement in the wrong place is seen each time.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.world import World

_COUNTED = "storage_usage"
_WAITS = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FOR UPDATE|FOR NO KEY UPDATE|FOR SHARE|FOR KEY SHARE)\b")
_WRITES_TO = re.compile(rf"\b(?:INSERT INTO|UPDATE) {_COUNTED}\b")


@contextmanager
def counted_last(world: World) -> Iterator[None]:
    """Fails at the end if anything that can wait came after a transaction had begun to count."""
    counting: dict[int, bool] = {}  # transactions, by connection; False: it has the table for itself
    faults: list[str] = []

    def note(connection: Any, _cursor: object, statement: str, *_more: object) -> None:
        key = id(connection.connection.dbapi_connection)
        if f"LOCK TABLE {_COUNTED}" in statement:
            counting[key] = False
        is_counting = counting.get(key)
        if is_counting and _WAITS.search(statement):
            locks_more = "FOR UPDATE" in statement
            if locks_more or not _WRITES_TO.search(statement):
                faults.append(statement)
        if is_counting is None and _WRITES_TO.search(statement):
            counting[key] = True

    def end(connection: Any) -> None:
        counting.pop(id(connection.connection.dbapi_connection), None)

    engine = world.database._engine.sync_engine
    listeners: list[tuple[str, Any]] = [("before_cursor_execute", note), ("commit", end), ("rollback", end)]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
    assert faults == []
