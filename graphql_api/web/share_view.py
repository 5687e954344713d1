"""``/s/{token}``: what a share link looks like to whoever follows it.

A file without conditions is a redirect at once. Where something is asked for, a password or, so that the programs which
look at links in chats and mails use none up, the press of a button, there is a page, and its POST is what counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, quote

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from graphql_api.errors import NotFound
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FILE_PREFIX, FileId, well_formed
from graphql_api.model.page import MAX_PAGE_SIZE, PageRequest
from graphql_api.model.principal import ANONYMOUS
from graphql_api.services.clock import Clock
from graphql_api.services.visits import Visit, Visits
from graphql_api.web import pages
from graphql_api.web.answers import error_answer
from graphql_api.web.doors import address_of, answered, door, redirect, refusal, wants_page
from graphql_api.web.passes import Passes

COOKIE: Final = "share_pass"
PASS_LIFETIME: Final = timedelta(hours=1)  # in which the password of a folder is not asked for again
MAX_FORM_SIZE: Final = 16 * 1024  # bytes: twelve for each character of the longest password, and room for other fields
FORM_PATIENCE: Final = timedelta(seconds=10)  # for all of a form, which fits into a packet or two
METHODS: Final = ("GET", "HEAD", "POST")
_PURPOSE: Final = "share"


class ShareView:
    """``link_origin``: where redirects lead to. ``passes``: for folders, whose pages are many and password is one."""

    def __init__(
        self,
        visits: Visits,
        passes: Passes,
        clock: Clock,
        *,
        link_origin: str,
        form_patience: timedelta = FORM_PATIENCE,
    ) -> None:
        self._visits = visits
        self._passes = passes
        self._clock = clock
        self._link_origin = link_origin
        self._form_patience = form_patience

    def routes(self) -> list[Route]:
        return [
            Route("/s/{token}", self.link, methods=METHODS),
            Route("/s/{token}/{file_id}", self.file_below, methods=METHODS),
        ]

    @door
    async def link(self, request: Request) -> Response:
        if _is_speculative(request):
            return Response(status_code=204)
        form: Mapping[str, str] = {}
        if request.method == "POST":  # before anything is looked up: a visitor sends it as slowly as they like
            try:
                with anyio.fail_after(self._form_patience.total_seconds()):
                    sent = await _form(request)
            except TimeoutError:
                return _not_taken(request, 408, "REQUEST_TIMEOUT", "The form did not arrive in time.")
            if sent is None:
                return _not_taken(request, 413, "PAYLOAD_TOO_LARGE", "The form is too large.")
            form = sent
        visit = await self._begin(request)
        if request.method == "HEAD":
            return Response()
        if visit.link.has_password and not self._has_pass(request, visit):
            password = form.get("password")
            if not password:
                return self._password_form(request)
            if not await self._visits.unlock(visit, password):
                return self._password_form(request, was_wrong=True)
            if isinstance(visit.thing, File):
                return await self._sent_on(visit, visit.thing, 303)
            return self._with_pass(visit, redirect(303, _own_address(request)))
        if isinstance(visit.thing, File):
            return await self._file(request, visit, visit.thing)
        return await self._list(request, visit, visit.thing)

    @door
    async def file_below(self, request: Request) -> Response:
        if _is_speculative(request):
            return Response(status_code=204)
        visit = await self._begin(request)
        if isinstance(visit.thing, File):
            raise NotFound("no such file")
        if visit.link.has_password and not self._has_pass(request, visit):
            return redirect(303, _own_address(request))  # whether there is such a file or not
        file = await self._visits.get_file(visit, FileId(well_formed(request.path_params["file_id"], FILE_PREFIX)))
        return Response() if request.method == "HEAD" else await self._file(request, visit, file)

    async def _begin(self, request: Request) -> Visit:
        visitor = replace(ANONYMOUS, address=address_of(request), request_id=request.state.request_id)
        return await self._visits.begin(visitor, request.path_params["token"])

    async def _file(self, request: Request, visit: Visit, file: File) -> Response:
        if request.method == "POST":
            return await self._sent_on(visit, file, 303)
        if visit.link.max_downloads is None:
            return await self._sent_on(visit, file, 302)
        page = pages.download_form(file.name, file.size, goes_to=self._link_origin)
        return answered(request, {"asksFor": "POST", "file": _file_data(file)}, page)

    async def _sent_on(self, visit: Visit, file: File, status: int) -> Response:
        return redirect(status, (await self._visits.fetch(visit, file)).url)

    def _password_form(self, request: Request, *, was_wrong: bool = False) -> Response:
        page = pages.password_form(was_wrong=was_wrong, goes_to=self._link_origin)
        if was_wrong and not wants_page(request):
            return error_answer(403, "WRONG_PASSWORD", "That is not the password.")
        return answered(request, {"asksFor": "PASSWORD"}, page)

    async def _list(self, request: Request, visit: Visit, folder: Folder) -> Response:
        after = request.query_params.get("after")
        shared = await self._visits.list_files(visit, PageRequest(MAX_PAGE_SIZE, after))
        page, here = shared.page, request.path_params["token"]
        cursor = page.resume or (page.cursor_of(page.nodes[-1]) if page.nodes else None)
        next_page = f"?after={quote(cursor)}" if page.has_next_page and cursor is not None else None
        entries = [(shared.paths[file.id], f"{here}/{file.id}", file.size) for file in page.nodes]
        files = [
            {**_file_data(file), "path": path, "href": href}
            for file, (path, href, _) in zip(page.nodes, entries, strict=True)
        ]
        data = {"folder": {"name": folder.name}, "files": files, "next": next_page}
        return answered(request, data, pages.file_list(folder.name or "Files", entries, next_page))

    def _has_pass(self, request: Request, visit: Visit) -> bool:
        """Only folders give one: the password of a file is asked for each time."""
        text = request.cookies.get(COOKIE, "")
        return self._passes.holder(_PURPOSE, text, now=self._clock()) == visit.link.id

    def _with_pass(self, visit: Visit, answer: Response) -> Response:
        end = min(visit.link.expires_at, self._clock() + PASS_LIFETIME)
        answer.set_cookie(
            COOKIE,
            self._passes.issue(_PURPOSE, visit.link.id, expires_at=end),
            path=answer.headers["location"],
            max_age=int((end - self._clock()).total_seconds()),
            secure=True,
            httponly=True,
            samesite="lax",  # a link is followed from elsewhere
        )
        return answer


def _is_speculative(request: Request) -> bool:
    """Fetched by a browser before anybody has asked for it. It is told to leave that alone: the visit itself will do.

    Sources: the Fetch standard, section "Sec-Purpose header"; before it, browsers had names of their own.
    """
    headers = request.headers
    said = [headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")]
    return any(word in value.lower() for value in said for word in ("prefetch", "prerender", "preview"))


def _own_address(request: Request) -> str:
    """Without query; a token has nothing that needs escaping."""
    return f"/s/{request.path_params['token']}"


async def _form(request: Request) -> Mapping[str, str] | None:
    """The fields of a form, the first of each name; nothing of a body that is no form. None: it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_SIZE:
            return None
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _not_taken(request: Request, status: int, code: str, told: str) -> Response:
    """The connection is not used again, for the rest of the form may still come.

    Source: RFC 9110, sections 15.5.9 and 15.5.14.
    """
    return refusal(request, status, code, told, told, {"connection": "close"})


def _file_data(file: File) -> dict[str, object]:
    return {"id": file.id, "name": file.name, "size": file.size, "contentType": file.content_type}
