"""What a part's target binds, tried on the two stores that verify it."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from graphql_api.model.parts import PromisedPart
from graphql_api.storage.s3 import S3Store
from tests.contracts.parts import LIFETIME, TAIL, Begun, begun_at, put

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["seaweed", "mini"])
def store(request: pytest.FixtureRequest) -> S3Store:
    found: S3Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def begun(store: S3Store) -> Begun:
    return await begun_at(store)


async def refused(begun: Begun, url: str, content: bytes, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = await client.put(url, content=content, headers=headers)
    assert 400 <= sent.status_code < 500, sent.text
    assert await begun.parts() == []


@pytest.mark.parametrize("content", [TAIL + b"x", TAIL[:-1], b""], ids=["longer", "shorter", "empty"])
@pytest.mark.parametrize("with_checksum", [True, False])
async def test_another_length_is_refused(begun: Begun, content: bytes, with_checksum: bool) -> None:
    target = await begun.target(1, TAIL, with_checksum=with_checksum)
    await refused(begun, target.url, content, dict(target.headers))


async def test_other_bytes_of_the_same_length_are_refused(begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    await refused(begun, target.url, TAIL[::-1], dict(target.headers))


async def test_without_a_promised_checksum_only_the_length_is_bound(begun: Begun) -> None:
    target = await begun.target(1, TAIL, with_checksum=False)
    assert target.headers == ()
    assert (await put(target, TAIL[::-1])).status_code == 200


async def test_another_checksum_and_none_are_refused(begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    other = await begun.target(1, TAIL[::-1])
    await refused(begun, target.url, TAIL[::-1], dict(other.headers))
    await refused(begun, target.url, TAIL, {})


async def test_another_number_another_upload_and_another_key_are_refused(store: S3Store, begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    other = await begun_at(store)
    headers = dict(target.headers)
    for old, new in (
        ("partNumber=1&", "partNumber=2&"),
        (begun.upload.id, other.upload.id),
        (begun.upload.key, other.upload.key),
        (f"uploadId={begun.upload.id}", "uploadId="),
        ("&partNumber=1", ""),
    ):
        assert old in target.url
        await refused(begun, target.url.replace(old, new), TAIL, headers)
        assert await other.parts() == []


async def test_an_upload_of_another_key_is_refused_even_when_it_is_signed(store: S3Store, begun: Begun) -> None:
    other = await begun_at(store)
    foreign = Begun(store, type(begun.upload)(other.upload.key, begun.upload.id))
    target = await foreign.target(1, TAIL)
    await refused(begun, target.url, TAIL, dict(target.headers))
    assert await other.parts() == []


async def test_an_expired_target_is_refused(begun: Begun) -> None:
    [target] = await begun.store.presign_parts(
        begun.upload,
        [PromisedPart(1, len(TAIL))],
        now=datetime.now(UTC) - timedelta(minutes=10),
        lifetime=timedelta(minutes=9),
    )
    await refused(begun, target.url, TAIL, {})


async def test_a_flipped_signature_is_refused(begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    last = "0" if target.url[-1] != "0" else "1"
    await refused(begun, target.url[:-1] + last, TAIL, dict(target.headers))


async def test_a_part_may_be_sent_again_until_its_target_expires(begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    for _ in range(2):
        assert (await put(target, TAIL)).status_code == 200
    assert [part.size for part in await begun.parts()] == [len(TAIL)]


async def test_after_an_upload_is_given_up_its_targets_are_refused(begun: Begun) -> None:
    target = await begun.target(1, TAIL)
    await begun.store.abort_parts(begun.upload)
    assert (await put(target, TAIL)).status_code == 404
    assert await begun.store.list_parts(begun.upload) is None


async def test_targets_are_in_order_and_expire_together(begun: Begun) -> None:
    now = datetime(2026, 11, 22, 9, 5, 7, 123456, tzinfo=UTC)
    wishes = [PromisedPart(3, 7), PromisedPart(1, 5, "00" * 8), PromisedPart(2, 6)]
    targets = await begun.store.presign_parts(begun.upload, wishes, now=now, lifetime=LIFETIME)
    assert [target.number for target in targets] == [3, 1, 2]
    assert {target.expires_at for target in targets} == {datetime(2026, 11, 22, 9, 10, 7, tzinfo=UTC)}
    assert [target.headers for target in targets] == [(), (("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),), ()]
    assert await begun.store.presign_parts(begun.upload, [], now=now, lifetime=LIFETIME) == []
