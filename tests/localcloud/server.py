"""The edge as viewers meet it."""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.origin import Origin
from graphql_api.localcloud.signature import KeyGroup
from tests.store import free_port


class EdgeServer:
    """The edge behind uvicorn on a free port, in a thread of its own, without a function."""

    def __init__(
        self,
        trusted_keys: Mapping[str, str] | KeyGroup,
        origin: Origin,
    ) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

        def edge() -> ASGIApp:
            return create_edge(
                self.address,
                trusted_keys,
                origin,
                lambda: datetime.now(UTC),
            )

        self._server = uvicorn.Server(
            uvicorn.Config(
                edge,
                factory=True,
                host="127.0.0.1",
                port=self.port,
                server_header=False,
                proxy_headers=False,
                log_level="critical",
            )
        )
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
