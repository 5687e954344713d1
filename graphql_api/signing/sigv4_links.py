"""Download links at the store itself, for a service without a CDN: presigned GETs that stay the same for a while.

A presigned request says when it was signed and for how long it is good from then on. So that equal links are equal byte
for byte, that moment is not the time of asking but a fixed span before the link's end.

Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters": ``X-Amz-Expires`` counts from
``X-Amz-Date``, and GetObject's ``response-content-*`` parameters are signed like any other.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.delivery import SignedUrl
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials, whole_seconds


class StoreLinkSigner:
    """A ``UrlSigner`` with the credentials of a store. ``longest``: no link may end later than so long from now.

    Raises ``ValueError`` when ``longest`` is below 1 s or above 7 days, which is as long as S3 allows.
    """

    def __init__(self, presigner: QueryPresigner, credentials: StoreCredentials, *, longest: timedelta) -> None:
        self._presigner = presigner
        self._credentials = credentials
        self._longest = timedelta(seconds=whole_seconds(longest))

    @property
    def key_pair_id(self) -> str:
        """The id of the access key, which stands in every link."""
        return self._credentials.access_key_id

    def sign(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
        below: str | None = None,
    ) -> SignedUrl:
        """See ``UrlSigner``. A store binds neither ``ip_range`` nor ``starts_at``: both raise ``InvalidInput``.

        It opens nothing ``below``; to ask for that is a mistake of ours: ``ValueError``.
        """
        if below is not None:
            raise ValueError("A presigned request opens one object.")
        faults = [
            InputFault("no CDN is in use, and the store cannot bind a link to this", (name,))
            for name, value in (("startsAt", starts_at), ("ipAddress", ip_range))
            if value is not None
        ]
        if faults:
            raise InvalidInput(*faults)
        end = expires_at.astimezone(UTC).replace(microsecond=0)
        url = self._presigner.presign(
            "GET",
            path,
            query=query,
            now=end - self._longest,  # never to come, because no link ends later than ``longest`` from now
            lifetime=self._longest,
            credentials=self._credentials,
        )
        return SignedUrl(url, end, self.key_pair_id, has_custom_policy=False)
