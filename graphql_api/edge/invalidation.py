"""A CloudFront distribution drops what it has cached.

The credentials need ``cloudfront:CreateInvalidation`` on the distribution.

Source: CloudFront API reference, "CreateInvalidation"; developer guide, "Invalidate files to remove content".
"""

from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from graphql_api.edge.control_plane import ControlPlane

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_cloudfront import CloudFrontClient

AT_ONCE: Final = 4  # requests


class CloudFrontCache:
    """An ``EdgeCache``: that of the distribution with this id. The rest is as for ``ControlPlane``."""

    def __init__(
        self,
        *,
        distribution_id: str,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        def connect(session: boto3.Session, config: Config) -> "CloudFrontClient":
            return session.client("cloudfront", endpoint_url=endpoint_url, config=config)

        self._distribution_id = distribution_id
        self._control = ControlPlane(
            connect,
            endpoint_url=endpoint_url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            at_once=AT_ONCE,
        )

    async def invalidate(self, path: str, *, reference: str) -> None:
        """See ``EdgeCache``."""

        def create(client: "CloudFrontClient") -> None:
            client.create_invalidation(
                DistributionId=self._distribution_id,
                InvalidationBatch={"Paths": {"Quantity": 1, "Items": [path]}, "CallerReference": reference},
            )

        await self._control.ask("invalidate", create)

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        self._control.close()
