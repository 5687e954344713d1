"""Which pages may call the API from their own scripts: those of named origins.

They do so with a token that they hold, never with cookies. The one exception is where cookies are made or ended, for
which they hold a token as well: there a browser asks to be told that this is meant.
"""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.web.file_view import COOKIES_PATH, SESSION_METHODS, SESSION_PATH
from graphql_api.web.graphql_view import METHODS, NOT_SIMPLE
from graphql_api.web.middleware import REQUEST_ID_HEADER


class Origins:
    """CORS, by the Fetch standard. ``origins`` are exact, such as ``https://app.example.com``."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._plain = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=(*NOT_SIMPLE, "content-type", REQUEST_ID_HEADER),
            expose_headers=(REQUEST_ID_HEADER, "retry-after"),
        )
        self._with_cookies = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=SESSION_METHODS,
            allow_headers=("authorization", REQUEST_ID_HEADER),
            allow_credentials=True,
            expose_headers=(REQUEST_ID_HEADER,),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        makes_cookies = scope["type"] == "http" and (
            scope["path"] == SESSION_PATH or COOKIES_PATH.fullmatch(scope["path"]) is not None
        )
        await (self._with_cookies if makes_cookies else self._plain)(scope, receive, send)
