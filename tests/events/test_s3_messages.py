"""Every form in which a message about a bucket reaches a queue. The samples are those of Amazon's user guides."""

import json
from typing import Any

import pytest

from graphql_api.events.s3_messages import UnreadableMessage, read_message
from graphql_api.model.store_event import ObjectArrived, ScanResult, ScanVerdict

BUCKET = "amzn-s3-demo-bucket"

# Amazon S3 user guide, "Event message structure": "message for an Amazon S3 Put event".
PUT: dict[str, Any] = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
    "requestParameters": {"sourceIPAddress": "172.16.0.1"},
    "responseElements": {
        "x-amz-request-id": "C3D13FE58DE4C810",
        "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD",
    },
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "testConfigRule",
        "bucket": {
            "name": BUCKET,
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": f"arn:aws:s3:::{BUCKET}",
        },
        "object": {
            "key": "HappyFace.jpg",
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
HAPPY = ObjectArrived("HappyFace.jpg", 1024, "d41d8cd98f00b204e9800998ecf8427e", "0055AED6DCD90281E5")

# The same, "test message".
TEST: dict[str, Any] = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2014-10-13T15:57:02.089Z",
    "Bucket": BUCKET,
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
}

# Amazon S3 user guide, "EventBridge event message structure": "Object created".
CREATED: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2021-11-12T00:00:00Z",
    "region": "ca-central-1",
    "resources": [f"arn:aws:s3:::{BUCKET}"],
    "detail": {
        "version": "0",
        "bucket": {"name": BUCKET},
        "object": {
            "key": "example-key",
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    },
}

# Amazon GuardDuty user guide, "Monitoring S3 object scans with Amazon EventBridge": "THREATS_FOUND".
SCANNED: dict[str, Any] = {
    "version": "0",
    "id": "72c7d362-737a-6dce-fc78-9e27a0171419",
    "detail-type": "GuardDuty Malware Protection Object Scan Result",
    "source": "aws.guardduty",
    "account": "111122223333",
    "time": "2024-02-28T01:01:01Z",
    "region": "us-east-1",
    "resources": ["arn:aws:guardduty:us-east-1:111122223333:malware-protection-plan/b4c7f464ab3a4EXAMPLE"],
    "detail": {
        "schemaVersion": "1.0",
        "scanStatus": "COMPLETED",
        "resourceType": "S3_OBJECT",
        "s3ObjectDetails": {
            "bucketName": BUCKET,
            "objectKey": "APKAEIBAERJR2EXAMPLE",
            "eTag": "ASIAI44QH8DHBEXAMPLE",
            "versionId": "d41d8cd98f00b204e9800998eEXAMPLE",
            "s3Throttled": False,
        },
        "scanResultDetails": {
            "scanResultStatus": "THREATS_FOUND",
            "threats": [{"name": "EICAR-Test-File (not a virus)"}],
        },
    },
}


def changed(message: dict[str, Any], *path: str, to: object) -> dict[str, Any]:
    """A copy with another value at ``path``."""
    copy: dict[str, Any] = json.loads(json.dumps(message))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return copy


def notification(*records: object) -> str:
    return json.dumps({"Records": records})


def read(body: object) -> tuple[object, ...]:
    return read_message(body if isinstance(body, str) else json.dumps(body), bucket=BUCKET)


def test_a_put_has_arrived() -> None:
    assert read(notification(PUT)) == (HAPPY,)


@pytest.mark.parametrize("kind", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("prefix", ["", "s3:"])
def test_every_way_to_make_an_object_counts(kind: str, prefix: str) -> None:
    assert read(notification(changed(PUT, "eventName", to=f"{prefix}ObjectCreated:{kind}"))) == (HAPPY,)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb.jpg", "a+b.jpg"),
        ("o%2F01jd", "o/01jd"),
        ("o/%C3%A9", "o/é"),
        ("100%25.txt", "100%.txt"),
        ("%252B", "%2B"),  # decoded once
    ],
)
def test_keys_of_notifications_are_decoded(written: str, key: str) -> None:
    [event] = read(notification(changed(PUT, "s3", "object", "key", to=written)))
    assert isinstance(event, ObjectArrived)
    assert event.key == key


