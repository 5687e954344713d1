"""Idempotency keys: what a mutation answered, so that asking again with the same key does nothing twice.

They belong into the transaction of the change. Either the policy's version was bumped before: changes then happen one
at a time, and of two requests with one key the second finds the answer of the first. Or the change begins with
``claim``.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import IdempotencyKeyRow
from graphql_api.errors import Conflict, InputFault, InvalidInput
from graphql_api.model.ids import UserId

MAX_KEY_LENGTH: Final = 255  # characters


def require_key(key: str) -> None:
    """Raises: InvalidInput: ``key`` cannot be kept."""
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        message = f"an idempotency key is 1 to {MAX_KEY_LENGTH} printable characters"
        raise InvalidInput(InputFault(message, ("idempotencyKey",)))


def fingerprint_of(operation: str, asked: Mapping[str, Any]) -> str:
    """Equal for equal questions. ``asked``: as JSON would have it."""
    # The standard library's JSON takes whatever a caller can write, large numbers and halves of surrogate pairs too.
    return hashlib.sha256(json.dumps([operation, asked], sort_keys=True).encode()).hexdigest()


async def remembered(connection: AsyncConnection, actor: UserId, key: str, fingerprint: str) -> Any | None:
    """What was answered (JSON) when ``actor`` asked with ``key``; None when they never did.

    Raises: Conflict: with this key they asked something else.
    """
    statement = select(IdempotencyKeyRow.fingerprint, IdempotencyKeyRow.answer).where(
        IdempotencyKeyRow.actor == actor, IdempotencyKeyRow.key == key
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise _used()
    return orjson.loads(row.answer)


async def remember(
    connection: AsyncConnection, actor: UserId, key: str, fingerprint: str, answer: Any, now: datetime
) -> None:
    """Keep ``answer`` (JSON, not null). Raises: Conflict: the key has been used meanwhile."""
    if not await claim(connection, actor, key, fingerprint, answer, now):
        raise _used()


async def claim(
    connection: AsyncConnection, actor: UserId, key: str, fingerprint: str, answer: Any, now: datetime
) -> bool:
    """Keep ``answer`` (JSON, not null) unless there is one; whether it was. Whoever claims the key is waited for."""
    statement = insert_unless_taken(connection, IdempotencyKeyRow).values(
        actor=actor, key=key, fingerprint=fingerprint, answer=orjson.dumps(answer).decode(), created_at=now
    )
    return await connection.scalar(statement.returning(IdempotencyKeyRow.key)) is not None


async def delete_keys_before(connection: AsyncConnection, instant: datetime, limit: int) -> int:
    """Forget at most ``limit`` keys first used before ``instant``; how many went."""
    old = (
        select(IdempotencyKeyRow.actor, IdempotencyKeyRow.key)
        .where(IdempotencyKeyRow.created_at < instant)
        .order_by(IdempotencyKeyRow.created_at)
        .limit(limit)
    )
    is_old = tuple_(IdempotencyKeyRow.actor, IdempotencyKeyRow.key).in_(old)
    return (await connection.execute(delete(IdempotencyKeyRow).where(is_old))).rowcount


def _used() -> Conflict:
    return Conflict("this idempotency key was used for another request", path=("idempotencyKey",))
