"""The way to CloudFront's control planes: whose credentials are used, and boto3 in threads of its own."""

import logging
from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError, Unavailable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 10.0  # seconds between two bytes
REGION: Final = "us-east-1"  # any of the partition for what is signed with SigV4A; the one control plane for the rest

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)


class _Client(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Client)
T = TypeVar("T")


class ControlPlane(Generic[C]):
    """The one client that ``make`` makes of a session and its configuration, late: that reads files and may look for
    credentials. At most ``at_once`` requests are under way.

    ``endpoint_url`` None means Amazon's. Without ``access_key_id`` the credentials are those of the AWS default chain.
    Opens no connection before it is used; raises ``ConfigurationError`` for an AWS profile that does not exist.
    """

    def __init__(
        self,
        make: Callable[[boto3.Session, Config], C],
        *,
        endpoint_url: str | None,
        access_key_id: str | None,
        secret_access_key: str | None,
        at_once: int,
    ) -> None:
        self._make = make
        self._endpoint_url = endpoint_url
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=REGION)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._limiter = anyio.CapacityLimiter(at_once)
        self._client: C | None = None
        self._lock = Lock()

    async def ask(self, operation: str, request: Callable[[C], T]) -> T:
        """What ``request`` makes of the client, in a thread. What boto3 raises is logged; then ``Unavailable``."""
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._connected()), limiter=self._limiter)
        except _FAILURES as error:
            cause = type(error).__name__
            if isinstance(error, ClientError):
                cause = f"{error.response['Error'].get('Code')}"
            log.warning("edge_unavailable operation=%s error=%s", operation, cause)
            raise Unavailable("edge") from error

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        if self._client is not None:
            self._client.close()

    def _connected(self) -> C:
        with self._lock:
            if self._client is None:
                config = Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": 1},  # whoever asks counts its attempts
                    proxies=None if self._endpoint_url is None else {},
                )
                self._client = self._make(self._session, config)
            return self._client
