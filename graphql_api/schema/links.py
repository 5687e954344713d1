"""Links: what one is, and what can be wished of it."""

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import strawberry

from graphql_api.model import file as nouns
from graphql_api.model.delivery import ContentDisposition, Link, LinkWish, ReadGrant
from graphql_api.model.revocation import Markable
from graphql_api.schema.context import Context, Info
from graphql_api.schema.inputs import given
from graphql_api.schema.scalars import Url
from graphql_api.services.revocations import markable

DEFAULT_LINK_SECONDS = 3600

ExpiresIn = Annotated[
    int, strawberry.argument(description="Wanted lifetime in seconds; clamped to what policy allows, then rounded up.")
]
StartsAt = Annotated[datetime | None, strawberry.argument(description="Not valid before; not without a CDN.")]
Disposition = Annotated[
    ContentDisposition, strawberry.argument(description="How a browser presents it; HTML and XML are saved.")
]
Filename = Annotated[str | None, strawberry.argument(description="Name to save as; the file's name if absent.")]
IpAddress = Annotated[
    str | None, strawberry.argument(description="Only from this IPv4 address or CIDR range; not without a CDN.")
]


@strawberry.type(
    description="A signed address at the CDN, or at the store if there is none. For a while, asking again on the same "
    "terms gives the same one."
)
class SignedUrl:
    url: Url = strawberry.field(description="The address.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    refresh_after: datetime = strawberry.field(
        description="When to ask for the next one: between then and `expiresAt`, at a random moment. It is `expiresAt` "
        "where no link can live longer, because the right to the file ends then."
    )
    cache_key: str = strawberry.field(
        description="What a client's own cache should key on: the same for the same bytes, however addressed; opaque."
    )
    key_pair_id: str = strawberry.field(description="Public id of the key that signed it.")
    has_custom_policy: bool = strawberry.field(description="Whether a custom (not canned) policy was needed.")


def link_to(
    file: nouns.File,
    context: Context,
    expires_in: int,
    starts_at: datetime | None,
    disposition: str,
    filename: str | None,
    ip_address: str | None,
) -> Link | Awaitable[Link] | None:
    """None if the viewer for whom ``file`` was found may not download it. To be awaited where links say by what they
    can be revoked, and that was not read with the page; and where the key is not here: it signs for all fields of a
    page together.
    """
    delivery = context.services.delivery
    grant = delivery.grant(file)
    if grant is None:
        return None
    wish = _wish(context, expires_in, starts_at, disposition, filename, ip_address)
    if context.services.revocations.is_named(grant.terms):
        key = markable(grant)
        by = context.named.get(key)
        if by is None:
            return _revocable_link(grant, wish, context, key)
        grant = delivery.revocable(grant, by)
    return _signed(grant, wish, context)


def links_to(
    files: Sequence[nouns.File],
    context: Context,
    expires_in: int,
    starts_at: datetime | None,
    disposition: str,
    filename: str | None,
    ip_address: str | None,
) -> Sequence[Link | None] | None:
    """What ``link_to`` gives for each of them, in one step; None if any has to be awaited.

    Raises: InvalidInput, Unavailable: as the first of them would.
    """
    delivery, revocations = context.services.delivery, context.services.revocations
    if not delivery.signs_here:
        return None
    grants = [delivery.grant(file) for file in files]
    allowed = []
    for grant in grants:
        if grant is None:
            continue
        if revocations.is_named(grant.terms):
            by = context.named.get(markable(grant))
            if by is None:
                return None
            grant = delivery.revocable(grant, by)
        allowed.append(grant)
    if not allowed:
        return [None] * len(files)
    links = delivery.sign(allowed, _wish(context, expires_in, starts_at, disposition, filename, ip_address))
    if len(links) == len(files):
        return links
    signed = iter(links)
    return [None if grant is None else next(signed) for grant in grants]


def _wish(
    context: Context,
    expires_in: int,
    starts_at: datetime | None,
    disposition: str,
    filename: str | None,
    ip_address: str | None,
) -> LinkWish:
    asked = (expires_in, starts_at, disposition, filename, ip_address)
    wish = context.wishes.get(asked)
    if wish is None:  # a page asks a hundred times for the same
        wish = context.wishes[asked] = LinkWish(
            timedelta(seconds=expires_in),
            given(starts_at),
            ContentDisposition(disposition),
            given(filename),
            given(ip_address),
        )
    return wish


def _signed(grant: ReadGrant, wish: LinkWish, context: Context) -> Link | Awaitable[Link]:
    delivery = context.services.delivery
    if not delivery.signs_here:
        return context.remote_links.load((grant, wish))
    (link,) = delivery.sign((grant,), wish)
    return link


async def _revocable_link(grant: ReadGrant, wish: LinkWish, context: Context, key: Markable) -> Link:
    by = await context.revocable_by.load(key)
    link = _signed(context.services.delivery.revocable(grant, by), wish, context)
    return link if isinstance(link, Link) else await link


async def name_links(files: Sequence[nouns.File], info: Info) -> None:
    """Read with a page by what links to its files can be revoked, if it may be asked for any: so a page of a hundred
    waits once.
    """
    context = info.context
    document = info._raw_info.operation.loc
    if context.services.revocations.is_on and (
        document is None or "signedUrl" in document.source.body or "signedPrefix" in document.source.body
    ):
        grants = map(context.services.delivery.grant, files)
        wanted = [markable(grant) for grant in grants if grant is not None]
        context.named.update(await context.services.revocations.parameters(context.principal, wanted))
