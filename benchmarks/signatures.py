"""Signatures alone: presigned PUTs and parts against botocore's, a link against the bare signature that is in it, and
links that are remembered against those that are not.
"""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from benchmarks import naive, site
from benchmarks.checks import check_link, check_put, checksum_header
from benchmarks.floor import ECDSA
from benchmarks.measure import Effort, Operation, interleaved
from benchmarks.report import Bound, Measurement
from benchmarks.site import Site
from graphql_api.access import read_grant
from graphql_api.bootstrap import Assembly, assemble
from graphql_api.localcloud.signature import SignatureVerifier
from graphql_api.model.delivery import LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import FolderId, UserId, new_file_id, new_object_key
from graphql_api.model.parts import MAX_PARTS, MIB, PromisedPart, StoreUpload
from graphql_api.model.rule import PLAIN
from graphql_api.model.stored_object import PromisedObject
from graphql_api.settings import Settings
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring, SigningKey

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client

NAMES: Final = ("presign", "parts", "link", "links", "links-rsa")

_PAGE_SIZE: Final = 100

_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_KEY: Final = "o/01kaqz6c4m0000000000000000"
_UPLOAD_ID: Final = "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"
_CRC64NVME: Final = "04b476a81a5b6129"
_PART_SIZE: Final = 16 * MIB


async def measure(name: str, place: Site, effort: Effort) -> Measurement:
    measures = {"presign": _presign, "parts": _parts, "link": _link, "links": _links, "links-rsa": _links_by_rsa}
    return await measures[name](place, effort)


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
    client = _client()
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


async def _parts(place: Site, effort: Effort) -> Measurement:
    """``S3Store.presign_parts`` for all parts of the largest upload, against ``generate_presigned_url`` for each."""
    upload = StoreUpload(_KEY, _UPLOAD_ID)
    parts = [PromisedPart(number, _PART_SIZE, _CRC64NVME) for number in range(1, MAX_PARTS + 1)]
    checksum = checksum_header(_CRC64NVME)
    client, assembly = _client(), assemble(Settings.read(place.environment))
    lifetime = timedelta(seconds=site.TARGET_SECONDS)

    async def ours(wanted: Sequence[PromisedPart] = parts) -> list[str]:
        targets = await assembly.store.presign_parts(upload, wanted, now=datetime.now(UTC), lifetime=lifetime)
        return [target.url for target in targets]

    async def botocore(wanted: Sequence[PromisedPart] = parts) -> list[str]:
        return [
            client.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": site.BUCKET,
                    "Key": _KEY,
                    "UploadId": _UPLOAD_ID,
                    "PartNumber": part.number,
                    "ContentLength": part.size,
                    "ChecksumCRC64NVME": checksum,
                },
                ExpiresIn=site.TARGET_SECONDS,
            )
            for part in wanted
        ]

    headers = {"content-length": str(_PART_SIZE), "x-amz-checksum-crc64nvme": checksum}
    sample = [parts[0], parts[-1]]
    for one, other in zip(await ours(sample), await botocore(sample), strict=True):
        assert check_put(one, headers) == check_put(other, headers)
    if not effort.block_seconds:
        del parts[100:]  # only to see that it works
    times = await interleaved({"ours": ours, "naive": botocore}, effort)
    client.close()
    await assembly.close()
    return Measurement("parts", None, times["ours"], times["naive"], None, [Bound("naive/ours", at_least=20)])


def _client() -> "S3Client":
    return boto3.client(
        "s3",
        region_name=site.REGION,
        endpoint_url=site.STORE,
        aws_access_key_id=site.ACCESS_KEY_ID,
        aws_secret_access_key=site.SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )


def _signing(settings: Settings) -> Assembly:
    """The parts of a process that signs with the key of the settings, as if it had read that in the keyring."""
    assembly = assemble(settings)
    assert settings.cdn_base_url is not None and settings.cdn_key_id is not None  # noqa: PT018 -- not a test
    key = SigningKey.from_pem(settings.cdn_key_id, settings.cdn_private_key_pem.get_secret_value())
    until = datetime.now(UTC) + settings.link_max_lifetime + timedelta(days=1)
    assembly.keys.in_use.use(CloudFrontSigner(settings.cdn_base_url, Keyring([key])), until=int(until.timestamp()))
    return assembly


async def _link(place: Site, effort: Effort) -> Measurement:
    """``Delivery.sign`` for a link that is not remembered, against the naive program's link and one signature."""
    assembly = _signing(Settings.read({**place.environment, "GRAPHQL_API_LINK_MEMO_BYTES": "0"}))
    [grant], now = _grants(place, 1), datetime.now(UTC)
    wish = LinkWish(timedelta(seconds=site.LINK_SECONDS))
    policy = b'{"Statement":[{"Resource":"%s","Condition":{}}]}' % (b"x" * 150)

    def ours() -> str:
        [link] = assembly.services.delivery.sign([grant], wish)
        return link.url

    def tutorial() -> str:
        return naive.cloudfront_url(place.key_path, grant.file.object_key, grant.file.name, now + wish.lifetime)

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


async def _links(place: Site, effort: Effort) -> Measurement:
    """``Delivery.sign`` for a page of links that have been signed before, against a page of links that have not."""
    return await _remembered("links", place, place.key_path, place.public_pem, effort)


async def _links_by_rsa(place: Site, effort: Effort) -> Measurement:
    """The same with the key of most tutorials."""
    key, path = rsa.generate_private_key(65_537, 2048), place.key_path.with_name("rsa.pem")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return await _remembered("links-rsa", place, path, public_pem, effort)


async def _remembered(name: str, place: Site, key_path: Path, public_pem: str, effort: Effort) -> Measurement:
    settings = Settings.read({**place.environment, "GRAPHQL_API_CDN_PRIVATE_KEY_FILE": str(key_path)})
    assembly = _signing(settings)
    delivery, grants = assembly.services.delivery, _grants(place, _PAGE_SIZE)
    wish = LinkWish(timedelta(seconds=site.LINK_SECONDS))
    # Another wish each time; it is remembered as well, and drives out what was remembered before.
    lifetimes = itertools.cycle(range(site.LINK_SECONDS + 1, int(settings.link_max_lifetime.total_seconds())))

    def warm() -> object:
        return delivery.sign(grants, wish)

    def cold() -> object:
        return delivery.sign(grants, LinkWish(timedelta(seconds=next(lifetimes))))

    verifier = SignatureVerifier({site.CDN_KEY_ID: public_pem})
    for link in delivery.sign(grants, wish):
        check_link(link.url, verifier)
    times = await interleaved({"ours": _as_operation(warm), "cold": _as_operation(cold)}, effort)
    await assembly.close()
    bound = Bound("cold/ours", at_least=100)
    return Measurement(name, None, times["ours"], None, None, [bound], cold=times["cold"])


def _grants(place: Site, files: int) -> list[ReadGrant]:
    """To files as a page has them."""
    now, found = datetime.now(UTC), []
    for number in range(files):
        file = File(
            id=new_file_id(now),
            folder_id=FolderId(place.folder_id),
            owner_id=UserId(place.user_id),
            name=f"Site survey {number:06} final.pdf",
            size=1_234_567,
            content_type="application/pdf",
            stored_content_type="application/pdf",
            sha256=None,
            object_key=new_object_key(now),
            created_at=now,
            updated_at=now,
            terms=PLAIN,
        )
        grant = read_grant(file)
        assert grant is not None
        found.append(grant)
    return found


def _as_operation(call: Callable[[], object]) -> Operation:
    async def operation() -> object:
        return call()

    return operation
