"""The keys that presign, from boto3's chain, renewed in time and never on the event loop."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

import anyio.to_thread
import boto3
from botocore.exceptions import NoCredentialsError

from graphql_api.signing.sigv4 import StoreCredentials

RENEW_BEFORE_END: Final = timedelta(minutes=15)
"""When boto begins to renew temporary credentials itself (botocore, ``_DEFAULT_ADVISORY_REFRESH_TIMEOUT``)."""

LOOK_AGAIN_AFTER: Final = timedelta(seconds=30)
"""Between two attempts, while renewing fails or all that can be had ends soon."""

END_MARGIN: Final = timedelta(minutes=1)
"""Held back from the end of temporary credentials: the store's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class HeldCredentials:
    """Good until ``ends_at``, for ever if None; worth a new look from ``renew_at`` on."""

    credentials: StoreCredentials
    ends_at: datetime | None
    renew_at: datetime | None


class CredentialSource:
    """What ``session`` finds. Looking may ask the metadata service or start a program, so it is done in a thread."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._lock = Lock()
        self._held: HeldCredentials | None = None

    async def current(self, now: datetime) -> HeldCredentials:
        """Credentials for a request presigned at ``now``. Raises what boto raises when there are none to be had."""
        held = self._held
        if held is None or (held.renew_at is not None and now >= held.renew_at):
            held = self._held = await anyio.to_thread.run_sync(self._look, now)
        return held

    def _look(self, now: datetime) -> HeldCredentials:
        with self._lock:  # boto3's session is not made for a first look from two threads
            found = self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        found.get_frozen_credentials()  # renews them if need be
        # The end is read before the keys: should another thread renew in between, it is too early but never too late.
        end: datetime | None = getattr(found, "_expiry_time", None)  # botocore has no public name for it
        keys = found.get_frozen_credentials()
        credentials = StoreCredentials(keys.access_key or "", keys.secret_key or "", keys.token)
        if end is None:
            return HeldCredentials(credentials, ends_at=None, renew_at=None)
        ends_at = end.astimezone(UTC) - END_MARGIN
        renew_at = min(max(ends_at - RENEW_BEFORE_END, now + LOOK_AGAIN_AFTER), ends_at)
        return HeldCredentials(credentials, ends_at, renew_at)
