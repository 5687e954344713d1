"""What a client may say over a WebSocket, read strictly.

Source: graphql-ws PROTOCOL.md, "GraphQL over WebSocket Protocol" (the subprotocol graphql-transport-ws).
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from strawberry.http import GraphQLRequestData

MAX_ID_LENGTH: Final = 256  # characters; clients use UUIDs or numbers


class BadFrame(ValueError):
    """Not a message that a client may send. Its text is a reason for closing: at most 123 bytes."""


@dataclass(frozen=True, slots=True)
class Init:
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class Subscribe:
    """``data`` has the query that was sent, or None where the document is named only: by ``document_id``, which is
    GraphQL over HTTP's, or in the extensions.
    """

    id: str
    data: GraphQLRequestData
    document_id: str | None


@dataclass(frozen=True, slots=True)
class Complete:
    id: str


Frame = Init | Ping | Pong | Subscribe | Complete


def read_frame(text: str) -> Frame:
    """Raises: BadFrame."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadFrame("The message is not JSON.") from None
    if not isinstance(message, dict):
        raise BadFrame("The message is not an object.")
    match message.get("type"):
        case "connection_init":
            return Init(_member(message, "payload", dict) or {})
        case "ping":
            return Ping(_member(message, "payload", dict))
        case "pong":
            _member(message, "payload", dict)
            return Pong()
        case "subscribe":
            return _subscribe(message)
        case "complete":
            return Complete(_id(message))
        case _:
            raise BadFrame("The message has no type that a client may send.")


def _id(message: dict[str, Any]) -> str:
    id_ = _member(message, "id", str)
    if not id_ or len(id_) > MAX_ID_LENGTH:
        raise BadFrame(f"The message needs an id of 1 to {MAX_ID_LENGTH} characters.")
    return str(id_)


def _subscribe(message: dict[str, Any]) -> Subscribe:
    id_ = _id(message)
    payload = _member(message, "payload", dict) or {}
    query = _member(payload, "query", str)
    document_id = _member(payload, "documentId", str)
    extensions = _member(payload, "extensions", dict)
    if query is None and document_id is None and "persistedQuery" not in (extensions or {}):
        raise BadFrame("The message needs a payload with a query.")
    data = GraphQLRequestData(
        query=query,
        variables=_member(payload, "variables", dict),
        operation_name=_member(payload, "operationName", str),
        extensions=extensions,
        protocol="http",  # of the names that strawberry knows; nothing looks at it
    )
    return Subscribe(id_, data, document_id)


def _member(message: dict[str, Any], name: str, kind: type) -> Any:
    """None if it is absent or null. Raises: BadFrame: it has another type."""
    value = message.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadFrame(f"The message's {name} has the wrong type.")
    return value
