"""A bucket whose events go to a queue, set up as ``docs/operations.md`` says, where that can be tried."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import boto3

from graphql_api.events.sqs import SqsEventSource
from tests.docs.markdown import ROOT, named_json
from tests.ministack import REGION

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

numbers = count(1)
JSON = named_json(ROOT / "docs" / "operations.md")


@dataclass(frozen=True)
class Watched:
    """A bucket, its queue, and our side of the queue."""

    s3: "S3Client"
    sqs: "SQSClient"
    bucket: str
    queue_url: str
    failed_queue_url: str
    source: SqsEventSource

    def send(self, body: str) -> None:
        """A message that comes from nobody's bucket."""
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)


@contextmanager
def watched(session: boto3.Session, endpoint_url: str, *, account: str) -> Iterator[Watched]:
    """As the commands of the document do it, in another account and region, under names of their own."""
    number = next(numbers)
    bucket, queue = f"watched-{number}", f"store-events-{number}"

    def file(name: str) -> dict[str, object]:
        text = JSON[name].replace("eu-west-1", REGION).replace("111122223333", account)
        content: dict[str, object] = json.loads(text.replace("your-bucket", bucket).replace("store-events", queue))
        return content

    s3 = session.client("s3", endpoint_url=endpoint_url)
    sqs = session.client("sqs", endpoint_url=endpoint_url)
    attributes, notifications = file("queue.json"), file("notifications.json")
    s3.create_bucket(Bucket=bucket)
    failed_queue_url = sqs.create_queue(QueueName=f"{queue}-failed")["QueueUrl"]
    queue_url = sqs.create_queue(QueueName=queue, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]  # JSON
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notifications)  # type: ignore[arg-type]  # JSON
    keys = session.get_credentials()
    assert keys
    source = SqsEventSource(
        queue_url=queue_url,
        bucket=bucket,
        region=REGION,
        endpoint_url=endpoint_url,
        access_key_id=keys.access_key,
        secret_access_key=keys.secret_key,
        wait=timedelta(seconds=1),
    )
    yield Watched(s3, sqs, bucket, queue_url, failed_queue_url, source)
    source.close()
    sqs.close()
    s3.close()
