"""Signatures alone: a presigned PUT against botocore's, a link against the bare signature that is in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
from botocore.config import Config

from benchmarks import naive, site
from benchmarks.checks import check_link, check_put, checksum_header
from benchmarks.floor import ECDSA
from benchmarks.measure import Effort, Operation, interleaved
from benchmarks.report import Bound, Measurement
from benchmarks.site import Site
from graphql_api.access import read_grant
from graphql_api.bootstrap import assemble
from graphql_api.localcloud.signature import SignatureVerifier
from graphql_api.model.delivery import LinkWish
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.rule import PLAIN
from graphql_api.model.stored_object import PromisedObject
from graphql_api.settings import Settings

NAMES: Final = ("presign", "link")

_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_KEY: Final = "o/01kaqz6c4m0000000000000000"


async def measure(name: str, place: Site, effort: Effort) -> Measurement:
    return await (_presign(place, effort) if name == "presign" else _link(place, effort))


async def _presign(place: Site, effort: Effort) -> Measurement:
    """``S3Store.presign_put`` against ``generate_presigned_url`` of a client that is made once."""
    promise = PromisedObject(_KEY, 1_234_567, "application/pdf", _SHA256)
    parameters: dict[str, Any] = {
        "Bucket": site.BUCKET,
        "Key": _KEY,
        "ContentType": promise.content_type,
        "ContentLength": promise.size,
        "ChecksumSHA256": checksum_header(_SHA256),
        "IfNoneMatch": "*",
    }
    client = boto3.client(
        "s3",
        region_name=site.REGION,
        endpoint_url=site.STORE,
        aws_access_key_id=site.ACCESS_KEY_ID,
        aws_secret_access_key=site.SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    assembly = assemble(Settings.read(place.environment))
    lifetime = timedelta(seconds=site.TARGET_SECONDS)

    async def ours() -> str:
        return (await assembly.store.presign_put(promise, now=datetime.now(UTC), lifetime=lifetime)).url

    async def botocore() -> str:
        return client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=site.TARGET_SECONDS)

    headers = {
        "content-type": promise.content_type,
        "content-length": str(promise.size),
        "x-amz-checksum-sha256": checksum_header(_SHA256),
        "if-none-match": "*",
    }
    assert check_put(await ours(), headers) == check_put(await botocore(), headers)
    times = await interleaved({"ours": ours, "naive": botocore}, effort)
    client.close()
    await assembly.close()
    return Measurement("presign", None, times["ours"], times["naive"], None, [Bound("naive/ours", at_least=10)])


async def _link(place: Site, effort: Effort) -> Measurement:
    """``Delivery.sign`` against the naive program's link and against one signature."""
    assembly = assemble(Settings.read(place.environment))
    owner, now = UserId(place.user_id), datetime.now(UTC)
    file = File(
        id=FileId("file_01kaqz6c4m0000000000000000"),
        folder_id=FolderId(place.folder_id),
        owner_id=owner,
        name="Site survey 000001 final.pdf",
        size=1_234_567,
        content_type="application/pdf",
        stored_content_type="application/pdf",
        sha256=None,
        object_key=_KEY,
        created_at=now,
        updated_at=now,
        terms=PLAIN,
    )
    grant = read_grant(file)
    assert grant is not None
    wish = LinkWish(timedelta(seconds=site.LINK_SECONDS))
    policy = b'{"Statement":[{"Resource":"%s","Condition":{}}]}' % (b"x" * 150)

    def ours() -> str:
        return assembly.services.delivery.sign(grant, wish).url

    def tutorial() -> str:
        return naive.cloudfront_url(place.key_path, _KEY, file.name, now + wish.lifetime)

    def bare() -> bytes:
        return place.private_key.sign(policy, ECDSA)

    verifier = SignatureVerifier({site.CDN_KEY_ID: place.public_pem})
    check_link(ours(), verifier)
    check_link(tutorial(), verifier)
    times = await interleaved(
        {"ours": _as_operation(ours), "naive": _as_operation(tutorial), "floor": _as_operation(bare)}, effort
    )
    await assembly.close()
    bound = Bound("ours/floor", at_most=2)
    return Measurement("link", None, times["ours"], times["naive"], times["floor"], [bound])


def _as_operation(call: Callable[[], object]) -> Operation:
    async def operation() -> object:
        return call()

    return operation
