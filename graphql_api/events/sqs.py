"""An Amazon SQS queue, or one that speaks its protocol, to which a bucket's events go.

The credentials need ``sqs:ReceiveMessage``, ``sqs:DeleteMessage`` and ``sqs:ChangeMessageVisibility`` on the queue.
boto3 runs in threads.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.events import Delivery
from graphql_api.events.s3_messages import UnreadableMessage, read_message
from graphql_api.model.hosts import is_on_this_machine
from graphql_api.model.store_event import StoreEvent

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef, MessageTypeDef

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH: Final = 10  # messages; the most that one request of SQS receives, deletes or changes
WAIT: Final = timedelta(seconds=5)
"""How long a request waits for a first message. SQS allows 20 s; a worker that is told to stop waits for it, and half a
million requests a month cost next to nothing.
"""
LONGEST_HIDING: Final = timedelta(hours=11)
"""SQS allows 12 hours from the receiving on. Source: Amazon SQS developer guide, "Amazon SQS visibility timeout"."""
CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = WAIT.total_seconds() + 10.0  # seconds between two bytes
TOTAL_ATTEMPTS: Final = 2  # a request and one retry
MAX_CONNECTIONS: Final = 4  # and as many threads

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)


class SqsEventSource:
    """An ``EventSource`` of what happens in ``bucket``.

    ``endpoint_url`` None means Amazon's. Without ``access_key_id`` the credentials are those of the AWS default chain.
    Opens no connection before it is used; raises ``ConfigurationError`` for an AWS profile that does not exist.
    """

    def __init__(
        self,
        *,
        queue_url: str,
        bucket: str,
        region: str,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        wait: timedelta = WAIT,
    ) -> None:
        self._queue_url = queue_url
        self._bucket = bucket
        self._endpoint_url = endpoint_url
        self._wait = wait
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=region)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._limiter = anyio.CapacityLimiter(MAX_CONNECTIONS)
        self._client: SQSClient | None = None
        self._client_lock = Lock()

    async def receive(self, *, lease: timedelta) -> Sequence[Delivery]:
        """See ``EventSource``."""

        def receive(client: "SQSClient") -> "Sequence[MessageTypeDef]":
            answer = client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=int(self._wait.total_seconds()),
                VisibilityTimeout=_seconds(lease),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            return answer.get("Messages", ())

        return [self._delivery(message) for message in await self._ask("receive", receive)]

    async def hide(self, deliveries: Sequence[Delivery], *, lasting: timedelta) -> None:
        """See ``EventSource``."""
        seconds = _seconds(lasting)
        for batch in _batches(deliveries):

            def change(client: "SQSClient", batch: Sequence[Delivery] = batch) -> None:
                answer = client.change_message_visibility_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": each.receipt, "VisibilityTimeout": seconds}
                        for number, each in enumerate(batch)
                    ],
                )
                _note_failures("hide", answer.get("Failed", ()))

            await self._ask("hide", change)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See ``EventSource``."""
        for batch in _batches(deliveries):

            def delete(client: "SQSClient", batch: Sequence[Delivery] = batch) -> None:
                answer = client.delete_message_batch(
                    QueueUrl=self._queue_url,
                    Entries=[{"Id": str(number), "ReceiptHandle": each.receipt} for number, each in enumerate(batch)],
                )
                _note_failures("acknowledge", answer.get("Failed", ()))

            await self._ask("acknowledge", delete)

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        if self._client is not None:
            self._client.close()

    def _delivery(self, message: "MessageTypeDef") -> Delivery:
        body = message.get("Body", "")
        events: tuple[StoreEvent, ...] = ()
        fault = None
        try:
            events = read_message(body, bucket=self._bucket)
        except UnreadableMessage as error:
            fault = str(error)
        return Delivery(
            message_id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            receives=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            body=body,
            events=events,
            fault=fault,
        )

    async def _ask(self, operation: str, request: Callable[["SQSClient"], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._connected()), limiter=self._limiter)
        except _FAILURES as error:
            cause = type(error).__name__
            if isinstance(error, ClientError):
                cause = f"{error.response['Error'].get('Code')}"
            log.warning("queue_unavailable operation=%s error=%s", operation, cause)
            raise Unavailable("queue") from error

    def _connected(self) -> "SQSClient":
        """The one client of this queue. Making it reads files and may look for credentials, hence late."""
        with self._client_lock:
            if self._client is None:
                self._client = self._session.client(
                    "sqs",
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        retries={"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
                        max_pool_connections=MAX_CONNECTIONS,
                        # A queue on this machine is never behind a proxy, whatever HTTP_PROXY says.
                        proxies={} if is_on_this_machine(self._endpoint_url) else None,
                    ),
                )
            return self._client


def _batches(deliveries: Sequence[Delivery]) -> Sequence[Sequence[Delivery]]:
    return [deliveries[start : start + BATCH] for start in range(0, len(deliveries), BATCH)]


def _seconds(span: timedelta) -> int:
    """Whole seconds, as SQS wants them, rounded up and no more than it allows."""
    return min(-(-span // timedelta(seconds=1)), int(LONGEST_HIDING.total_seconds()))


def _note_failures(operation: str, failures: "Sequence[BatchResultErrorEntryTypeDef]") -> None:
    if failures:  # such as a receipt that has run out: the message will be, or has been, handed out again
        log.info("queue_refused operation=%s messages=%d error=%s", operation, len(failures), failures[0].get("Code"))
