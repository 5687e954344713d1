"""What the keys at AWS have in common: whose credentials are used, one client for each region, boto3 in threads."""

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from graphql_api.errors import ConfigurationError, DeliveryError, Unavailable
from graphql_api.model.hosts import is_on_this_machine

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 5.0  # seconds between two bytes
TOTAL_ATTEMPTS: Final = 3  # a request and two retries
AT_ONCE: Final = 16
"""Requests under way, and as many threads. AWS limits how often an account may ask in a second, so more would only be
throttled. Source: AWS KMS developer guide, "Request quotas".
"""

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)

# What trying again can heal, though AWS answers 400. Everything else below 500 is a wrong name or a missing right.
_PASSING: Final = frozenset(
    {
        *("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"),
        *("LimitExceededException", "RequestTimeout", "RequestTimeoutException", "ExpiredTokenException"),
        *("DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException"),
    }
)


class AwsAccess:
    """``endpoint_url`` None means Amazon's. Without ``access_key_id`` the credentials are those of the AWS default
    chain. Opens no connection before it is used. Raises: ConfigurationError: an AWS profile that does not exist.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self._endpoint_url = endpoint_url
        try:
            self._session = boto3.Session(access_key_id, secret_access_key)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    async def ask(self, arn: str, request: Callable[[Any], T]) -> T:
        """What ``request`` makes of a client of the service and region that ``arn`` names, in a thread.

        Raises: Unavailable("key source"). ConfigurationError: AWS refuses, with the code that it gave.
        """
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._client(arn)), limiter=self._limiter)
        except _FAILURES as error:
            raise _translated(arn, error) from None  # its text and context may hold what was sent and received

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        for client in self._clients.values():
            client.close()

    def _client(self, arn: str) -> Any:
        service, region = arn.split(":")[2:4]
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.client(
                    service,  # type: ignore[call-overload]  # the stubs know literals only
                    region_name=region,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        retries={"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
                        max_pool_connections=AT_ONCE,
                        # What answers on this machine is never behind a proxy, whatever HTTP_PROXY says.
                        proxies={} if is_on_this_machine(self._endpoint_url) else None,
                    ),
                )
            return self._clients[service, region]


def _translated(arn: str, error: Exception) -> DeliveryError:
    code = type(error).__name__
    is_ours = isinstance(error, NoCredentialsError)
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", code))
        is_ours = error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 and code not in _PASSING
    if is_ours:
        return ConfigurationError(f"the signing key {arn} cannot be used: {code}")
    log.warning("key_source_unavailable key=%s error=%s", arn, code)
    return Unavailable("key source")
