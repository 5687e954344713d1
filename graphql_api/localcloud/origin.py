"""What stands behind the edge: the bucket, read with the edge's own key as an origin access control does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from graphql_api.errors import Unavailable
from graphql_api.localcloud.store import StoreCredentials, connect

if TYPE_CHECKING:  # stubs are installed for the checks only
    from botocore.response import StreamingBody

PASSED_ON: Final = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "expires",
        "last-modified",
    }
)
"""Headers of the store's answer that reach the viewer; the store's own (SeaweedFS's ``Seaweed-*``) do not."""

_TEXT_CONDITIONS: Final = {"range": "Range", "if-match": "IfMatch", "if-none-match": "IfNoneMatch"}
_DATE_CONDITIONS: Final = {"if-modified-since": "IfModifiedSince", "if-unmodified-since": "IfUnmodifiedSince"}
_OVERRIDES: Final = {
    "response-content-disposition": "ResponseContentDisposition",
    "response-content-type": "ResponseContentType",
}


@dataclass(frozen=True, slots=True)
class OriginRequest:
    """A GET, or a HEAD. ``headers`` in lower case and ``query`` decoded: what the origin does not know, it ignores."""

    key: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    is_head: bool = False


class OriginBody(Protocol):
    """Bytes on their way; blocking. ``close`` at any time, also before the end."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end. Raises ``Unavailable("store")`` when they stop coming."""

    def close(self) -> None:
        """Let go of the connection."""


@dataclass(frozen=True, slots=True)
class OriginResponse:
    """Status and headers as the origin sent them; HEAD, 304 and errors have no ``body``, errors have S3's code."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: OriginBody | None = None
    error_code: str | None = None


class Origin(Protocol):
    """Where an edge fetches from."""

    def fetch(self, request: OriginRequest) -> OriginResponse:
        """Blocking. Raises ``Unavailable("store")`` when the origin does not answer."""


class S3Origin:
    """Fetches from one ``bucket`` with one identity's key. Thread-safe."""

    def __init__(self, endpoint_url: str, bucket: str, credentials: StoreCredentials) -> None:
        self._client = connect(endpoint_url, credentials)
        self._bucket = bucket

    def fetch(self, request: OriginRequest) -> OriginResponse:
        """See ``Origin.fetch``."""
        call: Any = self._client.head_object if request.is_head else self._client.get_object  # keywords vary
        try:
            found = call(Bucket=self._bucket, Key=request.key, **_parameters(request))
        except ClientError as error:
            return _error_response(error)
        except ParamValidationError:  # an empty key: the address of the bucket, whose list the edge may not read
            return OriginResponse(403, (), error_code="AccessDenied")
        except BotoCoreError as error:
            raise Unavailable("store") from error
        metadata = found["ResponseMetadata"]
        return OriginResponse(
            metadata["HTTPStatusCode"],
            _passed_on(metadata["HTTPHeaders"]),
            None if request.is_head else S3Body(found["Body"]),
        )

    def close(self) -> None:
        """Let go of pooled connections."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class S3Body:
    """boto3's body with our errors."""

    stream: "StreamingBody"

    def read(self, size: int) -> bytes:
        """See ``OriginBody.read``."""
        try:
            return self.stream.read(size)
        except (BotoCoreError, OSError) as error:
            raise Unavailable("store") from error

    def close(self) -> None:
        """See ``OriginBody.close``."""
        self.stream.close()


def _parameters(request: OriginRequest) -> dict[str, str | datetime]:
    chosen: dict[str, str | datetime] = {}
    chosen |= {ours: request.headers[name] for name, ours in _TEXT_CONDITIONS.items() if name in request.headers}
    chosen |= {ours: request.query[name] for name, ours in _OVERRIDES.items() if name in request.query}
    for name, ours in _DATE_CONDITIONS.items():
        try:
            chosen[ours] = parsedate_to_datetime(request.headers[name])
        except (KeyError, ValueError):  # a date that is none is ignored: RFC 9110, 13.1.3
            continue
    return chosen


def _passed_on(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers.items() if name in PASSED_ON)


def _error_response(error: ClientError) -> OriginResponse:
    metadata = error.response["ResponseMetadata"]
    status = metadata["HTTPStatusCode"]
    headers = _passed_on(metadata["HTTPHeaders"])
    if status == 304:
        return OriginResponse(304, headers)
    # The length and type of the store's error body, which is not passed on; without it the code is all there is.
    headers = tuple(pair for pair in headers if pair[0] not in ("content-length", "content-type"))
    return OriginResponse(status, headers, error_code=error.response["Error"]["Code"])
