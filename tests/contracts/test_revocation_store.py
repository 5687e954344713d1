"""Every ``RevocationStore`` keeps the protocol's promises: in memory, and boto3 with the stand-in that ``dev`` runs."""

from collections.abc import Iterator
from typing import TypeVar

import pytest

from graphql_api.edge import MAX_CHANGES, RevocationStore
from graphql_api.edge.key_value_store import CloudFrontKeyValueStore
from graphql_api.errors import Unavailable
from graphql_api.localcloud.key_value_store import MAX_SIZE, KeyValueStore, create_key_value_store_api
from graphql_api.model.revocation import Mark, mark_of
from tests.memory_edge import MemoryEdge
from tests.served import serving

ARN = "arn:aws:cloudfront::123456789012:key-value-store/0a1b2c3d-0000-1111-2222-333344445555"
KEY_ID = "AKIDEXAMPLE"
ONE, TWO = mark_of("file_1"), mark_of("file_2")
T = TypeVar("T")


class Place:
    """A store, and what it holds."""

    def __init__(self, store: RevocationStore, kept: KeyValueStore | MemoryEdge) -> None:
        self.store = store
        self.kept = kept

    @property
    def numbers(self) -> dict[str, int]:
        if isinstance(self.kept, MemoryEdge):
            return self.kept.numbers
        return {key: int(value) for key, value in self.kept.items.items()}


def client(url: str, key_id: str = KEY_ID) -> CloudFrontKeyValueStore:
    return CloudFrontKeyValueStore(
        arn=ARN, endpoint_url=url, access_key_id=key_id, secret_access_key="a secret of this test"
    )


@pytest.fixture(params=["memory", "boto3"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "memory":
        memory = MemoryEdge()
        yield Place(memory, memory)
        return
    kept = KeyValueStore()
    with serving(create_key_value_store_api(kept, ARN, KEY_ID)) as url:
        store = client(url)
        yield Place(store, kept)
        store.close()


async def test_what_is_put_is_there_and_what_is_removed_is_not(place: Place) -> None:
    first = await place.store.version()
    second = await place.store.change(first, put={ONE: 1, TWO: 2})
    assert second is not None
    assert place.numbers == {ONE: 1, TWO: 2}
    third = await place.store.change(second, put={ONE: 2**53}, remove=[TWO])
    assert place.numbers == {ONE: 2**53}
    assert third == await place.store.version()
    assert len({first, second, third}) == 3


async def test_who_comes_from_another_version_changes_nothing(place: Place) -> None:
    old = await place.store.version()
    await place.store.change(old, put={ONE: 1})
    assert await place.store.change(old, put={ONE: 7, TWO: 7}, remove=[mark_of("file_3")]) is None
    assert place.numbers == {ONE: 1}


async def test_what_is_not_there_can_be_removed(place: Place) -> None:
    assert await place.store.change(await place.store.version(), put={}, remove=[ONE]) is not None


async def test_as_much_as_is_allowed_goes_at_once(place: Place) -> None:
    put = {mark_of(f"file_{n}"): n for n in range(MAX_CHANGES)}
    assert await place.store.change(await place.store.version(), put=put) is not None
    assert place.numbers == put


async def test_a_store_that_does_not_answer_is_unavailable() -> None:
    with serving(create_key_value_store_api(KeyValueStore(), ARN, KEY_ID)) as url:
        pass
    store = client(url)
    with pytest.raises(Unavailable):
        await store.version()
    with pytest.raises(Unavailable):
        await store.change("v1", put={ONE: 1})
    store.close()


async def test_a_store_that_refuses_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    kept = KeyValueStore()
    kept.items["filler"] = "x" * (MAX_SIZE - 20)
    with serving(create_key_value_store_api(kept, ARN, KEY_ID)) as url:
        stranger, full = client(url, "ANOTHER"), client(url)
        with pytest.raises(Unavailable):
            await stranger.version()
        with pytest.raises(Unavailable):
            await full.change(await full.version(), put={ONE: 10**9})
        with pytest.raises(Unavailable):
            await full.change(await full.version(), put={Mark(f"{n}"): n for n in range(MAX_CHANGES + 1)})
        stranger.close()
        full.close()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("graphql_api")] == [
        "edge_unavailable operation=describe error=AccessDeniedException",
        "edge_unavailable operation=update error=ServiceQuotaExceededException",
        "edge_unavailable operation=update error=ValidationException",
    ]
    assert ONE not in kept.items
