"""What boto3 raises, and what it means."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import Unavailable

logger = logging.getLogger(__name__)

NOTABLE_SKEW: Final = timedelta(minutes=1)
"""Less may be the time that the answer took. S3 refuses requests from 15 minutes on."""

# botocore raises a bare RuntimeError when renewed credentials have expired already.
FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)


def status_of(error: ClientError) -> int:
    """The HTTP status. An error that came with 200 has 500: boto3 changes it, to try again."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(error: ClientError) -> str:
    """Such as ``NoSuchUpload``; empty when the store gave none."""
    return error.response.get("Error", {}).get("Code", "")


def unavailable(operation: str, error: Exception) -> Unavailable:
    """Says in the log what kind of failure it was; the text of an error may hold what a credential program printed."""
    cause = type(error).__name__
    if isinstance(error, ClientError):
        cause = f"{code_of(error)} status={status_of(error)}"
        if abs(ahead := _clock_ahead(error)) >= NOTABLE_SKEW:
            cause += f" clock_ahead={ahead.total_seconds():.0f}"
    logger.warning("store_unavailable operation=%s error=%s", operation, cause)
    return Unavailable("store")


def _clock_ahead(error: ClientError) -> timedelta:
    """Of this machine, whose clock boto signs with, compared with the store's. A store that finds the difference too
    large refuses everything, and an answer to HEAD has no room for the reason.
    """
    said = error.response["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        return datetime.now(UTC) - parsedate_to_datetime(said)
    except (ValueError, TypeError):  # there is none, or it is no date, or has no zone
        return timedelta()
