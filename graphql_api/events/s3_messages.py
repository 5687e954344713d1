"""Messages about a bucket, in the forms in which they reach a queue.

- S3 event notifications: several records in one message; keys are URL-encoded, a space is a plus sign.
  Source: Amazon S3 user guide, "Event message structure".
- The test that S3 sends when notifications are set up. Source: the same, "How to enable ... event notifications".
- Amazon EventBridge: one event in one message; keys are as they are. Source: the same, "EventBridge event message
  structure"; for scans Amazon GuardDuty user guide, "Monitoring S3 object scans with Amazon EventBridge".
- Any of these inside an Amazon SNS envelope. Source: Amazon SNS developer guide, "Parsing message formats".
"""

from typing import Final
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, ValidationError

from graphql_api.model.store_event import ObjectArrived, ScanResult, ScanVerdict, StoreEvent

TEST_EVENT: Final = "s3:TestEvent"
OBJECT_CREATED: Final = "ObjectCreated:"
SCAN_RESULT: Final = "GuardDuty Malware Protection Object Scan Result"


class UnreadableMessage(Exception):
    """It has none of the known forms. The text repeats nothing of the message."""


class _Bucket(BaseModel):
    name: str


class _NotifiedObject(BaseModel):
    key: str
    size: int = 0
    etag: str = Field("", alias="eTag")
    sequencer: str | None = None


class _S3(BaseModel):
    bucket: _Bucket
    object: _NotifiedObject


class _Record(BaseModel):
    event_name: str = Field(alias="eventName")
    s3: _S3


class _CreatedObject(BaseModel):
    key: str
    size: int = 0
    etag: str = ""
    sequencer: str | None = None


class _Created(BaseModel):
    bucket: _Bucket
    object: _CreatedObject


class _ScannedObject(BaseModel):
    bucket_name: str = Field(alias="bucketName")
    object_key: str = Field(alias="objectKey")
    etag: str = Field("", alias="eTag")


class _Threat(BaseModel):
    name: str


class _ScanDetails(BaseModel):
    result: ScanResult = Field(alias="scanResultStatus")
    threats: list[_Threat] | None = None


class _Scanned(BaseModel):
    object: _ScannedObject = Field(alias="s3ObjectDetails")
    details: _ScanDetails = Field(alias="scanResultDetails")


class _Message(BaseModel):
    """The members by which the forms are told apart."""

    records: list[_Record] | None = Field(None, alias="Records")
    test: str | None = Field(None, alias="Event")
    envelope: str | None = Field(None, alias="Type")
    enveloped: str | None = Field(None, alias="Message")
    source: str | None = None
    detail_type: str | None = Field(None, alias="detail-type")
    detail: dict[str, object] | None = None


def read_message(body: str, *, bucket: str) -> tuple[StoreEvent, ...]:
    """What the message says about objects in ``bucket``; nothing if it is about other things. Raises:
    UnreadableMessage.
    """
    try:
        message = _Message.model_validate_json(body)
        if message.envelope == "Notification" and message.enveloped is not None:
            message = _Message.model_validate_json(message.enveloped)
        return _events(message, bucket)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise UnreadableMessage(first["type"]) from None


def _events(message: _Message, bucket: str) -> tuple[StoreEvent, ...]:
    if message.records is not None:
        return tuple(
            _arrived(record.s3.object)
            for record in message.records
            # Other stores that speak S3 write "s3:ObjectCreated:Put".
            if record.event_name.removeprefix("s3:").startswith(OBJECT_CREATED) and record.s3.bucket.name == bucket
        )
    if message.test == TEST_EVENT:
        return ()
    if message.source is None or message.detail_type is None or message.detail is None:
        raise UnreadableMessage("unknown_form")
    if (message.source, message.detail_type) == ("aws.s3", "Object Created"):
        created = _Created.model_validate(message.detail)
        found = created.object
        is_ours = created.bucket.name == bucket
        return (ObjectArrived(found.key, found.size, found.etag, found.sequencer),) if is_ours else ()
    if (message.source, message.detail_type) == ("aws.guardduty", SCAN_RESULT):
        scanned = _Scanned.model_validate(message.detail)
        threats = tuple(threat.name for threat in scanned.details.threats or ())
        verdict = ScanVerdict(scanned.object.object_key, scanned.object.etag, scanned.details.result, threats)
        return (verdict,) if scanned.object.bucket_name == bucket else ()
    return ()


def _arrived(found: _NotifiedObject) -> ObjectArrived:
    return ObjectArrived(unquote_plus(found.key), found.size, found.etag, found.sequencer)
