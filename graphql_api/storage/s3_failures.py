"""What boto3 raises, and what it means."""

import logging
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import Unavailable

logger = logging.getLogger(__name__)

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
    cause = f"{code_of(error)} status={status_of(error)}" if isinstance(error, ClientError) else type(error).__name__
    logger.warning("store_unavailable operation=%s error=%s", operation, cause)
    return Unavailable("store")
