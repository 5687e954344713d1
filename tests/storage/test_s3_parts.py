"""What the S3 store makes of a store's answers about uploads in parts."""

import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from graphql_api.errors import Unavailable
from graphql_api.model.parts import JoinOutcome, StoredPart, StoreUpload
from graphql_api.storage.s3 import JOIN_ATTEMPTS, S3Store
from tests.storage.answer import Answer

UPLOAD = StoreUpload("o/01jd9x2q6c8s5v7e0k3m4n5p6r", "upload-1")
PART = StoredPart(1, 3, "900150983cd24fb0d6963f7d28e17f72")

pytestmark = pytest.mark.anyio


def fault(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (412, "PreconditionFailed", JoinOutcome.ALREADY_THERE),
        (404, "NoSuchUpload", JoinOutcome.NO_SUCH_UPLOAD),
        (400, "BadDigest", JoinOutcome.MISMATCH),
        (400, "InvalidPart", JoinOutcome.MISMATCH),
        (400, "InvalidPartOrder", JoinOutcome.MISMATCH),
        (400, "EntityTooSmall", JoinOutcome.MISMATCH),
        (200, "BadDigest", JoinOutcome.MISMATCH),  # S3 began to answer before it had compared
        (200, "PreconditionFailed", JoinOutcome.ALREADY_THERE),
    ],
)
async def test_an_error_of_joining_is_told_by_its_code(
    status: int, code: str, outcome: JoinOutcome, answer: Answer, store: S3Store
) -> None:
    answer.status, answer.body = status, fault(code)
    assert await store.join_parts(UPLOAD, [PART], crc64nvme="00" * 8) is outcome


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "InternalError"),
        (404, "NoSuchBucket"),
        (403, "AccessDenied"),
        (501, "NotImplemented"),
        (400, "InvalidRequest"),  # of a store that does not know `If-None-Match` here, or what else it may be
        (400, "InvalidDigest"),
        (400, "InvalidArgument"),
    ],
)
async def test_any_other_error_of_joining_proves_nothing_and_is_in_the_log(
    status: int, code: str, answer: Answer, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer.status, answer.body = status, fault(code)
    with caplog.at_level(logging.WARNING, "graphql_api"), pytest.raises(Unavailable):
        await store.join_parts(UPLOAD, [PART], crc64nvme=None)
    assert f"operation=join_parts error={code} status=" in caplog.text


async def test_joining_against_others_is_tried_a_few_times(
    answer: Answer, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer.status, answer.body = 409, fault("ConditionalRequestConflict")
    with caplog.at_level(logging.WARNING, "graphql_api"), pytest.raises(Unavailable):
        await store.join_parts(UPLOAD, [PART], crc64nvme=None)
    assert len(answer.requests) == JOIN_ATTEMPTS
    assert "operation=join_parts error=contended" in caplog.text


async def test_an_upload_that_is_absent_is_told_from_a_bucket_that_is(answer: Answer, store: S3Store) -> None:
    answer.status, answer.body = 404, fault("NoSuchUpload")
    assert await store.list_parts(UPLOAD) is None
    await store.abort_parts(UPLOAD)
    answer.body = fault("NoSuchBucket")
    for call in (store.list_parts(UPLOAD), store.abort_parts(UPLOAD)):
        with pytest.raises(Unavailable):
            await call


async def test_of_a_part_that_is_listed_twice_the_later_counts(answer: Answer, store: S3Store) -> None:
    part = "<Part><PartNumber>1</PartNumber><LastModified>{}</LastModified><ETag>{}</ETag><Size>3</Size></Part>"
    later, earlier = part.format("2026-11-22T12:00:01Z", "later"), part.format("2026-11-22T12:00:00Z", "earlier")
    for listed in (later + earlier, earlier + later):
        answer.body = f"<ListPartsResult><IsTruncated>false</IsTruncated>{listed}</ListPartsResult>".encode()
        assert await store.list_parts(UPLOAD) == [StoredPart(1, 3, "later")]


async def test_open_uploads_are_paged_through_where_the_store_lists_them_in_order_of_key(
    answer: Answer, store: S3Store
) -> None:
    answer.body = (
        b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>o/b</NextKeyMarker>"
        b"<NextUploadIdMarker>2</NextUploadIdMarker><Upload><Key>o/b</Key><UploadId>2</UploadId>"
        b"<Initiated>2026-11-22T12:00:00Z</Initiated></Upload></ListMultipartUploadsResult>"
    )
    found = await store.list_open_uploads("o/", after=StoreUpload("o/a", "1"), limit=2)
    assert [one.upload for one in found] == [StoreUpload("o/b", "2")] * 2
    _, first, second = [parse_qs(urlsplit(request.split()[1]).query) for request in answer.requests]
    assert (first["key-marker"], first["upload-id-marker"], first["max-uploads"]) == (["o/a"], ["1"], ["2"])
    assert (second["key-marker"], second["upload-id-marker"], second["max-uploads"]) == (["o/b"], ["2"], ["1"])
