"""Column types that mean the same on SQLite and PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, String, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, kept in UTC to the microsecond. A naive datetime raises ``ValueError``: it names no instant.

    PostgreSQL keeps ``timestamptz``; SQLite has no such type, so it keeps the UTC wall time as sortable text.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone names no instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """One function for what ``process_result_value`` would take three for: a page reads hundreds of instants."""
        read = self.impl_instance.result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            if value is None:
                return None
            instant: Any = value if read is None else read(value)
            if instant.tzinfo is UTC:
                return instant
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

        return process


def binary_text(length: int | None = None) -> String:
    """Text that is compared code point by code point on both databases, so that keyset pages agree with Python.

    SQLite compares so by default; PostgreSQL only in the collation ``C``.
    """
    collated: Any = String(length, collation="C")
    return String(length).with_variant(collated, "postgresql")
