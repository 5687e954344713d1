"""From a grant to a signed address: arithmetic only, so that a page of a hundred costs no database and no network."""

from datetime import timedelta

from graphql_api.access import read_grant
from graphql_api.model.delivery import LinkWish, ReadGrant, SignedUrl
from graphql_api.model.file import File
from graphql_api.model.principal import Principal
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.signing import UrlSigner

SHORTEST_LIFETIME = timedelta(seconds=1)


class Delivery:
    """Signs links. ``max_lifetime`` bounds every one of them."""

    def __init__(self, signer: UrlSigner, clock: Clock, *, max_lifetime: timedelta) -> None:
        self._signer = signer
        self._clock = clock
        self._max_lifetime = max_lifetime

    def grant(self, principal: Principal, file: File) -> ReadGrant | None:
        """The proof that ``principal`` may download ``file``, or None."""
        return read_grant(principal, file)

    def sign(self, grant: ReadGrant, wish: LinkWish) -> SignedUrl:
        """A link to the granted file. The lifetime counts from now and is clamped; ``expires_at`` tells.

        Raises: InvalidInput: at ``ipAddress`` or ``startsAt``, when the CDN cannot bind it.
        """
        file = grant.file
        lifetime = max(SHORTEST_LIFETIME, min(wish.lifetime, self._max_lifetime))
        query = [("response-content-disposition", content_disposition(wish.disposition, wish.filename or file.name))]
        if file.content_type != file.stored_content_type:
            query.append(("response-content-type", file.content_type))
        return self._signer.sign(
            "/" + file.object_key,
            query,
            expires_at=(self._clock() + lifetime).replace(microsecond=0),
            starts_at=wish.starts_at,
            ip_range=wish.ip_range,
        )
