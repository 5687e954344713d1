"""A CloudFront distribution drops what it has cached.

The credentials need ``cloudfront:CreateInvalidation`` on the distribution. boto3 runs in threads.

Source: CloudFront API reference, "CreateInvalidation"; developer guide, "Invalidate files to remove content".
"""

import logging
from threading import Lock
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_cloudfront import CloudFrontClient

log = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 10.0  # seconds between two bytes
REGION: Final = "us-east-1"  # where the one control plane is

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)


class CloudFrontCache:
    """An ``EdgeCache``: that of the distribution with this id.

    ``endpoint_url`` None means Amazon's. Without ``access_key_id`` the credentials are those of the AWS default chain.
    Opens no connection before it is used; raises ``ConfigurationError`` for an AWS profile that does not exist.
    """

    def __init__(
        self,
        *,
        distribution_id: str,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self._distribution_id = distribution_id
        self._endpoint_url = endpoint_url
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=REGION)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._limiter = anyio.CapacityLimiter(4)
        self._client: CloudFrontClient | None = None
        self._lock = Lock()

    async def invalidate(self, path: str, *, reference: str) -> None:
        """See ``EdgeCache``."""

        def create() -> None:
            self._connected().create_invalidation(
                DistributionId=self._distribution_id,
                InvalidationBatch={"Paths": {"Quantity": 1, "Items": [path]}, "CallerReference": reference},
            )

        try:
            await anyio.to_thread.run_sync(create, limiter=self._limiter)
        except _FAILURES as error:
            cause = type(error).__name__
            if isinstance(error, ClientError):
                cause = f"{error.response['Error'].get('Code')}"
            log.warning("edge_unavailable operation=invalidate error=%s", cause)
            raise Unavailable("edge") from error

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        if self._client is not None:
            self._client.close()

    def _connected(self) -> "CloudFrontClient":
        """The one client. Making it reads files and may look for credentials, hence late."""
        with self._lock:
            if self._client is None:
                self._client = self._session.client(
                    "cloudfront",
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        retries={"mode": "standard", "total_max_attempts": 1},  # whoever asks counts its attempts
                        proxies=None if self._endpoint_url is None else {},
                    ),
                )
            return self._client
