"""Botocore reads its own clock; we are told the time. For comparing the two, its clock is stopped."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth
import botocore.crt.auth  # whose signers boto uses where awscrt is installed
import botocore.signers

NOW = datetime(2026, 11, 22, 9, 5, 7, tzinfo=UTC)


def _now(remove_tzinfo: bool = True) -> datetime:
    return NOW.replace(tzinfo=None) if remove_tzinfo else NOW


@contextmanager
def stopped() -> Iterator[None]:
    """At ``NOW``, for both of its implementations of SigV4."""
    with ExitStack() as stack:
        for module in (botocore.auth, botocore.crt.auth, botocore.signers):
            stack.enter_context(patch.object(module, "get_current_datetime", _now))
        yield
