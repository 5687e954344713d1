"""Links and cookies from Amazon's own npm package open at the local edge, and its signatures are ours."""

import json
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from graphql_api.localcloud.refusal import AccessDenied
from graphql_api.localcloud.signature import SignatureVerifier
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, SigningKey
from tests.localcloud.viewer import EPOCH, NOW, custom_policy, request
from tests.signing.conftest import pem_of
from tests.web.conftest import CLIENTS, node_with_packages

BASE: Final = "https://cdn.example.com"
FILE: Final = f"{BASE}/o/01jd9x2q6c8s5v7e0k3m4n5p6r?response-content-disposition=inline%3B%20filename%3D%22a.txt%22"
BUNDLE: Final = f"{BASE}/b/01jd9x2q6c8s5v7e0k3m4n5p6r/*"
SEGMENT: Final = BUNDLE.replace("*", "video/1.m4s")
ENDS: Final = NOW + timedelta(minutes=1)

KEYS: Final[Mapping[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]] = {
    "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
}
# how, what is wished, the address that it opens
WISHES: Final[Mapping[str, tuple[str, dict[str, Any], str]]] = {
    "canned": ("url", {"url": FILE, "dateLessThan": ENDS.isoformat()}, FILE),
    "from then on": (
        "url",
        {"url": f"{BASE}/o/1", "dateLessThan": ENDS.isoformat(), "dateGreaterThan": "2026-11-22T11:00:00Z"},
        f"{BASE}/o/1",
    ),
    "from an address": (
        "url",
        {"url": f"{BASE}/o/1", "dateLessThan": ENDS.isoformat(), "ipAddress": "192.0.2.0/24"},
        f"{BASE}/o/1",
    ),
    "a wildcard": ("url", {"url": SEGMENT, "policy": custom_policy(BUNDLE)}, SEGMENT),
    "canned cookies": ("cookies", {"url": FILE, "dateLessThan": ENDS.isoformat()}, FILE),
    "cookies for all below": ("cookies", {"policy": custom_policy(BUNDLE)}, SEGMENT),
}
CASES: Final = [(kind, algorithm, wish) for kind in KEYS for algorithm in HashAlgorithm for wish in WISHES]


@pytest.fixture(scope="module")
def signed() -> Mapping[tuple[str, HashAlgorithm, str], Any]:
    """What the package made of all of them."""
    node = node_with_packages()
    asked = [
        {
            "how": WISHES[wish][0],
            "keyPairId": f"K{kind.replace('-', '')}",
            "privateKey": pem_of(KEYS[kind]),
            "algorithm": algorithm.name,
            **WISHES[wish][1],
        }
        for kind, algorithm, wish in CASES
    ]
    ran = subprocess.run(
        [node, "sign.mjs"], cwd=CLIENTS, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=True
    )
    return dict(zip(CASES, json.loads(ran.stdout), strict=True))


def signing_key(kind: str, algorithm: HashAlgorithm) -> SigningKey:
    return SigningKey(f"K{kind.replace('-', '')}", KEYS[kind], algorithm)


def verify(kind: str, algorithm: HashAlgorithm, url: str, made: Any, now: datetime, address: str) -> None:
    key = signing_key(kind, algorithm)
    verifier = SignatureVerifier({key.key_id: key.public_pem()})
    if isinstance(made, str):
        verifier.verify(request(made, address=address), now)
    else:
        cookie = "; ".join(f"{name}={value}" for name, value in made.items())
        verifier.verify(request(url, cookie=cookie, address=address), now)


@pytest.mark.parametrize(("kind", "algorithm", "wish"), CASES)
def test_what_amazon_signs_the_local_edge_opens_until_it_ends(
    signed: Mapping[tuple[str, HashAlgorithm, str], Any], kind: str, algorithm: HashAlgorithm, wish: str
) -> None:
    made, url = signed[kind, algorithm, wish], WISHES[wish][2]
    verify(kind, algorithm, url, made, NOW, "192.0.2.7")
    with pytest.raises(AccessDenied):
        verify(kind, algorithm, url, made, ENDS, "192.0.2.7")
    if wish == "from an address":
        with pytest.raises(AccessDenied):
            verify(kind, algorithm, url, made, NOW, "198.51.100.7")
    other = HashAlgorithm.SHA1 if algorithm is HashAlgorithm.SHA256 else HashAlgorithm.SHA256
    with pytest.raises(AccessDenied):  # the hash is part of what is said
        verify(kind, other, url, _as_if_with(other, made), NOW, "192.0.2.7")


def _as_if_with(algorithm: HashAlgorithm, made: Any) -> Any:
    says_sha256 = algorithm is HashAlgorithm.SHA256
    if isinstance(made, str):
        return f"{made}&Hash-Algorithm=SHA256" if says_sha256 else made.replace("&Hash-Algorithm=SHA256", "")
    name = "CloudFront-Hash-Algorithm"
    return made | {name: "SHA256"} if says_sha256 else {key: made[key] for key in made if key != name}


@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_with_rsa_the_signatures_are_ours_byte_for_byte(
    signed: Mapping[tuple[str, HashAlgorithm, str], Any], algorithm: HashAlgorithm
) -> None:
    ours = CloudFrontSigner(BASE, Keyring([signing_key("RSA", algorithm)]))
    query = [("response-content-disposition", 'inline; filename="a.txt"')]
    path = urlsplit(FILE).path
    theirs = parse_qs(urlsplit(signed["RSA", algorithm, "canned"]).query)
    assert parse_qs(urlsplit(ours.sign(path, query, expires_at=ENDS).url).query) == theirs
    cookies = {cookie.name: cookie.value for cookie in ours.sign_cookies(path, query, expires_at=ENDS)}
    assert cookies == {name: str(value) for name, value in signed["RSA", algorithm, "canned cookies"].items()}
    # Of a policy as text nothing is left to them but to sign it.
    prefix = urlsplit(BUNDLE).path.removesuffix("*")
    assert int(ENDS.timestamp()) == EPOCH + 60
    cookies = {cookie.name: cookie.value for cookie in ours.sign_prefix_cookies(prefix, expires_at=ENDS)}
    assert cookies == signed["RSA", algorithm, "cookies for all below"]
