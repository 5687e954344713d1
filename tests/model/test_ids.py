"""Ids sort by time, carry their type, and a malformed one is replaced by one that nothing has."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.model.ids import (
    FILE_PREFIX,
    FOLDER_PREFIX,
    MAX_ID_LENGTH,
    ROOT_FOLDER_ID,
    UPLOAD_PREFIX,
    new_file_id,
    new_folder_id,
    new_object_key,
    new_ulid,
    new_upload_id,
    new_user_id,
    well_formed,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = FILE_PREFIX + "z" * 26
INSTANTS = st.integers(1, 2**47).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


@given(INSTANTS)
def test_ids_sort_by_the_millisecond_they_were_made_in(instant: datetime) -> None:
    earlier, later = new_ulid(instant), new_ulid(instant + timedelta(milliseconds=2))
    assert earlier < later
    assert len(earlier) == 26


def test_no_two_ids_are_alike() -> None:
    assert len({new_ulid(NOW) for _ in range(10_000)}) == 10_000


def test_every_id_fits_its_column_and_is_well_formed() -> None:
    for make in (new_user_id, new_folder_id, new_file_id, new_upload_id):
        id_ = make(NOW)
        assert len(id_) <= MAX_ID_LENGTH
        assert well_formed(id_, id_[:-26]) == id_
    assert well_formed(ROOT_FOLDER_ID, FOLDER_PREFIX) == ROOT_FOLDER_ID


def test_an_object_key_needs_no_escaping() -> None:
    key = new_object_key(NOW)
    assert key.startswith("o/")
    assert key.removeprefix("o/").isalnum()
    assert key.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file_",
        "file_" + "0" * 25,
        "file_" + "0" * 27,
        "file_" + "0" * 25 + "\n",
        "file_" + "0" * 25 + "\0",
        "file_" + "0" * 25 + "u",  # not in the alphabet
        "file_" + "A" * 26,
        "file_" + "٣" * 26,
        "FILE_" + "0" * 26,
        "file_" + "\ud800" * 26,
        "' OR 1=1 --",
        pytest.param(new_upload_id(NOW), id="of an upload"),
        pytest.param(new_folder_id(NOW), id="of a folder"),
    ],
)
def test_a_malformed_id_becomes_one_that_nothing_has(text: str) -> None:
    assert well_formed(text, FILE_PREFIX) == NOBODY


@given(st.text())
def test_whatever_comes_in_an_id_goes_to_the_database(text: str) -> None:
    for prefix in (FILE_PREFIX, FOLDER_PREFIX, UPLOAD_PREFIX):
        id_ = well_formed(text, prefix)
        assert id_.startswith(prefix)
        assert len(id_) == len(prefix) + 26
        assert id_.isascii()
