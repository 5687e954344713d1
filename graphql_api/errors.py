"""The one error tree: raised where the failure is known, translated once per face (GraphQL, HTTP status, exit code).

::

    DeliveryError                 everything this product expects to go wrong
    ├── InvalidInput              the caller's values are not acceptable; lists every fault found
    ├── NotFound                  absent, or the caller may not know that it exists
    ├── Forbidden                 the caller may see it, but not do this
    ├── Conflict                  something is in the way, such as a taken name
    ├── QuotaExceeded             there is no room for so many bytes
    ├── UploadStateConflict       the upload is not in a state that allows this
    │   └── BytesMissing          the store does not hold the bytes yet: send them, then ask again
    ├── UploadMismatch            the store holds something else than was promised, or malware; the upload has failed
    ├── RateLimited               too much, or too often in vain: come back later
    ├── Unauthenticated           the credentials are bad (never: absent)
    ├── UnreadableLog             a log file of the edge is damaged, not all there, or something else
    ├── EdgeRefused               the CDN does not let through what it should
    ├── Unavailable               a part we depend on does not answer; nothing is half-done, ask again
    └── ConfigurationError        the operator's settings, keys or schema are at fault; lists every fault found

``path`` names the input at fault relative to the mutation's input object, such as ``("filename",)``; empty when the
failure is not about one value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the nouns import nothing but this module, so the names are needed by the type checker only
    from graphql_api.model.quota import Quota
    from graphql_api.model.upload import UploadFailure, UploadStatus


class DeliveryError(Exception):
    """Base of every expected failure. ``message`` is for people; it holds no secret and nothing of another user."""

    code = "ERROR"

    def __init__(self, message: str, *, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)


@dataclass(frozen=True, slots=True)
class InputFault:
    """One unacceptable value: what is wrong and where it stands in the input."""

    message: str
    path: tuple[str, ...] = ()


class InvalidInput(DeliveryError):
    """One or more values are not acceptable; ``faults`` has at least one entry."""

    code = "INVALID"

    def __init__(self, *faults: InputFault) -> None:
        super().__init__("; ".join(fault.message for fault in faults), path=faults[0].path)
        self.faults = faults


class NotFound(DeliveryError):
    """It does not exist, or the caller may not know that it does: the two look exactly alike."""

    code = "NOT_FOUND"


class Forbidden(DeliveryError):
    """The caller may see the thing but lacks ``required_permission`` (a ``Permission`` name)."""

    code = "FORBIDDEN"

    def __init__(self, message: str, *, required_permission: str, path: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.required_permission = required_permission


class Conflict(DeliveryError):
    """Something is in the way. ``conflicting_id`` is set only when the caller may see what it is."""

    code = "CONFLICT"

    def __init__(self, message: str, *, conflicting_id: str | None = None, path: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.conflicting_id = conflicting_id


class QuotaExceeded(DeliveryError):
    """So many bytes do not fit. ``quota``: what it is and what is taken of it, if the caller may know."""

    code = "QUOTA_EXCEEDED"

    def __init__(self, message: str, *, quota: "Quota | None" = None, path: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.quota = quota


class UploadStateConflict(DeliveryError):
    """The upload's ``status`` does not allow this."""

    code = "UPLOAD_STATE"

    def __init__(self, message: str, *, status: "UploadStatus", path: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.status = status


class BytesMissing(UploadStateConflict):
    """The store does not hold the bytes yet, or not all parts. The upload stays PENDING: send them and ask again.

    ``missing_parts``: numbers, the first thousand at most; empty for an upload that is not sent in parts.
    """

    def __init__(
        self, message: str, *, status: "UploadStatus", path: Sequence[str] = (), missing_parts: Sequence[int] = ()
    ) -> None:
        super().__init__(message, status=status, path=path)
        self.missing_parts = tuple(missing_parts)


class UploadMismatch(DeliveryError):
    """What the store holds is not what was promised, or was not called clean. The upload is FAILED and its bytes are
    being removed; one that was COMPLETED before a checksum was told that contradicts it stays.
    """

    code = "UPLOAD_MISMATCH"

    def __init__(self, failure: "UploadFailure", *, path: Sequence[str] = ()) -> None:
        super().__init__(failure.message, path=path)
        self.failure = failure


class RateLimited(DeliveryError):
    """Too much was asked for, or too often in vain; nothing was looked at. ``retry_after``, which is positive: until it
    may be asked again.
    """

    code = "RATE_LIMITED"

    def __init__(self, message: str = "Too much was asked for; try again later.", *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def seconds(self) -> int:
        """The wait in whole seconds, as ``Retry-After`` says it: RFC 9110, section 10.2.3."""
        return math.ceil(self.retry_after.total_seconds())


class Unauthenticated(DeliveryError):
    """The bearer token is malformed, expired, for somebody else, or not signed by whom we trust."""

    code = "UNAUTHENTICATED"


class UnreadableLog(DeliveryError):
    """A log file of the edge is damaged, not all there, or no log of a kind that is read. Nothing of it was counted."""

    code = "UNREADABLE_LOG"


class EdgeRefused(DeliveryError):
    """The CDN answers with ``status`` where it should let a viewer through. ``edge_code``: its own word for why, such
    as ``InvalidKey``; empty if it gave none.
    """

    code = "EDGE_REFUSED"

    def __init__(self, message: str, *, status: int, edge_code: str, path: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.status = status
        self.edge_code = edge_code


class Unavailable(DeliveryError):
    """``part`` (such as "database" or "store") does not answer. Nothing is half-done; asking again is safe.

    Mostly nothing was done. Only a connection that is lost while a transaction commits leaves open whether it did.
    """

    code = "UNAVAILABLE"

    def __init__(self, part: str) -> None:
        super().__init__(f"The {part} does not answer at the moment; try again shortly.")
        self.part = part


class ConfigurationError(DeliveryError):
    """The operator must change something before the service can start; ``faults`` are one line each."""

    code = "CONFIGURATION"

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
