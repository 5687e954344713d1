"""What every ``EventSource`` does, on real queues that real buckets tell of real uploads."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from graphql_api.errors import Unavailable
from graphql_api.events import Delivery, EventSource
from graphql_api.events.sqs import SqsEventSource
from graphql_api.model.ids import new_object_key
from graphql_api.model.parts import MIN_PART_SIZE
from graphql_api.model.store_event import ObjectArrived
from tests.contracts.queues import Watched
from tests.ministack import REGION, MiniStack
from tests.store import free_port

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

LEASE = timedelta(minutes=1)


@pytest.fixture(params=["ministack", "moto"])
def watched(request: pytest.FixtureRequest) -> Watched:
    found: Watched = request.getfixturevalue(f"{request.param}_watched")
    return found


async def received(source: EventSource, count: int) -> list[Delivery]:
    """The next ``count`` messages; a queue hands out as many at a time as it likes."""
    found: list[Delivery] = []
    while len(found) < count:
        batch = await source.receive(lease=LEASE)
        assert batch, f"no more than {len(found)} came"
        found += batch
    return found


def arrivals(deliveries: Sequence[Delivery]) -> list[ObjectArrived]:
    return [event for each in deliveries for event in each.events if isinstance(event, ObjectArrived)]


async def emptied(watched: Watched) -> Watched:
    """Without the message that tests a new configuration, which says nothing."""
    for test in await received(watched.source, 1):
        assert (test.events, test.fault) == ((), None)
        assert json.loads(test.body)["Event"] == "s3:TestEvent"
        await watched.source.acknowledge([test])
    return watched


async def test_a_put_is_told_with_its_key_size_and_etag(watched: Watched) -> None:
    await emptied(watched)
    key = new_object_key(datetime.now(UTC))
    etag = watched.s3.put_object(Bucket=watched.bucket, Key=key, Body=b"hello")["ETag"].strip('"')
    [delivery] = await received(watched.source, 1)
    [arrived] = arrivals([delivery])
    assert (arrived.key, arrived.size, arrived.etag) == (key, 5, etag)
    assert (delivery.receives, delivery.fault) == (1, None)
    await watched.source.acknowledge([delivery])
    assert await watched.source.receive(lease=LEASE) == []


async def test_a_key_with_everything_in_it_is_told_as_it_is(watched: Watched) -> None:
    await emptied(watched)
    key = "o/a b+c%20d/é&=?.png"
    watched.s3.put_object(Bucket=watched.bucket, Key=key, Body=b"x")
    assert [arrived.key for arrived in arrivals(await received(watched.source, 1))] == [key]


async def test_parts_are_told_of_once_they_are_joined(ministack_watched: Watched) -> None:
    """Not on moto, which tells of the beginning, too."""
    watched = await emptied(ministack_watched)
    s3, bucket, key = watched.s3, watched.bucket, new_object_key(datetime.now(UTC))
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts: list[CompletedPartTypeDef] = []
    for number, body in ((1, b"a" * MIN_PART_SIZE), (2, b"b")):
        sent = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    assert await watched.source.receive(lease=LEASE) == []
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
    [arrived] = arrivals(await received(watched.source, 1))
    assert (arrived.key, arrived.size) == (key, MIN_PART_SIZE + 1)
    assert arrived.sequencer


async def test_objects_elsewhere_in_the_bucket_and_removals_are_not_told(watched: Watched) -> None:
    await emptied(watched)
    key = new_object_key(datetime.now(UTC))
    watched.s3.put_object(Bucket=watched.bucket, Key="logs/today", Body=b"x")
    watched.s3.put_object(Bucket=watched.bucket, Key=key, Body=b"x")
    watched.s3.delete_object(Bucket=watched.bucket, Key=key)
    assert [arrived.key for arrived in arrivals(await received(watched.source, 1))] == [key]
    assert await watched.source.receive(lease=LEASE) == []


async def test_what_is_not_acknowledged_is_handed_out_again_and_counted(watched: Watched) -> None:
    await emptied(watched)
    watched.send("not an event")
    for receives in (1, 2, 3):
        [delivery] = await received(watched.source, 1)
        assert (delivery.receives, delivery.events, delivery.fault) == (receives, (), "json_invalid")
        assert await watched.source.receive(lease=LEASE) == []  # it is ours
        await watched.source.hide([delivery], lasting=timedelta())
    [delivery] = await received(watched.source, 1)
    await watched.source.hide([delivery], lasting=timedelta(days=9))  # more than a queue can do
    await watched.source.acknowledge([delivery])
    await watched.source.acknowledge([delivery])  # which is no failure
    assert await watched.source.receive(lease=LEASE) == []


async def test_more_than_one_batch_is_received_hidden_and_acknowledged(watched: Watched) -> None:
    await emptied(watched)
    for number in range(12):
        watched.send(str(number))
    deliveries = await received(watched.source, 12)
    assert len({each.message_id for each in deliveries}) == 12
    await watched.source.hide(deliveries, lasting=timedelta())
    await watched.source.acknowledge(await received(watched.source, 12))
    assert await watched.source.receive(lease=LEASE) == []


async def test_a_message_that_nobody_deals_with_ends_in_the_second_queue(watched: Watched) -> None:
    await emptied(watched)
    policy = json.loads(
        watched.sqs.get_queue_attributes(QueueUrl=watched.queue_url, AttributeNames=["RedrivePolicy"])["Attributes"][
            "RedrivePolicy"
        ]
    )
    assert int(policy["maxReceiveCount"]) == 50
    watched.sqs.set_queue_attributes(
        QueueUrl=watched.queue_url, Attributes={"RedrivePolicy": json.dumps(policy | {"maxReceiveCount": 2})}
    )
    watched.send("poison")
    for _ in range(2):
        await watched.source.hide(await received(watched.source, 1), lasting=timedelta())
    assert await watched.source.receive(lease=LEASE) == []
    [message] = watched.sqs.receive_message(QueueUrl=watched.failed_queue_url, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "poison"


async def test_a_bucket_that_may_not_send_is_refused_by_the_policy(ministack_watched: Watched) -> None:
    """The policy of the document names the bucket; another one gets nothing through."""
    watched = ministack_watched
    watched.s3.create_bucket(Bucket=f"{watched.bucket}-other")
    configuration = watched.s3.get_bucket_notification_configuration(Bucket=watched.bucket)["QueueConfigurations"]
    with pytest.raises(watched.s3.exceptions.ClientError, match="Unable to validate"):
        watched.s3.put_bucket_notification_configuration(
            Bucket=f"{watched.bucket}-other", NotificationConfiguration={"QueueConfigurations": configuration}
        )


async def test_a_queue_that_is_not_there_or_does_not_answer_is_unavailable(ministack: MiniStack) -> None:
    silent = f"http://127.0.0.1:{free_port()}"
    for endpoint_url in (ministack.endpoint_url, silent):
        source = SqsEventSource(
            queue_url=f"{endpoint_url}/000000000000/nowhere",
            bucket="any",
            region=REGION,
            endpoint_url=endpoint_url,
            access_key_id=ministack.access_key_id,
            secret_access_key=ministack.secret_access_key,
        )
        with pytest.raises(Unavailable, match="queue"):
            await source.receive(lease=LEASE)
        with pytest.raises(Unavailable, match="queue"):
            await source.acknowledge([Delivery("id", "receipt", 1, "")])
        source.close()
