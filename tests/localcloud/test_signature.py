"""Signatures of foreign signers pass; nothing that was touched after signing does."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.refusal import (
    AccessDenied,
    InvalidKey,
    MalformedPolicy,
    MalformedSignature,
    MissingKey,
    Refusal,
)
from graphql_api.localcloud.signature import SignatureVerifier
from tests.localcloud.viewer import (
    BASE_URL,
    EPOCH,
    NOW,
    URL,
    Signer,
    canned_policy,
    cloudfront_base64,
    cookies,
    custom_policy,
    request,
    with_query,
)
from tests.web.conftest import tool

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())

RSA_SHA1 = Signer("KRSA", RSA_KEY)
RSA_SHA256 = Signer("KRSA", RSA_KEY, is_sha256=True)
EC_SHA1 = Signer("KEC", EC_KEY)
EC_SHA256 = Signer("KEC", EC_KEY, is_sha256=True)
STRANGER = Signer("KSTRANGER", ec.generate_private_key(ec.SECP256R1()))
SIGNERS = [RSA_SHA1, RSA_SHA256, EC_SHA1, EC_SHA256]

every_signer = pytest.mark.parametrize("signer", SIGNERS, ids=["rsa-sha1", "rsa-sha256", "p256-sha1", "p256-sha256"])

VERIFIER = SignatureVerifier({"KRSA": RSA_SHA1.public_pem, "KEC": EC_SHA1.public_pem})


def passes(url: str, *, cookie: str = "", address: str | None = "192.0.2.7", now: datetime = NOW) -> bool:
    try:
        VERIFIER.verify(request(url, cookie=cookie, address=address), now)
    except Refusal:
        return False
    return True


def refusal(url: str, *, cookie: str = "") -> type[Refusal]:
    with pytest.raises(Refusal) as raised:
        VERIFIER.verify(request(url, cookie=cookie), NOW)
    return raised.type


@every_signer
def test_a_signed_url_passes(signer: Signer) -> None:
    assert passes(signer.canned(URL))
    assert passes(signer.canned(URL + "?response-content-disposition=inline%3B%20filename%3D%22a.txt%22"))
    assert passes(signer.custom(URL, custom_policy(URL)))
    assert passes(signer.custom(URL + "?a=b", custom_policy(BASE_URL + "/o/*")))


@every_signer
def test_signed_cookies_pass(signer: Signer) -> None:
    assert passes(URL, cookie=cookies(signer.canned(URL)))
    assert passes(URL + "?a=b", cookie="theme=dark; " + cookies(signer.custom(URL, custom_policy(BASE_URL + "/o/*"))))


@pytest.mark.parametrize(
    "url", [URL, URL + "?a=b", URL + "?a=b%2Fc&d", BASE_URL + "/caf%C3%A9/a%20b~(1).txt", URL + "*"]
)
def test_botocores_signed_urls_pass(url: str) -> None:
    for key_id, signer in (("KRSA", RSA_SHA1), ("KEC", EC_SHA1)):
        botocore_signer = CloudFrontSigner(key_id, signer.signature)
        expires = NOW + timedelta(minutes=1)
        assert passes(botocore_signer.generate_presigned_url(url, date_less_than=expires.replace(tzinfo=UTC)))
        policy = botocore_signer.build_policy(
            BASE_URL + "/*", expires, date_greater_than=NOW - timedelta(minutes=1), ip_address="192.0.2.0/24"
        )
        signed = botocore_signer.generate_presigned_url(url, policy=policy)
        assert passes(signed)
        assert not passes(signed, address="198.51.100.1")
        assert not passes(signed, now=NOW - timedelta(minutes=1))
        assert not passes(signed, now=expires)


@every_signer
def test_signatures_of_openssl_pass(signer: Signer, tmp_path: Path) -> None:
    key = tmp_path / "private.pem"
    key.write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    digest = "-sha256" if signer.is_sha256 else "-sha1"
    command = [tool("openssl"), "dgst", digest, "-sign", str(key)]
    text = canned_policy(URL, EPOCH + 60).encode()
    signature = subprocess.run(command, input=text, capture_output=True, check=True).stdout
    url = f"{URL}?Expires={EPOCH + 60}&Signature={cloudfront_base64(signature)}&Key-Pair-Id={signer.key_id}"
    assert passes(url + "&Hash-Algorithm=SHA256" * signer.is_sha256)


@every_signer
def test_the_order_of_parameters_does_not_matter(signer: Signer) -> None:
    base, _, query = signer.canned(URL).partition("?")
    assert passes(f"{base}?{'&'.join(reversed(query.split('&')))}")


# ---- tampering


def canned_and_custom(signer: Signer) -> list[str]:
    url = URL + "?a=b"
    return [signer.canned(url), signer.custom(url, custom_policy(BASE_URL + r"/o/01jd*\?a=b"))]


@every_signer
def test_no_character_of_a_signature_can_be_changed(signer: Signer) -> None:
    for signed in canned_and_custom(signer):
        found = re.search("Signature=([^&]+)", signed)
        assert found
        for index in range(*found.span(1)):
            for other in "Aa0-~_":
                if signed[index] != other:
                    assert not passes(signed[:index] + other + signed[index + 1 :]), index


@every_signer
def test_no_character_of_a_policy_can_be_changed(signer: Signer) -> None:
    signed = canned_and_custom(signer)[1]
    found = re.search("Policy=([^&]+)", signed)
    assert found
    for index in range(*found.span(1)):
        for other in "Aa0-~_":
            if signed[index] != other:
                assert not passes(signed[:index] + other + signed[index + 1 :]), index


@every_signer
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/o/01jd", "/o/01je"),
        ("/o/01jd", "/o%2F01jd"),
        ("/o/01jd", "/o/%301jd"),
        ("/o/01jd", "//o/01jd"),
        ("/o/01jd", "/o/./01jd"),
        ("http://", "https://"),
        ("127.0.0.1:8001", "127.0.0.1"),
        ("127.0.0.1:8001", "localhost:8001"),
        ("?a=b&", "?"),
        ("?a=b&", "?a=c&"),
        ("?a=b&", "?a=b&c=d&"),
        ("?a=b&", "?%61=b&"),
        ("?a=b&", "?a=b&&"),
        ("Key-Pair-Id=", "a=b&Key-Pair-Id="),
        ("Key-Pair-Id=", "Expires=2000000000&Key-Pair-Id="),
        ("Key-Pair-Id=", "Policy=e30_&Key-Pair-Id="),
        ("Key-Pair-Id=", "Signature=AAAA&Key-Pair-Id="),
        ("Key-Pair-Id=K", "Key-Pair-Id=KSTRANGER&Key-Pair-Id=K"),
        ("Key-Pair-Id=K", "Hash-Algorithm=SHA1&Key-Pair-Id=K"),
        ("Key-Pair-Id=K", "Key-Pair-Id=k"),
        ("Key-Pair-Id=K", "key-pair-id=K"),
        ("Signature=", "signature="),
        ("Signature=", "Signature=%41"),
    ],
)
def test_nothing_that_is_signed_can_be_changed(signer: Signer, old: str, new: str) -> None:
    for signed in canned_and_custom(signer):
        assert passes(signed)
        assert old in signed
        assert not passes(signed.replace(old, new, 1))


def test_a_canned_expiry_cannot_be_moved() -> None:
    for signer in SIGNERS:
        assert not passes(signer.canned(URL).replace(f"Expires={EPOCH + 60}", f"Expires={EPOCH + 61}"))
        assert not passes(signer.canned(URL).replace(f"Expires={EPOCH + 60}", f"Expires=0{EPOCH + 60}"))


def test_a_wildcard_in_a_canned_url_is_a_letter() -> None:
    signed = RSA_SHA1.canned(BASE_URL + "/o/*")
    assert passes(signed)
    assert not passes(signed.replace("/o/*", "/o/1"))


def test_a_signature_is_bound_to_its_hash() -> None:
    for plain, with_sha256 in ((RSA_SHA1, RSA_SHA256), (EC_SHA1, EC_SHA256)):
        assert not passes(with_sha256.canned(URL).replace("&Hash-Algorithm=SHA256", ""))
        assert not passes(with_sha256.canned(URL).replace("=SHA256", "=sha256"))
        assert not passes(plain.canned(URL) + "&Hash-Algorithm=SHA256")
        assert not passes(plain.canned(URL) + "&Hash-Algorithm=")


def test_a_signature_is_bound_to_its_key() -> None:
    assert refusal(STRANGER.canned(URL)) is InvalidKey
    assert refusal(STRANGER.canned(URL).replace("KSTRANGER", "KEC")) is AccessDenied
    assert refusal(EC_SHA1.canned(URL).replace("KEC", "KRSA")) is AccessDenied
    assert refusal(RSA_SHA1.canned(URL).replace("KRSA", "KEC")) is AccessDenied


def test_a_url_cannot_pose_as_another_policy() -> None:
    quote = f'{BASE_URL}/a","Condition":{{"DateLessThan":{{"AWS:EpochTime":{EPOCH + 60}}}}}}}]}}'
    text = f'{{"Statement":[{{"Resource":"{quote}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{EPOCH + 60}}}}}}}]}}'
    assert refusal(with_query(quote, f"Expires={EPOCH + 60}&{RSA_SHA1.rest(text.encode())}")) is AccessDenied


# ---- time and place


@every_signer
def test_a_link_ends_at_the_second_of_its_expiry(signer: Signer) -> None:
    signed = signer.canned(URL, EPOCH + 60)
    assert passes(signed, now=NOW + timedelta(seconds=59, microseconds=999_999))
    assert not passes(signed, now=NOW + timedelta(seconds=60))
    assert not passes(signed, now=NOW + timedelta(days=400))


@every_signer
def test_conditions_of_a_custom_policy_hold(signer: Signer) -> None:
    later = custom_policy(URL, DateGreaterThan={"AWS:EpochTime": EPOCH + 30})
    assert refusal(signer.custom(URL, later)) is AccessDenied
    assert passes(signer.custom(URL, later), now=NOW + timedelta(seconds=31))
    elsewhere = custom_policy(URL, IpAddress={"AWS:SourceIp": "198.51.100.0/24"})
    assert refusal(signer.custom(URL, elsewhere)) is AccessDenied
    assert passes(signer.custom(URL, elsewhere), address="198.51.100.200")
    assert refusal(signer.custom(URL, custom_policy(BASE_URL + "/other/*"))) is AccessDenied


# ---- which refusal


SIGNATURE = RSA_SHA1.rest(b"")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, MissingKey),
        (URL + "?a=b", MissingKey),
        (f"{URL}?Expires=1&Signature=AAAA", MissingKey),
        (f"{URL}?Expires=1&Signature=AAAA&Key-Pair-Id=", MissingKey),
        (f"{URL}?Expires=1&Signature=AAAA&Key-Pair-Id=-----BEGIN%20PUBLIC%20KEY-----", MissingKey),
        (f"{URL}?Expires=1&Signature=AAAA&Key-Pair-Id=KUNKNOWN", InvalidKey),
        (f"{URL}?Expires=1&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AA+A&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AA/A&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AA==&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AA%7EA&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AAA&Key-Pair-Id=KRSA", MalformedSignature),
        (f"{URL}?Expires=1&Signature=AB__&Key-Pair-Id=KRSA", MalformedSignature),  # its last bits are not zero
        (f"{URL}?{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Expires=&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Expires=soon&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Expires=-1&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Expires=%31&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Expires=2147483648&{SIGNATURE}", MalformedPolicy),
        (RSA_SHA1.canned(URL, EPOCH * 1000), MalformedPolicy),
        (f"{URL}?Policy=&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Policy=%65&{SIGNATURE}", MalformedPolicy),
        (f"{URL}?Policy=e30_&Expires={EPOCH + 60}&{SIGNATURE}", MalformedPolicy),
        (RSA_SHA1.custom(URL, "{}"), MalformedPolicy),
        (RSA_SHA1.custom(URL, custom_policy(URL, DateLessThan={"AWS:EpochTime": EPOCH * 1000})), MalformedPolicy),
        (f"{URL}?Expires={EPOCH + 60}&{SIGNATURE}", AccessDenied),
        (RSA_SHA1.canned(URL, EPOCH), AccessDenied),
    ],
)
def test_each_fault_has_its_own_answer(url: str, expected: type[Refusal]) -> None:
    assert refusal(url) is expected


def test_the_answers_are_cloudfronts_own_to_the_byte() -> None:
    assert MissingKey().body == (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code>'
        b"<Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>"
    )
    assert len(MissingKey().body) == 146  # the Content-Length of a captured answer
    assert b"<Code>InvalidKey</Code><Message>Unknown Key</Message>" in InvalidKey().body
    assert (
        b"<Code>MalformedSignature</Code><Message>Could not unencode Signature</Message>" in MalformedSignature().body
    )
    assert b"<Code>MalformedPolicy</Code><Message>Malformed Policy</Message>" in MalformedPolicy().body
    assert b"<Code>AccessDenied</Code><Message>Access denied</Message>" in AccessDenied().body


# ---- cookies


def test_cookies_of_one_folder_do_not_open_another() -> None:
    opens_o = cookies(EC_SHA256.custom(URL, custom_policy(BASE_URL + "/o/*")))
    assert passes(URL, cookie=opens_o)
    assert refusal(BASE_URL + "/p/1", cookie=opens_o) is AccessDenied


def test_a_canned_cookie_opens_one_address() -> None:
    opens_one = cookies(EC_SHA256.canned(URL))
    assert refusal(URL + "?a=b", cookie=opens_one) is AccessDenied
    assert refusal(URL + "1", cookie=opens_one) is AccessDenied


@pytest.mark.parametrize("resource", ["*", "*://127.0.0.1:8001/o/*", "*127.0.0.1:8001/o/*"])
def test_a_cookies_policy_names_its_protocol(resource: str) -> None:
    signed = EC_SHA256.custom(URL, custom_policy(resource))
    assert passes(signed)
    assert refusal(URL, cookie=cookies(signed)) is AccessDenied


def test_parameters_in_the_url_decide_alone() -> None:
    good = cookies(EC_SHA256.custom(URL, custom_policy(BASE_URL + "/o/*")))
    assert refusal(EC_SHA256.canned(URL, EPOCH - 1), cookie=good) is AccessDenied
    assert refusal(URL + f"?Expires={EPOCH + 60}", cookie=good) is MissingKey
    assert passes(EC_SHA256.canned(URL), cookie="CloudFront-Signature=AAAA; CloudFront-Key-Pair-Id=KUNKNOWN")


def test_a_cookie_that_stands_twice_is_refused() -> None:
    good = cookies(EC_SHA256.canned(URL))
    assert refusal(URL, cookie=good + "; CloudFront-Key-Pair-Id=KEC") is AccessDenied


# ---- keys


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-1024", "p384", "ed25519"],
)
def test_only_keys_that_cloudfront_takes_are_trusted(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ConfigurationError, match="Public key KOTHER"):
        SignatureVerifier({"KOTHER": pem})


def test_a_text_that_is_no_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Public key KTEXT"):
        SignatureVerifier({"KTEXT": "not a key"})
