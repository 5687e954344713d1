"""Botocore reads its own clock; we are told the time. For comparing the two, its clock is stopped, or set wrong."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import botocore.auth
import botocore.crt.auth  # whose signers boto uses where awscrt is installed
import botocore.signers

NOW = datetime(2026, 11, 22, 9, 5, 7, tzinfo=UTC)


@contextmanager
def stopped() -> Iterator[None]:
    """At ``NOW``, for both of its implementations of SigV4."""
    with _read_as(lambda: NOW):
        yield


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """It goes as ours does, but wrong by so much."""
    with _read_as(lambda: datetime.now(UTC) + by):
        yield


@contextmanager
def _read_as(clock: Callable[[], datetime]) -> Iterator[None]:
    def now(remove_tzinfo: bool = True) -> datetime:
        return clock().replace(tzinfo=None) if remove_tzinfo else clock()

    with ExitStack() as stack:
        for module in (botocore.auth, botocore.crt.auth, botocore.signers):
            stack.enter_context(patch.object(module, "get_current_datetime", now))
        yield
