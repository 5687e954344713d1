"""The HTTP face: ``/graphql``, its console, what a load balancer asks, and the doors for those who follow links."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import strawberry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ExceptionHandler, Lifespan

from graphql_api.errors import ConfigurationError
from graphql_api.services import Services
from graphql_api.web import console
from graphql_api.web.answers import JsonAnswer, error_answer
from graphql_api.web.authentication import Authenticator
from graphql_api.web.client_address import IpNetwork
from graphql_api.web.documents import Documents
from graphql_api.web.graphql_view import MAX_BODY_SIZE, TIME_LIMIT, Edition, GraphQLView
from graphql_api.web.middleware import LastResort, RequestEnvelope
from graphql_api.web.origins import Origins
from graphql_api.web.places import Places
from graphql_api.web.socket import GraphQLSocket, SocketLimits
from graphql_api.web.viewers import Viewers

# In this process, at one time.
OPERATIONS: Final = 20_000  # that answer more than once, or over a socket
OPERATIONS_OF_VIEWER: Final = 100
SOCKETS: Final = 10_000
SOCKETS_OF_VIEWER: Final = 30
SOCKET_LIMITS: Final = SocketLimits(frame_size=MAX_BODY_SIZE)

_CODES: Final = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def create_app(
    services: Services,
    schema: strawberry.Schema,
    authenticator: Authenticator,
    *,
    cors_origins: Sequence[str] = (),
    trusted_proxies: Sequence[IpNetwork] = (),
    graphiql: bool = True,
    doors: Sequence[BaseRoute] = (),
    documents: Documents | None = None,
    edition: Edition = Edition.WIDESPREAD,
    time_limit: timedelta = TIME_LIMIT,
    socket_limits: SocketLimits = SOCKET_LIMITS,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The ASGI application. Answers are never to be stored by a cache, and always name the request's id.

    ``cors_origins`` are exact, such as ``https://app.example.com``. ``doors``: of ``ShareView`` and ``FileView``.
    ``documents``: those that are trusted, if any. Run
    the server without its own handling of ``X-Forwarded-For`` (uvicorn: ``proxy_headers=False``): ``trusted_proxies``
    decides whose word counts. ``edition`` of GraphQL over HTTP: which statuses are answered; ``time_limit``: for one
    operation that is answered at once.

    Raises: ConfigurationError: an origin is ``*``; pages anywhere could then use a token they got hold of.
    """
    if "*" in cors_origins:
        raise ConfigurationError("Name the origins that may call the API; '*' is not allowed.")

    async def ready(request: Request) -> Response:
        failing = await services.health.failing_parts()
        if failing:
            return JsonAnswer({"status": "unavailable", "failing": failing}, 503)
        return JsonAnswer({"status": "ok"})

    viewers = Viewers(services, authenticator)
    documents = documents or Documents()
    operations = Places(each=OPERATIONS_OF_VIEWER, total=OPERATIONS)
    socket = GraphQLSocket(
        schema,
        viewers,
        origins=cors_origins,
        sockets=Places(each=SOCKETS_OF_VIEWER, total=SOCKETS),
        operations=operations,
        documents=documents,
        limits=socket_limits,
        time_limit=time_limit,
    )
    view = GraphQLView(
        schema,
        viewers,
        operations=operations,
        documents=documents,
        has_console=graphiql,
        edition=edition,
        time_limit=time_limit,
    )
    routes: list[BaseRoute] = [
        *doors,
        Route("/graphql", view),
        WebSocketRoute("/graphql", socket),
        Route("/healthz", _live, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
    ]
    if graphiql:
        routes.append(console.route())
    handlers: dict[object, ExceptionHandler] = {HTTPException: _refuse}
    app = Starlette(
        routes=routes,
        exception_handlers=handlers,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestEnvelope, trusted_proxies=trusted_proxies),
            Middleware(Origins, origins=cors_origins),
            Middleware(LastResort),  # inside CORS, so that a page can read the request id of a failure
        ],
    )
    app.router.redirect_slashes = False  # some clients drop the body when they follow a redirect
    return app


async def _live(request: Request) -> Response:
    """The process answers; what it depends on is `/readyz`'s question."""
    return JsonAnswer({"status": "ok"})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # Starlette calls a handler with the class it stands beside
    code = _CODES.get(error.status_code, "BAD_REQUEST")
    return error_answer(error.status_code, code, error.detail, error.headers)
