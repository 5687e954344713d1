"""The key group of the local edge: what lies in its folder when a viewer comes, and nothing else."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from graphql_api.localcloud.key_group import KeyGroupFolder
from graphql_api.localcloud.refusal import AccessDenied, InvalidKey, Refusal
from graphql_api.localcloud.signature import SignatureVerifier
from tests.localcloud.viewer import EPOCH, NOW, URL, Signer, request

FIRST, SECOND = (Signer(name, ec.generate_private_key(ec.SECP256R1())) for name in ("K1", "K2"))


def refusal(folder: Path, url: str, verifier: SignatureVerifier | None = None) -> type[Refusal] | None:
    try:
        (verifier or SignatureVerifier(KeyGroupFolder(folder))).verify(request(url), NOW)
    except Refusal as error:
        return type(error)
    return None


def test_keys_come_change_and_go_while_it_runs(tmp_path: Path) -> None:
    verifier = SignatureVerifier(KeyGroupFolder(tmp_path))
    links = [signer.canned(URL, EPOCH + 60) for signer in (FIRST, SECOND)]

    def now() -> list[type[Refusal] | None]:
        return [refusal(tmp_path, link, verifier) for link in links]

    assert now() == [InvalidKey, InvalidKey]
    (tmp_path / "K1.pem").write_text(FIRST.public_pem)
    assert now() == [None, InvalidKey]
    (tmp_path / "K2.pem").write_text(FIRST.public_pem)
    assert now() == [None, AccessDenied]
    (tmp_path / "K2.pem").unlink()
    (tmp_path / "K2.pem").write_text(SECOND.public_pem)
    assert now() == [None, None]
    (tmp_path / "K1.pem").unlink()
    assert now() == [InvalidKey, None]


@pytest.mark.parametrize("content", ["", "a shopping list", "rsa of 4096 bits"])
def test_a_file_that_cloudfront_would_not_take_is_no_key(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    if content.startswith("rsa"):
        content = Signer("K1", rsa.generate_private_key(65_537, 4096)).public_pem
    (tmp_path / "K1.pem").write_text(content)
    link = FIRST.canned(URL, EPOCH + 60)
    verifier = SignatureVerifier(KeyGroupFolder(tmp_path))
    assert [refusal(tmp_path, link, verifier) for _ in range(2)] == [InvalidKey, InvalidKey]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("key_not_trusted key=K1")


@pytest.mark.parametrize("key_id", ["K" * 300, "sub"])
def test_no_file_is_named_by_a_viewer(tmp_path: Path, key_id: str) -> None:
    (tmp_path / "sub.pem").mkdir()
    link = FIRST.canned(URL, EPOCH + 60).replace("Key-Pair-Id=K1", f"Key-Pair-Id={key_id}")
    assert refusal(tmp_path, link) is InvalidKey


def test_a_path_is_no_key_id(tmp_path: Path) -> None:
    (tmp_path / "K1.pem").write_text(FIRST.public_pem)
    (tmp_path / "group").mkdir()
    link = FIRST.canned(URL, EPOCH + 60)
    for key_id in ("../K1", "..%2FK1", "/K1", "group/../../K1"):
        assert refusal(tmp_path / "group", link.replace("Key-Pair-Id=K1", f"Key-Pair-Id={key_id}")) is not None
