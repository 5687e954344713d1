"""From a grant to a signed address: arithmetic only, so that a page of a hundred costs no database and no network."""

from datetime import datetime, timedelta
from ipaddress import IPv4Network

from graphql_api.access import read_grant, shortened
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.delivery import ContentDisposition, LinkWish, ReadGrant, SignedUrl
from graphql_api.model.file import File
from graphql_api.model.rule import ReadTerms
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.signing import UrlSigner

SHORTEST_LIFETIME = timedelta(seconds=1)


class Delivery:
    """Signs links. ``max_lifetime`` bounds every one of them; ``redirect_lifetime`` those that somebody is sent on to,
    and who keeps one does not keep the file.
    """

    def __init__(
        self, signer: UrlSigner, clock: Clock, *, max_lifetime: timedelta, redirect_lifetime: timedelta
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._max_lifetime = max_lifetime
        self._redirect_lifetime = redirect_lifetime

    def grant(self, file: File) -> ReadGrant | None:
        """The proof that the one for whom ``file`` was found may download it, or None."""
        return read_grant(file)

    def sign(self, grant: ReadGrant, wish: LinkWish) -> SignedUrl:
        """A link to the granted file, on the grant's terms. The lifetime counts from now and is clamped; ``expires_at``
        tells, and is never past the end of what the terms rest on.

        Raises: InvalidInput: at ``ipAddress`` or ``startsAt``, when the CDN cannot bind it or the terms forbid it.
        """
        file, terms = grant.file, grant.terms
        disposition = ContentDisposition.ATTACHMENT if terms.forces_download else wish.disposition
        query = [("response-content-disposition", content_disposition(disposition, wish.filename or file.name))]
        if file.content_type != file.stored_content_type:
            query.append(("response-content-type", file.content_type))
        return self._signer.sign(
            "/" + file.object_key,
            query,
            expires_at=self._end(terms, wish.lifetime),
            starts_at=wish.starts_at,
            ip_range=wish.ip_range if terms.ip_range is None else _within(terms.ip_range, wish.ip_range),
        )

    def sign_briefly(self, grant: ReadGrant, *, until: datetime | None = None) -> SignedUrl:
        """A link of seconds, on the grant's terms, to redirect to; it ends no later than ``until``."""
        lifetime = self._redirect_lifetime
        return self.sign(shortened(grant, max_lifetime=lifetime, until=until), LinkWish(lifetime))

    def _end(self, terms: ReadTerms, wished: timedelta) -> datetime:
        longest = self._max_lifetime if terms.max_lifetime is None else min(self._max_lifetime, terms.max_lifetime)
        end = self._clock() + max(SHORTEST_LIFETIME, min(wished, longest))
        return (end if terms.until is None else min(end, terms.until)).replace(microsecond=0)


def _within(bound: str, wished: str | None) -> str:
    """What both allow: the terms bind the link to ``bound``. Raises: InvalidInput: nothing does."""
    if wished is None:
        return bound
    ours = IPv4Network(bound)
    try:
        theirs = IPv4Network(wished)
    except ValueError:
        return wished  # the signer says what is wrong with it
    if theirs.subnet_of(ours):
        return wished
    if ours.subnet_of(theirs):
        return bound
    raise InvalidInput(InputFault("the rule that allows this link binds it to another address", ("ipAddress",)))
