"""The API is killed where it hurts: when it has claimed and not committed, and when the store has done what it asked.

One process is killed once, with a request under way at each of these places. Another process comes after it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.program import frozen, wait_for
from tests.faults import Hold, HoldAnswer
from tests.faults.locks import nothing_is_inserted_into_files, silent_transactions
from tests.faults.place import Place, at, of
from tests.faults.sender import LARGE, PARTS, SMALL, Sender, sender
from tests.faults.victim import victim

BEGUN = "begun.bin"


@dataclass
class Left:
    """What was under way when the service was killed, by where it was."""

    place: Place
    ada: Sender
    grace: Sender
    looked_at: str  # the store was asked whether the bytes are there
    joined: str  # the parts were joined, and the service not told
    not_joined: str  # it was about to ask for that
    claimed: tuple[str, str]  # ada's and grace's, each between claim and commit
    aborted: str  # committed; the parts were removed, and the service not told
    deleted: str  # a file; committed; its bytes were about to be removed
    deleted_key: str


@pytest.fixture(scope="module")
def left(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("killed")
    with place.serving(folder) as service, sender(service) as ada, sender(service, "grace") as grace:
        looked_at, to_delete, claimed = ada.sent(), ada.sent(), (ada.sent(), grace.sent())
        joined, not_joined, aborted = [ada.sent("MULTIPART") for _ in range(3)]
        keys = {upload_id: ada.key(upload_id) for upload_id in (looked_at, to_delete, joined, not_joined, aborted)}
        deleted = str(ada.completed(to_delete)["id"])
        with victim(service, place.proxy) as under:
            begins = of("POST", having="uploads", lacking="uploadId")
            under.hold(lambda: ada.create(len(LARGE), "MULTIPART", filename=BEGUN), HoldAnswer(), begins)
            under.hold(lambda: ada.complete(looked_at), HoldAnswer(), at(keys[looked_at], "HEAD"))
            under.hold(lambda: ada.complete(joined), HoldAnswer(), at(keys[joined], "POST"))
            under.hold(lambda: ada.complete(not_joined), Hold(), at(keys[not_joined], "POST"))
            under.hold(lambda: ada.abort(aborted), HoldAnswer(), at(keys[aborted], "DELETE"))
            under.hold(lambda: ada.delete(deleted), Hold(), of("POST", having="delete"))
            with nothing_is_inserted_into_files(place.database_url) as waiting:
                under.begin(lambda: ada.complete(claimed[0]))
                under.begin(lambda: grace.complete(claimed[1]))
                wait_for(lambda: waiting() == 2)
                under.kill()
    with place.serving(folder) as service, sender(service) as ada, sender(service, "grace") as grace:
        key = keys[to_delete]
        yield Left(place, ada, grace, looked_at, joined, not_joined, claimed, aborted, deleted, key)


def test_what_was_begun_at_the_store_and_is_in_no_row_is_begun_again(left: Left) -> None:
    [upload_id] = left.ada.find(BEGUN, len(LARGE))
    for number, part in enumerate(PARTS, 1):
        assert left.ada.put_part(upload_id, number, part).status_code == 200
    assert left.ada.completed(upload_id)["size"] == len(LARGE)


def test_a_completion_that_was_killed_anywhere_before_its_end_is_done_by_the_next_try(left: Left) -> None:
    for upload_id, size in (
        (left.looked_at, len(SMALL)),
        (left.joined, len(LARGE)),
        (left.not_joined, len(LARGE)),
        (left.claimed[0], len(SMALL)),
    ):
        seen = left.ada.look(upload_id)
        assert (seen["status"], seen["file"]) == ("PENDING", None)
        assert left.ada.completed(upload_id)["size"] == size


def test_what_was_committed_stays_so(left: Left) -> None:
    assert left.ada.look(left.aborted)["status"] == "ABORTED"
    assert left.ada.complete(left.aborted).codes == ["UPLOAD_STATE"]
    [again] = left.ada.delete(left.deleted).payload["results"]
    assert [error["code"] for error in again["userErrors"]] == ["NOT_FOUND"]


def test_upkeep_does_what_nobody_asks_for_again(left: Left) -> None:
    assert left.grace.look(left.claimed[1])["status"] == "PENDING"
    assert left.deleted_key in left.place.stored()
    left.place.require_order()
    assert left.deleted_key not in left.place.stored()
    seen = left.grace.look(left.claimed[1])
    assert (seen["status"], seen["file"]["size"]) == ("COMPLETED", len(SMALL))


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_what_was_claimed_by_a_machine_that_vanished_is_free_after_a_minute(place: Place, tmp_path: Path) -> None:
    with (
        place.serving(tmp_path) as vanished,
        sender(vanished) as ada,
        ThreadPoolExecutor(1) as threads,
        ExitStack() as sleep,
    ):
        assert ada.completed(ada.sent())  # its statements are prepared, so it falls silent between two, not within one
        upload_id = ada.sent()
        with nothing_is_inserted_into_files(place.database_url) as waiting:
            answer = threads.submit(ada.complete, upload_id)
            wait_for(lambda: waiting() == 1)
            sleep.enter_context(frozen(vanished.program.pid))
        with place.serving(tmp_path) as service, sender(service) as again:
            assert again.look(upload_id)["status"] == "PENDING"
            wait_for(lambda: silent_transactions(place.database_url) == 1)
            wait_for(lambda: silent_transactions(place.database_url) == 0, seconds=100)
            file = again.completed(upload_id)
        sleep.close()  # it was only asleep, and its client has lost patience
        assert isinstance(answer.exception(60), httpx.TimeoutException)
        assert ada.completed(upload_id) == file
    place.require_order()
