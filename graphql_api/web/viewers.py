"""Who is behind a request or a socket, as resolvers receive it, and for how long."""

from dataclasses import replace

from starlette.requests import HTTPConnection

from graphql_api.errors import Unauthenticated
from graphql_api.limits import address_key
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.schema import Context
from graphql_api.services import Services
from graphql_api.web.authentication import Authenticator
from graphql_api.web.client_address import parse_address


class Viewers:
    """One for the process."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def context(self, connection: HTTPConnection, authorization: str | None) -> Context:
        """For one operation. Raises: Unauthenticated, Unavailable. RateLimited: too many bad tokens came from there."""
        client_address, request_id = connection.state.client_address, connection.state.request_id
        address = parse_address(client_address or "")
        principal = replace(ANONYMOUS, address=address, request_id=request_id)
        try:
            identity = await self._authenticator.identify(authorization)
        except Unauthenticated:
            await self._services.rates.meter(principal).settle()
            raise
        if identity is not None:
            principal = await self._services.accounts.principal_of(identity, address=address, request_id=request_id)
        return self._context(principal, client_address, request_id)

    def next_operation(self, context: Context) -> Context:
        """For another operation of the same viewer over the same socket."""
        return self._context(context.principal, context.client_address, context.request_id)

    def _context(self, principal: Principal, client_address: str | None, request_id: str) -> Context:
        meter = self._services.rates.meter(principal)
        return Context(self._services, principal, client_address=client_address, request_id=request_id, meter=meter)

    async def until_refused(self, authorization: str | None) -> None:
        """Returns when the token, which was good, is good no longer; never for the anonymous viewer."""
        await self._authenticator.until_refused(authorization)


def viewer_key(context: Context) -> str:
    """By which places are counted: the user, or the address of who is not signed in, as rates are."""
    return context.principal.user_id or address_key(context.principal.address)


def authorization_header(connection: HTTPConnection) -> str | None:
    """Raises: Unauthenticated: there are several."""
    headers = connection.headers.getlist("authorization")
    if len(headers) > 1:
        raise Unauthenticated("There is more than one Authorization header.")
    return headers[0] if headers else None
