"""The store fails, breaks off, is slow, or says yes and does nothing: what the client is told, and what heals it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from graphql_api.errors import Unavailable
from tests.faults import Answer, Fault, HoldAnswer, LoseAnswer, Request, Reset
from tests.faults.place import Place, at, of
from tests.faults.sender import LARGE, PARTS, SMALL, Sender

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
FAILURES = [Answer(500), Answer(503, SLOW_DOWN), Reset(), LoseAnswer()]
DURATION = 99  # requests


@pytest.fixture
def ada(served_ada: Sender, place: Place) -> Iterator[Sender]:
    yield served_ada
    place.proxy.forget()


def is_any(_request: Request) -> bool:
    return True


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
def test_a_store_that_fails_once_is_not_noticed(ada: Sender, place: Place, fault: Fault) -> None:
    upload_id, in_parts, aborted = ada.sent(), ada.sent("MULTIPART"), ada.sent("MULTIPART")
    keys = {ada.key(each) for each in (upload_id, in_parts, aborted)}
    before = len(place.proxy.seen(lambda request: request.is_faulty))
    for which in (of("HEAD"), of("POST", having="uploadId"), of("DELETE"), of("POST", having="delete")):
        place.proxy.plan(fault, which=which)
    assert ada.completed(upload_id)["size"] == len(SMALL)
    assert ada.completed(in_parts)["size"] == len(LARGE)
    assert ada.abort(aborted).codes == []
    assert len(place.proxy.seen(lambda request: request.is_faulty)) - before == 4
    assert len(place.stored() & keys) == 2


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
def test_a_store_that_goes_on_failing_is_said_and_nothing_is_half_done(ada: Sender, place: Place, fault: Fault) -> None:
    upload_id, in_parts, aborted = ada.sent(), ada.sent("MULTIPART"), ada.sent("MULTIPART")
    keys = [ada.key(each) for each in (upload_id, in_parts, aborted)]
    deleted = ada.completed(ada.sent())["id"]
    place.proxy.plan(fault, times=DURATION, which=is_any)
    created = ada.create(len(LARGE), "MULTIPART")
    assert created.codes == ["SERVICE_UNAVAILABLE"]
    assert created.payload["upload"]["target"] is None
    for each in (upload_id, in_parts):
        assert ada.complete(each).codes == ["UNAVAILABLE"]
    assert ada.abort(aborted).codes == []
    assert ada.delete(deleted).codes == []
    with pytest.raises(Unavailable):
        asyncio.run(swept(place))
    place.proxy.forget()
    for each, status in ((upload_id, "PENDING"), (in_parts, "PENDING"), (aborted, "ABORTED")):
        assert ada.look(each)["status"] == status
    for number, part in enumerate(PARTS, 1):
        assert ada.put_part(created.payload["upload"]["id"], number, part).status_code == 200
    for each in (upload_id, in_parts, created.payload["upload"]["id"]):
        assert ada.completed(each)
    assert asyncio.run(swept(place)) == 2
    assert keys[2] not in place.stored()
    place.require_order()


async def swept(place: Place) -> int:
    async with place.assembled() as parts:
        return await parts.services.upkeep.sweep()


def test_while_the_store_takes_its_time_everything_else_goes_on(ada: Sender, place: Place) -> None:
    slow, other = ada.sent("MULTIPART"), ada.sent()
    held = [HoldAnswer() for _ in range(3)]
    key = ada.key(slow)
    for hold, which in zip(held, (at(key, "HEAD"), at(key, "GET"), at(key, "POST")), strict=True):
        place.proxy.plan(hold, which=which)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ada.complete, slow)
        for hold in held:
            assert hold.reached.wait(60)
            assert ada.promised(1)
            hold.go_on.set()
        assert ada.completed(other)
        assert answer.result(60).codes == []
    place.require_order()


@pytest.mark.nightly
def test_a_store_that_does_not_answer_is_said_in_time(ada: Sender, place: Place) -> None:
    """It is given ten seconds, twice."""
    upload_id, aborted = ada.sent(), ada.sent("MULTIPART")
    hang = HoldAnswer()
    place.proxy.plan(hang, times=DURATION, which=is_any)
    with ThreadPoolExecutor(3) as threads:
        created = threads.submit(ada.create, len(LARGE), "MULTIPART")
        completed, ended = threads.submit(ada.complete, upload_id), threads.submit(ada.abort, aborted)
        assert created.result(60).codes == ["SERVICE_UNAVAILABLE"]
        assert completed.result(60).codes == ["UNAVAILABLE"]
        assert ended.result(60).codes == []
    hang.go_on.set()
    place.proxy.forget()
    assert ada.completed(upload_id)
    place.require_order()


def test_bytes_that_the_store_took_and_does_not_hold_are_asked_for_again(ada: Sender, place: Place) -> None:
    upload_id = ada.promised(len(SMALL))
    place.proxy.plan(Answer(200, headers=(("ETag", '"0"'),)), which=of("PUT"))
    assert ada.put(upload_id).status_code == 200
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["status"], error["missingPartNumbers"]) == ("UPLOAD_STATE", "PENDING", [])
    assert ada.put(upload_id).status_code == 200
    assert ada.completed(upload_id)["size"] == len(SMALL)
    lost = ada.promised(len(SMALL))
    place.proxy.plan(Answer(200), which=of("PUT"))
    assert ada.put(lost).status_code == 200  # its client is content, and gone
    place.require_order()
    assert ada.look(lost)["status"] == "EXPIRED"


def test_a_part_that_the_store_took_and_does_not_hold_is_asked_for_again(ada: Sender, place: Place) -> None:
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    place.proxy.plan(Answer(200, headers=(("ETag", '"0"'),)), which=of("PUT", having="partNumber=1"))
    for number, part in enumerate(PARTS, 1):
        assert ada.put_part(upload_id, number, part).status_code == 200
    [error] = ada.complete(upload_id).payload["userErrors"]
    assert (error["code"], error["status"], error["missingPartNumbers"]) == ("UPLOAD_STATE", "PENDING", [1])
    assert ada.put_part(upload_id, 1, PARTS[0]).status_code == 200
    assert ada.completed(upload_id)["size"] == len(LARGE)
    place.require_order()


def test_parts_that_the_store_says_are_joined_and_are_not_are_joined_by_the_next_try(ada: Sender, place: Place) -> None:
    upload_id = ada.sent("MULTIPART")
    said = b"<CompleteMultipartUploadResult><ETag>&quot;0-2&quot;</ETag></CompleteMultipartUploadResult>"
    place.proxy.plan(Answer(200, said), which=at(ada.key(upload_id), "POST"))
    assert ada.complete(upload_id).codes == ["UPLOAD_STATE"]
    assert ada.look(upload_id)["status"] == "PENDING"
    assert ada.completed(upload_id)["size"] == len(LARGE)
    place.require_order()


def test_an_upload_that_the_store_says_it_began_and_did_not_is_begun_again(ada: Sender, place: Place) -> None:
    said = b"<InitiateMultipartUploadResult><UploadId>made-up</UploadId></InitiateMultipartUploadResult>"
    place.proxy.plan(Answer(200, said), which=of("POST", having="uploads", lacking="uploadId"))
    upload_id = ada.promised(len(LARGE), "MULTIPART")
    assert ada.put_part(upload_id, 1, PARTS[0]).status_code == 404
    assert ada.complete(upload_id).payload["userErrors"][0]["missingPartNumbers"] == [1, 2]
    for number, part in enumerate(PARTS, 1):
        assert ada.put_part(upload_id, number, part).status_code == 200
    assert ada.completed(upload_id)["size"] == len(LARGE)
    place.require_order()


def test_what_the_store_says_it_removed_and_did_not_goes_when_it_is_removed_again(ada: Sender, place: Place) -> None:
    upload_id, in_parts = ada.sent(), ada.sent("MULTIPART")
    key = ada.key(upload_id)
    place.proxy.plan(Answer(204), which=of("DELETE"))
    place.proxy.plan(Answer(200, b"<DeleteResult></DeleteResult>"), times=2, which=of("POST", having="delete"))
    for each in (upload_id, in_parts):
        assert ada.abort(each).codes == []
    assert key in place.stored()
    place.require_order()
    assert key not in place.stored()
