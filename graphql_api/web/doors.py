"""What the addresses have in common that people follow outside of GraphQL, and that end in a redirect to bytes.

Their answers are kept by no cache and no search engine, and tell nobody where their reader came from. Whoever accepts
HTML is shown a page, everybody else gets JSON.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from graphql_api.errors import InvalidInput, NotFound, RateLimited, Unauthenticated, Unavailable
from graphql_api.web import pages
from graphql_api.web.answers import JsonAnswer, error_answer
from graphql_api.web.client_address import IpAddress, parse_address

HEADERS: Final = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex"}
RETRY_AFTER: Final = 5  # seconds, when a part does not answer

View = Callable[..., Awaitable[Response]]


def door(view: View) -> View:
    """``view``, with expected failures as answers and with the headers of all of them."""

    @functools.wraps(view)
    async def guarded(*args: Any) -> Response:
        request: Request = args[-1]
        try:
            answer = await view(*args)
        except NotFound:
            answer = refusal(request, 404, "NOT_FOUND", "Not Found", "There is nothing here, or not any more.")
        except InvalidInput as error:
            answer = refusal(request, 400, "BAD_REQUEST", error.message, "This address is not complete.")
        except Unauthenticated as error:
            challenge = {"www-authenticate": "Bearer"}  # RFC 6750 section 3
            answer = refusal(request, 401, error.code, error.message, "Sign in first.", challenge)
        except RateLimited as error:
            headers = {"retry-after": str(error.seconds)}
            answer = refusal(request, 429, error.code, error.message, error.message, headers)
        except Unavailable as error:
            headers = {"retry-after": str(RETRY_AFTER)}
            answer = refusal(request, 503, "SERVICE_UNAVAILABLE", error.message, error.message, headers)
        except ClientDisconnect:
            answer = Response(status_code=400)
        answer.headers.update(HEADERS)
        return answer

    return guarded


def refusal(
    request: Request, status: int, code: str, message: str, told: str, headers: Mapping[str, str] | None = None
) -> Response:
    """``told``: to people; ``message``: to programs."""
    if wants_page(request):
        return pages.notice(told, status, headers)
    return error_answer(status, code, message, headers)


def answered(request: Request, data: Mapping[str, object], page: Response) -> Response:
    """``data`` to a program, ``page`` to a person; both with the status of ``page``."""
    return page if wants_page(request) else JsonAnswer(data, page.status_code)


def redirect(status: int, location: str) -> Response:
    """To an address that is used as it is: Starlette's own redirect would encode it anew."""
    return Response(status_code=status, headers={"location": location})


def wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "").lower()


def address_of(request: Request) -> IpAddress | None:
    """From where the request comes, as conditions and limits see it; None if that is not known."""
    return parse_address(request.state.client_address or "")
