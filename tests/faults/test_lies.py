"""Clients say one thing and send another, to the store that compares: nothing else than what was promised is a file."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.cli.program import wait_for
from tests.contracts.samples import crc64nvme_of
from tests.faults.place import Place
from tests.faults.sender import LARGE, PARTS, SMALL, Sender

OTHER = os.urandom(len(PARTS[1]))


@pytest.fixture
def ada(served_ada: Sender, place: Place) -> Iterator[Sender]:
    """In the end nothing is there that should not be."""
    yield served_ada
    place.require_order()


@pytest.mark.parametrize("sent", [SMALL + b"x", SMALL[:-1], b""], ids=["too long", "too short", "empty"])
def test_another_length_is_refused_and_the_promise_stays(ada: Sender, sent: bytes) -> None:
    upload_id = ada.promised(len(SMALL))
    assert ada.put(upload_id, sent).status_code == 403
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["status"]) == ("UPLOAD_STATE", "PENDING")
    assert ada.put(upload_id).status_code == 200
    assert ada.completed(upload_id)["size"] == len(SMALL)


@pytest.mark.parametrize("sent", [PARTS[1] + b"x", PARTS[1][:-1]], ids=["too long", "too short"])
def test_another_length_of_a_part_is_refused_and_the_promise_stays(ada: Sender, sent: bytes) -> None:
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    assert ada.put_part(upload_id, 1, PARTS[0]).status_code == 200
    assert ada.put_part(upload_id, 2, sent, tells=False).status_code == 403
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["missingPartNumbers"]) == ("UPLOAD_STATE", [2])
    assert ada.put_part(upload_id, 2, PARTS[1]).status_code == 200
    assert ada.completed(upload_id)["size"] == len(LARGE)


@pytest.mark.parametrize("number", [0, -1, 3, 10_001, 2**31 - 1])
def test_a_part_that_there_is_not_is_not_signed(ada: Sender, number: int) -> None:
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    assert ada.sign(upload_id, (number, None)).codes == ["INVALID"]
    own = ada.look(upload_id)["target"]["uploadId"]
    asked = ada.request(upload_id, "UPLOAD_PART", storeUploadId=own, partNumber=number)
    assert asked.codes == ["INVALID"]


def test_an_upload_of_the_store_that_belongs_to_another_is_not_taken(ada: Sender) -> None:
    theirs, ours = ada.sent("MULTIPART"), ada.promised(len(LARGE), "MULTIPART")
    foreign = ada.look(theirs)["target"]["uploadId"]
    for kind in ("UPLOAD_PART", "LIST_PARTS", "COMPLETE_MULTIPART", "ABORT_MULTIPART"):
        for store_upload_id in (foreign, "made-up"):
            asked = ada.request(ours, kind, storeUploadId=store_upload_id, partNumber=1)
            assert asked.codes == ["NOT_FOUND"]
    assert ada.completed(theirs)["size"] == len(LARGE)
    assert ada.complete(ours).codes == ["UPLOAD_STATE"]


def test_a_client_that_joins_less_than_it_promised_makes_no_file(ada: Sender, place: Place) -> None:
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    key, own = ada.key(upload_id), ada.look(upload_id)["target"]["uploadId"]
    part = ada.put_part(upload_id, 1, PARTS[0])
    asked = ada.request(upload_id, "COMPLETE_MULTIPART", storeUploadId=own).payload["request"]
    told = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['ETag']}</ETag></Part>"
    joined = ada.send(asked, f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode())
    assert joined.status_code == 200
    assert key in place.stored()
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["failureCode"]) == ("UPLOAD_MISMATCH", "SIZE_MISMATCH")
    assert key not in place.stored()


def resent(ada: Sender, *, first_tells: bool, second_tells: bool) -> str:
    """An upload whose second part was sent, and then sent again with other bytes."""
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    assert ada.put_part(upload_id, 1, PARTS[0]).status_code == 200
    unbound = ada.sign(upload_id, (2, None)).payload["parts"][0]
    assert ada.put_part(upload_id, 2, PARTS[1], tells=first_tells).status_code == 200
    second = int(time.time())  # the store tells no less of it, and so cannot tell which of two parts is the later one
    wait_for(lambda: int(time.time()) > second)
    if second_tells:
        assert ada.put_part(upload_id, 2, OTHER).status_code == 200
    else:
        assert ada.send(unbound, OTHER).status_code == 200
    return upload_id


def test_a_part_sent_again_with_other_bytes_than_were_told_of_it_fails_the_upload(ada: Sender, place: Place) -> None:
    upload_id = resent(ada, first_tells=True, second_tells=False)
    key = ada.key(upload_id)
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["failureCode"]) == ("UPLOAD_MISMATCH", "CHECKSUM_MISMATCH")
    assert key not in place.stored()


def test_a_part_told_and_sent_anew_is_what_the_file_has(ada: Sender, place: Place) -> None:
    upload_id = resent(ada, first_tells=True, second_tells=True)
    key = ada.key(upload_id)
    assert ada.completed(upload_id)
    assert place.read(key) == PARTS[0] + OTHER


def test_a_part_sent_again_fails_a_whole_that_was_promised(ada: Sender) -> None:
    upload_id = resent(ada, first_tells=False, second_tells=False)
    [error] = ada.complete(upload_id, crc64nvme_of(LARGE)).payload["userErrors"]
    assert (error["code"], error["failureCode"]) == ("UPLOAD_MISMATCH", "CHECKSUM_MISMATCH")
