"""Links: what one is, and what can be wished of it."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry

from graphql_api.model import delivery
from graphql_api.model import file as nouns
from graphql_api.model.delivery import ContentDisposition, LinkWish
from graphql_api.schema.context import Context
from graphql_api.schema.inputs import given
from graphql_api.schema.scalars import Url

DEFAULT_LINK_SECONDS = 3600

ExpiresIn = Annotated[
    int, strawberry.argument(description="Wanted lifetime in seconds; clamped to what policy allows.")
]
StartsAt = Annotated[datetime | None, strawberry.argument(description="Not valid before.")]
Disposition = Annotated[ContentDisposition, strawberry.argument(description="How a browser presents it.")]
Filename = Annotated[str | None, strawberry.argument(description="Name to save as; the file's name if absent.")]
IpAddress = Annotated[str | None, strawberry.argument(description="Only from this IPv4 address or CIDR range.")]


@strawberry.type(description="A signed CDN address.")
class SignedUrl:
    url: Url = strawberry.field(description="The address.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    key_pair_id: str = strawberry.field(description="Public id of the key that signed it.")
    has_custom_policy: bool = strawberry.field(description="Whether a custom (not canned) policy was needed.")


def link_to(
    file: nouns.File,
    context: Context,
    expires_in: int,
    starts_at: datetime | None,
    disposition: ContentDisposition,
    filename: str | None,
    ip_address: str | None,
) -> delivery.SignedUrl | None:
    """None if the viewer for whom ``file`` was found may not download it."""
    grant = context.services.delivery.grant(file)
    if grant is None:
        return None
    wish = LinkWish(timedelta(seconds=expires_in), given(starts_at), disposition, given(filename), given(ip_address))
    return context.services.delivery.sign(grant, wish)
