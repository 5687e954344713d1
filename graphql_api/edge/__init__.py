"""A CDN's control plane behind protocols: the store from which its function reads what is revoked."""

from collections.abc import Collection, Mapping
from typing import Final, Protocol

from graphql_api.model.revocation import Mark

MAX_CHANGES: Final = 50
"""Of one request. Source: CloudFront developer guide, "Quotas on key value stores"."""


class RevocationStore(Protocol):
    """Numbers by mark, as the edge's function sees them a few seconds later.

    Both methods raise ``Unavailable("edge")`` when it does not answer, or refuses for any other reason.
    """

    async def version(self) -> str:
        """Which state it is in; opaque."""

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        """All at once or nothing; at most ``MAX_CHANGES``. The version after it; None, and nothing is done, when it is
        in another state than ``version``: somebody else has changed it.
        """
