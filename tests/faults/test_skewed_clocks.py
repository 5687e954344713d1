"""The clocks of the API, of a worker and of the store differ, by less and by more than S3's quarter of an hour."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from graphql_api.bootstrap import Assembly
from graphql_api.errors import Unavailable, UploadStateConflict
from graphql_api.model.parts import PartsTarget
from graphql_api.model.principal import Identity, Principal
from graphql_api.model.stored_object import PutUploadTarget
from graphql_api.model.upload import OnConflict, Upload, UploadMethod, UploadStatus
from graphql_api.services.upload_targets import PartWish
from graphql_api.services.upload_wishes import UploadWish
from tests.contracts.samples import crc64nvme_of
from tests.faults import Answer, HoldAnswer
from tests.faults.place import Place, of
from tests.faults.sender import LARGE, PARTS, SMALL
from tests.signing.botos_clock import shifted

LITTLE, MUCH = timedelta(minutes=14), timedelta(minutes=16)


async def principal(parts: Assembly) -> Principal:
    return await parts.services.accounts.principal_of(Identity("https://issuer.test", "ada", "Ada"))


async def promised(parts: Assembly, content: bytes, method: UploadMethod = UploadMethod.PUT) -> Upload:
    wish = UploadWish("a.bin", len(content), "application/octet-stream", method=method, on_conflict=OnConflict.RENAME)
    return await parts.services.uploads.create(await principal(parts), wish)


async def put(parts: Assembly, upload: Upload, content: bytes = SMALL) -> int:
    """What the store says to it."""
    target = await parts.services.upload_targets.target(upload)
    assert isinstance(target, PutUploadTarget)
    return await send(target.url, target.headers, content)


async def send(url: str, headers: tuple[tuple[str, str], ...], content: bytes) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.put(url, content=content, headers=dict(headers))).status_code


async def status_of(parts: Assembly, upload: Upload) -> UploadStatus:
    return (await parts.services.uploads.get(await principal(parts), upload.id)).status


@pytest.mark.parametrize("skew", [LITTLE, -LITTLE], ids=["ahead", "behind"])
async def test_a_difference_that_the_store_takes_is_not_noticed(place: Place, skew: timedelta) -> None:
    with shifted(skew):
        async with place.assembled(ahead=skew) as wrong:
            services, ada = wrong.services, await principal(wrong)
            upload = await promised(wrong, SMALL)
            assert await put(wrong, upload) == 200
            _, file = await services.completion.complete(ada, upload.id)
            assert file
            in_parts = await promised(wrong, LARGE, UploadMethod.MULTIPART)
            wishes = [PartWish(number, crc64nvme_of(part)) for number, part in enumerate(PARTS, 1)]
            _, targets = await services.upload_targets.sign_parts(ada, in_parts.id, wishes)
            for target, part in zip(targets, PARTS, strict=True):
                assert await send(target.url, target.headers, part) == 200
            assert (await services.completion.complete(ada, in_parts.id))[1]
            await services.files.delete(ada, [file.id])
    assert upload.object_key not in place.stored()
    await place.settle()


@pytest.mark.parametrize("skew", [MUCH, -MUCH], ids=["ahead", "behind"])
async def test_beyond_that_the_process_is_unready_and_another_goes_on_with_what_it_left(
    place: Place, skew: timedelta
) -> None:
    with shifted(skew):
        async with place.assembled(ahead=skew) as wrong:
            services, ada = wrong.services, await principal(wrong)
            assert await services.health.failing_parts() == ("store",)
            upload, aborted = await promised(wrong, SMALL), await promised(wrong, SMALL)
            in_parts = await promised(wrong, LARGE, UploadMethod.MULTIPART)
            for each in (upload, aborted):
                assert await put(wrong, each) == 200  # of a target the store compares the end only
            with pytest.raises(Unavailable):
                await services.completion.complete(ada, upload.id)
            with pytest.raises(Unavailable):
                await services.upload_targets.target(in_parts)
            await services.uploads.abort(ada, aborted.id)
    assert aborted.object_key in place.stored()
    async with place.assembled() as right:
        assert (await right.services.completion.complete(ada, upload.id))[1]
        assert isinstance(await right.services.upload_targets.target(in_parts), PartsTarget)
    await place.settle()
    assert aborted.object_key not in place.stored()


async def test_a_target_of_an_api_that_is_behind_ends_too_early(place: Place) -> None:
    async with place.assembled(ahead=-timedelta(hours=1)) as wrong:
        upload = await promised(wrong, SMALL)
        assert await put(wrong, upload) == 403
    async with place.assembled() as right:
        assert await put(right, upload) == 200
    await place.settle()


async def test_a_worker_that_is_ahead_ends_uploads_early_and_loses_no_bytes_that_are_there(place: Place) -> None:
    async with place.assembled(ahead=timedelta(minutes=10, days=-1)) as yesterday:
        sent, late = await promised(yesterday, SMALL), await promised(yesterday, SMALL)
    async with place.assembled() as api:
        target = await api.services.upload_targets.target(late)
        assert isinstance(target, PutUploadTarget)
        assert await put(api, sent) == 200
        async with place.assembled(ahead=LITTLE) as worker:
            assert await worker.services.lookout.look() == 2
        assert await status_of(api, sent) is UploadStatus.COMPLETED
        assert await status_of(api, late) is UploadStatus.EXPIRED
        assert await send(target.url, target.headers, SMALL) == 200  # its target is good for ten minutes
        with pytest.raises(UploadStateConflict):
            await api.services.completion.complete(await principal(api), late.id)
    assert late.object_key in place.stored()
    await place.settle()
    assert late.object_key not in place.stored()


async def test_two_workers_whose_clocks_differ_by_more_than_a_lease_may_remove_the_same(place: Place) -> None:
    async with place.assembled() as api:
        upload = await promised(api, SMALL)
        assert await put(api, upload) == 200
        place.proxy.plan(Answer(503), times=2, which=of("POST", having="delete"))
        await api.services.uploads.abort(await principal(api), upload.id)
    hold = HoldAnswer()
    place.proxy.plan(hold, which=of("POST", having="delete"))
    async with place.assembled() as first, place.assembled(ahead=LITTLE) as second:
        sweeping = asyncio.create_task(first.services.upkeep.sweep())
        assert await asyncio.to_thread(hold.reached.wait, 60)
        assert await second.services.upkeep.sweep() == 1
        hold.go_on.set()
        assert await sweeping == 1
    assert upload.object_key not in place.stored()
    await place.settle()