def test_a_message_may_have_several_records_and_only_what_concerns_us_is_told() -> None:
    other_bucket = changed(PUT, "s3", "bucket", "name", to="another")
    removed = changed(PUT, "eventName", to="ObjectRemoved:Delete")
    restored = changed(PUT, "eventName", to="ObjectRestore:Completed")
    second = changed(PUT, "s3", "object", "key", to="second")
    assert [
        getattr(event, "key", None) for event in read(notification(removed, PUT, other_bucket, second, restored))
    ] == [
        "HappyFace.jpg",
        "second",
    ]


def test_what_some_stores_leave_out_may_be_missing() -> None:
    bare = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": "k"}}}
    assert read(notification(bare)) == (ObjectArrived("k", 0, "", None),)


def test_the_test_of_a_new_configuration_says_nothing() -> None:
    assert read(TEST) == ()


def test_keys_of_event_bridge_are_as_they_are() -> None:
    expected = ObjectArrived("example-key", 5, "b1946ac92492d2347c6235b4d2611184", "617f08299329d189")
    assert read(CREATED) == (expected,)
    [event] = read(changed(CREATED, "detail", "object", "key", to="a+b%20c"))
    assert isinstance(event, ObjectArrived)
    assert event.key == "a+b%20c"


def test_other_events_of_event_bridge_say_nothing() -> None:
    assert read(changed(CREATED, "detail-type", to="Object Deleted")) == ()
    assert read(changed(CREATED, "source", to="aws.ec2")) == ()
    assert read(changed(CREATED, "detail", "bucket", "name", to="another")) == ()


@pytest.mark.parametrize("result", list(ScanResult))
def test_a_verdict_of_every_kind_is_read(result: ScanResult) -> None:
    message = changed(SCANNED, "detail", "scanResultDetails", to={"scanResultStatus": result.value, "threats": None})
    [verdict] = read(message)
    assert verdict == ScanVerdict("APKAEIBAERJR2EXAMPLE", "ASIAI44QH8DHBEXAMPLE", result)


def test_the_threats_that_were_found_have_names() -> None:
    [verdict] = read(SCANNED)
    assert isinstance(verdict, ScanVerdict)
    assert verdict.threats == ("EICAR-Test-File (not a virus)",)
    assert read(changed(SCANNED, "detail", "s3ObjectDetails", "bucketName", to="another")) == ()


@pytest.mark.parametrize("inner", [notification(PUT), json.dumps(TEST), json.dumps(CREATED)])
def test_an_envelope_of_sns_changes_nothing(inner: str) -> None:
    # Amazon SNS developer guide, "Parsing message formats": "HTTP/HTTPS notification JSON format".
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Message": inner,
        "Timestamp": "2012-05-02T00:54:06.655Z",
    }
    assert read(envelope) == read(inner)


SECRET = "not-for-any-log"


@pytest.mark.parametrize(
    "body",
    [
        "",
        SECRET,
        "[]",
        "null",
        "{}",
        '"text"',
        "\x00",
        '{"Records": 1}',
        '{"Records": [{}]}',
        "[" * 100_000,
        json.dumps({"Type": "Notification", "Message": SECRET}),
        json.dumps({"Type": "SubscriptionConfirmation", "Token": SECRET}),
        json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": {}}),
        json.dumps(changed(SCANNED, "detail", "scanResultDetails", "scanResultStatus", to=SECRET)),
        notification(PUT, changed(PUT, "s3", "object", to={"size": 1})),
        notification(changed(PUT, "s3", "object", "size", to=SECRET)),
    ],
    ids=range(16),
)
def test_what_cannot_be_read_is_said_so_without_repeating_it(body: str) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(body)
    assert SECRET not in str(caught.value)
    assert 0 < len(str(caught.value)) <= 64
    assert caught.value.__cause__ is None
