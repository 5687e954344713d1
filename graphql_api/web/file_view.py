"""``/f/{id}``: the lasting address of a file for those who may read it, for mails and for ``<img src>``.

A browser sends no bearer token with an image. So a page that has one exchanges it for a cookie that is good for these
addresses only: no other part of the API reads cookies, and this one changes nothing.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from graphql_api.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.delivery import BundleLink, LinkWish
from graphql_api.model.ids import FILE_PREFIX, FileId, UserId, well_formed
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.services import Services
from graphql_api.services.clock import Clock
from graphql_api.web.answers import JsonAnswer
from graphql_api.web.authentication import Authenticator
from graphql_api.web.bundle_cookies import set_cookies
from graphql_api.web.doors import address_of, door, redirect
from graphql_api.web.passes import Passes
from graphql_api.web.viewers import authorization_header

COOKIE: Final = "file_session"
PATH: Final = "/f/"
SESSION_PATH: Final = "/f/session"
COOKIES_PATH: Final = re.compile(r"/f/[^/]+/cookies")
SESSION_METHODS: Final = ("POST", "DELETE")
_PURPOSE: Final = "files"


class FileView:
    """``session_lifetime``: of the cookie, at most; it ends with the token at the latest."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        passes: Passes,
        clock: Clock,
        *,
        session_lifetime: timedelta,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._passes = passes
        self._clock = clock
        self._session_lifetime = session_lifetime

    def routes(self) -> list[Route]:
        return [
            Route(SESSION_PATH, self.session, methods=SESSION_METHODS),
            Route(PATH + "{file_id}", self.file, methods=("GET", "HEAD")),
            Route(PATH + "{file_id}/cookies", self.cookies, methods=("POST",)),
        ]

    @door
    async def file(self, request: Request) -> Response:
        """A redirect to a link of seconds. What is hidden, what is absent and what gives no link look alike."""
        viewer = await self._viewer(request)
        file_id = FileId(well_formed(request.path_params["file_id"], FILE_PREFIX))
        file = (await self._services.files.find(viewer, [file_id])).get(file_id)
        grant = None if file is None else self._services.delivery.grant(file)
        if grant is None and viewer.user_id is None:
            raise Unauthenticated("Sign in to see whether there is such a file.")
        if grant is None:
            raise NotFound("no such file")
        if is_bundle_key(grant.file.object_key):
            return await self._bundle(viewer, file_id)
        grant = await self._services.revocations.named(viewer, grant)
        return redirect(302, (await self._services.delivery.sign_briefly(grant)).url)

    @door
    async def cookies(self, request: Request) -> Response:
        """The cookies of a bundle, for pages of named origins that hold a bearer token: what they ask of GraphQL is
        asked without cookies, and so browsers keep none of its answers.
        """
        authorization = authorization_header(request)
        if authorization is None:
            raise Unauthenticated("Cookies take a bearer token.")
        viewer = await self._viewer(request)
        link = await self._bundle_link(viewer, FileId(well_formed(request.path_params["file_id"], FILE_PREFIX)))
        answer = JsonAnswer(
            {
                "mainUrl": link.url.partition("?")[0],
                "resourceUrl": link.base_url,
                "expiresAt": _instant(link.expires_at),
                "refreshAfter": _instant(link.refresh_after),
            }
        )
        set_cookies(answer, link, self._services.bundle_links.cookies)
        return answer

    async def _bundle(self, viewer: Principal, file_id: FileId) -> Response:
        """Its main entry, with cookies for all others: a player asks for them without the query of the first."""
        link = await self._bundle_link(viewer, file_id)
        answer = redirect(302, link.url)
        set_cookies(answer, link, self._services.bundle_links.cookies)
        return answer

    async def _bundle_link(self, viewer: Principal, file_id: FileId) -> BundleLink:
        """It lives as long as a film may take. Raises: NotFound: hidden, absent, no bundle, or there is none for it."""
        try:
            _, link = await self._services.bundle_links.sign(viewer, file_id, LinkWish(self._session_lifetime))
        except (Conflict, Forbidden, InvalidInput) as refusal:
            raise NotFound(refusal.message) from None
        return link

    @door
    async def session(self, request: Request) -> Response:
        """POST with a bearer token begins a session, or goes on with it; DELETE ends it."""
        if request.method == "DELETE":
            answer = Response(status_code=204)
            answer.delete_cookie(COOKIE, path=PATH, secure=True, httponly=True, samesite="lax")
            return answer
        authorization = authorization_header(request)
        if authorization is None:
            raise Unauthenticated("A session takes a bearer token.")
        found = await self._authenticator.verify(authorization)
        principal = await self._services.accounts.principal_of(found.identity)
        assert principal.user_id is not None, "a verified token names somebody"
        now = self._clock()
        end = min(found.ends_at, now + self._session_lifetime).replace(microsecond=0)
        answer = JsonAnswer({"expiresAt": _instant(end)})
        answer.set_cookie(
            COOKIE,
            self._passes.issue(_PURPOSE, principal.user_id, expires_at=end),
            path=PATH,
            max_age=int((end - now).total_seconds()),
            secure=True,
            httponly=True,
            samesite="lax",  # from a mail, too; not within pages of other sites
        )
        return answer

    async def _viewer(self, request: Request) -> Principal:
        """By bearer token, else by cookie, else nobody in particular. Raises: Unauthenticated: a bad token."""
        address, request_id = address_of(request), request.state.request_id
        accounts = self._services.accounts
        identity = await self._authenticator.identify(authorization_header(request))
        if identity is not None:
            return await accounts.principal_of(identity, address=address, request_id=request_id)
        holder = self._passes.holder(_PURPOSE, request.cookies.get(COOKIE, ""), now=self._clock())
        if holder is not None:
            known = await accounts.recall(UserId(holder), address=address, request_id=request_id)
            if known is not None:
                return known
        return replace(ANONYMOUS, address=address, request_id=request_id)


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
