"""A CloudFront KeyValueStore, from which the function that CloudFront runs reads what is revoked.

The credentials need ``cloudfront-keyvaluestore:DescribeKeyValueStore`` and ``cloudfront-keyvaluestore:UpdateKeys`` on
the store. Requests are signed with SigV4A, for which botocore needs awscrt. boto3 runs in threads.

Source: CloudFront API reference, "Amazon CloudFront KeyValueStore".
"""

import logging
from collections.abc import Callable, Collection, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.revocation import Mark

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_cloudfront_keyvaluestore import CloudFrontKeyValueStoreClient

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 10.0  # seconds between two bytes
REGION: Final = "us-east-1"  # any of the partition: the service is global, and the signature is good for all regions

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)


class CloudFrontKeyValueStore:
    """A ``RevocationStore``: the KeyValueStore of this ARN.

    ``endpoint_url`` None means Amazon's. Without ``access_key_id`` the credentials are those of the AWS default chain.
    Opens no connection before it is used; raises ``ConfigurationError`` for an AWS profile that does not exist.
    """

    def __init__(
        self,
        *,
        arn: str,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self._arn = arn
        self._endpoint_url = endpoint_url
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=REGION)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._limiter = anyio.CapacityLimiter(1)  # of several writers at once all but one would fail
        self._client: CloudFrontKeyValueStoreClient | None = None
        self._lock = Lock()

    async def version(self) -> str:
        """See ``RevocationStore``."""

        def describe(client: "CloudFrontKeyValueStoreClient") -> str:
            return client.describe_key_value_store(KvsARN=self._arn)["ETag"]

        return await self._ask("describe", describe)

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        """See ``RevocationStore``."""

        def update(client: "CloudFrontKeyValueStoreClient") -> str | None:
            try:
                answer = client.update_keys(
                    KvsARN=self._arn,
                    IfMatch=version,
                    Puts=[{"Key": mark, "Value": str(number)} for mark, number in put.items()],
                    Deletes=[{"Key": mark} for mark in remove],
                )
            except client.exceptions.ConflictException:
                return None
            return answer["ETag"]

        return await self._ask("update", update)

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        if self._client is not None:
            self._client.close()

    async def _ask(self, operation: str, request: Callable[["CloudFrontKeyValueStoreClient"], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._connected()), limiter=self._limiter)
        except _FAILURES as error:
            cause = type(error).__name__
            if isinstance(error, ClientError):
                cause = f"{error.response['Error'].get('Code')}"
            log.warning("edge_unavailable operation=%s error=%s", operation, cause)
            raise Unavailable("edge") from error

    def _connected(self) -> "CloudFrontKeyValueStoreClient":
        """The one client of this store. Making it reads files and may look for credentials, hence late."""
        with self._lock:
            if self._client is None:
                self._client = self._session.client(
                    "cloudfront-keyvaluestore",
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        retries={"mode": "standard", "total_max_attempts": 1},  # whoever asks counts its attempts
                        proxies=None if self._endpoint_url is None else {},
                    ),
                )
                if self._endpoint_url is not None:
                    events = self._client.meta.events
                    events.register_first("request-created.cloudfront-keyvaluestore", self._to_endpoint)
            return self._client

    def _to_endpoint(self, request: AWSRequest, **_event: object) -> None:
        """boto3 puts the account's number before every host; a service that is not Amazon's has one address."""
        request.url = f"{self._endpoint_url}{urlsplit(str(request.url)).path}"
