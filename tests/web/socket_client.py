"""A raw client of graphql-transport-ws, which says what it should and what it should not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE = 60.0  # seconds
PAGE = "https://app.example.com"


class Socket:
    """Speaks JSON, and tells how the other side closed."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, type_: str, **more: Any) -> None:
        self.connection.send(json.dumps({"type": type_, **more}))

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.connection.recv(PATIENCE))
        return heard

    def begin(self, **payload: Any) -> None:
        self.say("connection_init", payload=payload)
        assert self.hear() == {"type": "connection_ack"}

    def subscribe(self, query: str, id_: str = "1", **more: Any) -> None:
        self.say("subscribe", id=id_, payload={"query": query, **more})

    def close_code(self) -> int:
        """Reads to the end."""
        while True:
            try:
                self.connection.recv(PATIENCE)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006  # it was not closed, but cut


@contextmanager
def socket_at(address: str, protocol: str | None = "graphql-transport-ws", **options: Any) -> Iterator[Socket]:
    url = address.replace("http", "ws", 1) + "/graphql"
    protocols = [Subprotocol(protocol)] if protocol else None
    with connect(url, subprotocols=protocols, proxy=None, compression=None, **options) as connection:
        yield Socket(connection)
