"""Keys: what is taken, what is refused without being quoted, and that openssl agrees with every signature."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from graphql_api.errors import ConfigurationError
from graphql_api.signing.keyring import HashAlgorithm, Keyring, KeyStatus, SigningKey
from tests.signing.conftest import pem_of
from tests.web.conftest import tool

MESSAGE = b'{"Statement":[]}'

# RFC 6979, A.2.5: the private key x, and r and s for each message and hash.
RFC_6979_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_6979_SIGNATURES = [
    (
        HashAlgorithm.SHA256,
        b"sample",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        HashAlgorithm.SHA256,
        b"test",
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
    (
        HashAlgorithm.SHA1,
        b"sample",
        0x61340C88C3AAEBEB4F6D667F672CA9759A6CCAA9FA8811313039EE4A35471D32,
        0x6D7F147DAC089441BB2E2FE8F7A3FA264B9C475098FDCF6E00D7C996E1B8B7EB,
    ),
]


@pytest.mark.parametrize(("hash_algorithm", "message", "r", "s"), RFC_6979_SIGNATURES)
def test_p256_signatures_are_those_of_rfc_6979(hash_algorithm: HashAlgorithm, message: bytes, r: int, s: int) -> None:
    key = SigningKey("KRFC", ec.derive_private_key(RFC_6979_KEY, ec.SECP256R1()), hash_algorithm)
    assert key.sign(message) == encode_dss_signature(r, s)


@pytest.mark.parametrize("hash_algorithm", HashAlgorithm)
@pytest.mark.parametrize("kind", ["rsa_pem", "p256_pem"])
def test_openssl_accepts_our_signature_and_refuses_another_message(
    kind: str, hash_algorithm: HashAlgorithm, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    key = SigningKey.from_pem("KTEST", request.getfixturevalue(kind), hash_algorithm)
    (tmp_path / "public.pem").write_text(key.public_pem())
    (tmp_path / "signature").write_bytes(key.sign(MESSAGE))
    verify = [tool("openssl"), "dgst", f"-{hash_algorithm.lower()}", "-verify", "public.pem", "-signature", "signature"]

    def accepts(message: bytes) -> bool:
        return subprocess.run(verify, cwd=tmp_path, input=message, capture_output=True, check=False).returncode == 0

    assert accepts(MESSAGE)
    assert not accepts(MESSAGE + b" ")


@pytest.mark.parametrize("kind", ["rsa_pem", "p256_pem"])
def test_equal_messages_have_equal_signatures_of_known_length(kind: str, request: pytest.FixtureRequest) -> None:
    key = SigningKey.from_pem("KTEST", request.getfixturevalue(kind))
    signatures = [key.sign(b"%d" % n) for n in range(200)]
    assert signatures == [key.sign(b"%d" % n) for n in range(200)]
    assert {len(signature) for signature in signatures} <= ({256} if kind == "rsa_pem" else set(range(68, 73)))


@pytest.mark.parametrize(
    "layout",
    [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL],
    ids=["pkcs8", "pkcs1-or-sec1"],
)
@pytest.mark.parametrize("kind", ["rsa_pem", "p256_pem"])
def test_each_pem_layout_is_read(
    kind: str, layout: serialization.PrivateFormat, request: pytest.FixtureRequest
) -> None:
    expected = SigningKey.from_pem("KTEST", request.getfixturevalue(kind))
    pem = expected.private_key.private_bytes(serialization.Encoding.PEM, layout, serialization.NoEncryption())
    assert SigningKey.from_pem("KTEST", pem).sign(MESSAGE) == expected.sign(MESSAGE)


def ed25519_pem() -> str:
    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def public_half() -> str:
    return SigningKey("KTEST", ec.generate_private_key(ec.SECP256R1())).public_pem()


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        pytest.param("", "not a private key", id="empty"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "not a private", id="junk"),
        pytest.param("\ud800", "not a private key", id="not-unicode"),
        pytest.param(public_half(), "not a private key", id="public-half"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP256R1()), b"x"), "encrypted", id="encrypted"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP384R1())), "secp384r1", id="p384"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP256K1())), "secp256k1", id="bitcoin's-curve"),
        pytest.param(pem_of(rsa.generate_private_key(65537, 1024)), "1024 bits", id="rsa-1024"),
        pytest.param(pem_of(rsa.generate_private_key(65537, 3072)), "3072 bits", id="rsa-3072"),
        pytest.param(ed25519_pem(), "neither RSA nor", id="ed25519"),
    ],
)
def test_a_key_that_cloudfront_cannot_use_is_refused_and_not_quoted(pem: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        SigningKey.from_pem("KTEST", pem)
    assert "KTEST" in caught.value.message
    assert caught.value.__cause__ is None
    for line in pem.splitlines():
        assert line not in caught.value.message


@pytest.mark.parametrize("key_id", ["", "K 1", "K&1", "Kä", "K\n", "K" * 65])
def test_a_key_id_that_would_need_escaping_is_refused(key_id: str, p256_pem: str) -> None:
    with pytest.raises(ConfigurationError, match="id must be"):
        SigningKey.from_pem(key_id, p256_pem)


def test_id_and_pem_swapped_do_not_put_the_key_in_the_message(p256_pem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SigningKey.from_pem(p256_pem, "KTEST")
    assert "PRIVATE" not in caught.value.message


def test_a_key_shows_nothing_private(p256_pem: str) -> None:
    key = SigningKey.from_pem("KTEST", p256_pem)
    assert "private_key" not in repr(key)
    assert "PRIVATE" not in key.public_pem()


def key_with(key_id: str, status: KeyStatus) -> SigningKey:
    return SigningKey(key_id, ec.generate_private_key(ec.SECP256R1()), status=status)


def test_the_active_key_signs_and_all_but_the_retired_verify() -> None:
    keys = [key_with(status.value, status) for status in KeyStatus]
    ring = Keyring(keys)
    assert ring.signing_key.key_id == "ACTIVE"
    assert [key.key_id for key in ring.verifying_keys] == ["PENDING", "ACTIVE", "RETIRING"]


def test_a_keyring_reports_every_fault_at_once() -> None:
    twice = key_with("K1", KeyStatus.RETIRING)
    with pytest.raises(ConfigurationError) as caught:
        Keyring([twice, twice])
    assert caught.value.faults == (
        "Signing key K1 is given more than once.",
        "Exactly one signing key must be ACTIVE, not 0.",
    )


def test_two_active_keys_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not 2"):
        Keyring([key_with("K1", KeyStatus.ACTIVE), key_with("K2", KeyStatus.ACTIVE)])
