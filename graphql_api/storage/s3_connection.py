"""The way to one bucket: its address, whose credentials are used, and boto3 in threads of its own."""

import ipaddress
import re
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from graphql_api.errors import ConfigurationError
from graphql_api.model.hosts import is_on_this_machine
from graphql_api.storage.credentials import CredentialSource
from graphql_api.storage.s3_failures import FAILURES, unavailable

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client

AddressingStyle = Literal["virtual", "path"]
T = TypeVar("T")

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 10.0  # seconds between two bytes
TOTAL_ATTEMPTS: Final = 2  # a request and one retry
MAX_CONNECTIONS: Final = 32  # and as many threads, so that a store that hangs takes none from others

_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


class S3Connection:
    """One bucket, from one process. Opens no connection before it is used; the parameters are those of ``S3Store``."""

    def __init__(
        self,
        *,
        bucket: str,
        region: str,
        endpoint_url: str | None,
        addressing_style: AddressingStyle,
        access_key_id: str | None,
        secret_access_key: str | None,
    ) -> None:
        self._endpoint_url = endpoint_url or _amazon_endpoint(region)
        self._style = _effective_style(addressing_style, bucket, self._endpoint_url)
        self.base_url = _base_url(self._endpoint_url, bucket, self._style)
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=region)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self.credentials = CredentialSource(self._session)
        self._limiter = anyio.CapacityLimiter(MAX_CONNECTIONS)
        self._clients: dict[float, S3Client] = {}
        self._lock = Lock()

    async def ask(self, operation: str, request: Callable[["S3Client"], T], *, read_timeout: float = READ_TIMEOUT) -> T:
        """What ``request`` makes of a client, in a thread. What boto3 raises is logged, and ``Unavailable`` raised."""
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._client(read_timeout)), limiter=self._limiter)
        except FAILURES as error:
            raise unavailable(operation, error) from error

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        for client in self._clients.values():
            client.close()

    def _client(self, read_timeout: float) -> "S3Client":
        """The one with this timeout. Making it reads files for 0.1 s and may look for credentials, hence late."""
        with self._lock:
            if read_timeout not in self._clients:
                self._clients[read_timeout] = self._session.client(
                    "s3",
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        signature_version="s3v4",
                        s3={"addressing_style": self._style},
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=read_timeout,
                        retries={"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
                        max_pool_connections=MAX_CONNECTIONS,
                        # A store on this machine is never behind a proxy, whatever HTTP_PROXY says.
                        proxies={} if is_on_this_machine(self._endpoint_url) else None,
                        # Stores other than Amazon's may not know the checksums that boto adds of its own accord.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._clients[read_timeout]


def _amazon_endpoint(region: str) -> str:
    """The regional endpoint: the global one redirects, and a browser cannot follow that with a presigned PUT."""
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _ip_address(endpoint_url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(urlsplit(endpoint_url).hostname or "")
    except ValueError:
        return None


def _effective_style(style: AddressingStyle, bucket: str, endpoint_url: str) -> AddressingStyle:
    """As boto chooses, so that its requests and ours go to the same place."""
    return style if _DNS_LABEL.fullmatch(bucket) and not _ip_address(endpoint_url) else "path"


def _base_url(endpoint_url: str, bucket: str, style: AddressingStyle) -> str:
    if style == "path":
        return f"{endpoint_url.rstrip('/')}/{bucket}"
    return endpoint_url.replace("://", f"://{bucket}.", 1)
