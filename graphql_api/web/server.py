"""How uvicorn is to run the application, the same in ``serve`` and ``dev``."""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graphql_api.web.graphql_view import MAX_BODY_SIZE

CLOSING: Final = "closing"  # name in the lifespan's state: an event that is set when the server is told to stop


class HttpProtocol(HttpToolsProtocol):
    """Says that the server stops, which uvicorn tells connections but not the application: streams would not end."""

    def shutdown(self) -> None:
        if (closing := self.app_state.get(CLOSING)) is not None:
            closing.set()
        super().shutdown()


OPTIONS: Final[dict[str, Any]] = {
    "http": HttpProtocol,
    "ws": "websockets-sansio",
    "ws_max_size": MAX_BODY_SIZE,
    "ws_per_message_deflate": False,  # messages are small, and a window for each socket takes memory
    "log_config": None,  # ours redacts signatures and tokens
    "access_log": False,
    "proxy_headers": False,  # GRAPHQL_API_TRUSTED_PROXIES decides whose word counts
    "server_header": False,
    "timeout_worker_healthcheck": 60,  # seconds; after uvicorn's 5 a busy machine kills workers that still load
}
