"""What goes wrong on the client's side.

::

    ClientError
    ├── ServiceGone        the API does not answer, or does not take the token: nothing else will work either
    └── TransferFailed     this file or folder does not arrive; others may
        ├── Busy           nobody knows, or not now: the same again after a pause
        ├── FileChanged    the local file is not what it was when its transfer began
        ├── Refused        the API says no, in ``userErrors``
        └── StoreRefused   the store does not take this request: a target that has expired, or other bytes than promised
            └── UploadGone the store knows the upload in parts no longer: it was joined or given up
"""


class ClientError(Exception):
    """Base of all. ``message`` is for people and holds neither a token nor a signed address."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ServiceGone(ClientError):
    """Nothing else will work either."""


class TransferFailed(ClientError):
    """This file or folder does not arrive."""


class Busy(TransferFailed):
    """``retry_after``: seconds that the other side asks for. ``has_progressed``: something did arrive this time."""

    def __init__(self, message: str, *, retry_after: float = 0, has_progressed: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.has_progressed = has_progressed


class FileChanged(TransferFailed):
    """Somebody writes to the file."""


class Refused(TransferFailed):
    """``code`` as in ``UserErrorCode``; ``status`` of the upload and ``conflicting_id`` where the API tells them."""

    def __init__(
        self, message: str, code: str, *, status: str | None = None, conflicting_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.conflicting_id = conflicting_id


class StoreRefused(TransferFailed):
    """The store's status and code are in the message."""


class UploadGone(StoreRefused):
    """Ask the API what became of it."""
