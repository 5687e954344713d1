"""Cookies that open a bundle."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry

from graphql_api.model.delivery import BundleLink, CookieScope, LinkWish, SameSite
from graphql_api.schema.context import Info
from graphql_api.schema.errors import attempt
from graphql_api.schema.ids import file_id
from graphql_api.schema.inputs import ABSENT, INPUT, given
from graphql_api.schema.links import DEFAULT_LINK_SECONDS
from graphql_api.schema.payloads import Payload
from graphql_api.schema.scalars import Url


@strawberry.type(description="One cookie, with the attributes that a browser has to keep it by; no script may read it.")
class SignedCookie:
    name: str = strawberry.field(description="Name, such as CloudFront-Policy.")
    value: str = strawberry.field(description="To be used as it is.")
    domain: str | None = strawberry.field(description="Domain, with all hosts below; null for one host only.")
    path: str = strawberry.field(description="Path of the bundle; the cookie is for what is below.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    is_secure: bool = strawberry.field(description="Whether it is sent over https only.")
    same_site: SameSite = strawberry.field(description="From which pages it is sent.")


@strawberry.input(description="What the cookies open.")
class CreateSignedCookiesInput:
    file_id: strawberry.ID = strawberry.field(description="A file that is a bundle; a link is what opens others.")
    expires_in: int = strawberry.field(
        description="Wanted lifetime in seconds; clamped to what policy allows, then rounded up.",
        default=DEFAULT_LINK_SECONDS,
    )
    ip_address: str | None = strawberry.field(description="Only from this IPv4 address or CIDR range.", default=ABSENT)


@strawberry.type(description="The cookies.")
class CreateSignedCookiesPayload(Payload):
    cookies: list[SignedCookie] | None = strawberry.field(
        description="Cookies; null on error. An answer over HTTP sets them as well; over a WebSocket or as an event "
        "none can.",
        default=None,
    )
    resource_url: Url | None = strawberry.field(
        description="They open what begins so; it ends with a slash, and the path of an entry follows. Null on error.",
        default=None,
    )
    main_url: Url | None = strawberry.field(
        description="Where a player begins; without cookies it opens nothing. Null on error.", default=None
    )
    expires_at: datetime | None = strawberry.field(description="When they stop working; null on error.", default=None)
    refresh_after: datetime | None = strawberry.field(
        description="When to ask for the next ones; null on error.", default=None
    )


@strawberry.type
class BundleMutations:
    @strawberry.mutation(
        description="Cookies that open all entries of a bundle, for players that go from one to the next by "
        "themselves; also set on the answer."
    )
    async def create_signed_cookies(
        self, info: Info, input: Annotated[CreateSignedCookiesInput, INPUT]
    ) -> CreateSignedCookiesPayload | None:
        context = info.context.for_mutation()
        links = context.services.bundle_links
        wish = LinkWish(timedelta(seconds=input.expires_in), ip_range=given(input.ip_address))
        signed, errors = await attempt(links.sign(context.principal, file_id(input.file_id), wish))
        if signed is None:
            return CreateSignedCookiesPayload(user_errors=errors)
        _, link = signed
        context.cookies.append(link)
        return CreateSignedCookiesPayload(
            cookies=_cookies(link, links.cookies),
            resource_url=Url(link.base_url),
            main_url=Url(link.url.partition("?")[0]),
            expires_at=link.expires_at,
            refresh_after=link.refresh_after,
        )


def _cookies(link: BundleLink, scope: CookieScope) -> list[SignedCookie]:
    return [
        SignedCookie(
            name=cookie.name,
            value=cookie.value,
            domain=scope.domain,
            path=link.path,
            expires_at=link.expires_at,
            is_secure=scope.is_secure,
            same_site=scope.same_site,
        )
        for cookie in link.cookies
    ]
