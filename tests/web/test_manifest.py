"""The file of trusted documents, as builds of clients write it, and what will not do in it."""

import json
from hashlib import md5, sha1, sha256
from pathlib import Path
from typing import Any

import pytest

from graphql_api.errors import ConfigurationError
from graphql_api.web.manifest import MAX_ID_LENGTH, read_manifest

TEXT = 'query Echo { echo(text: "Zürich") }'
SHA256 = sha256(TEXT.encode()).hexdigest()


def written(folder: Path, content: object) -> Path:
    path = folder / "documents.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(path)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value.faults


@pytest.mark.parametrize(
    "id_",
    [
        SHA256,
        f"sha256:{SHA256}",
        sha1(TEXT.encode(), usedforsecurity=False).hexdigest(),
        md5(TEXT.encode(), usedforsecurity=False).hexdigest(),
        "Echo-1.2_3~4",
        "x-build:17",
        "a" * MAX_ID_LENGTH,
    ],
    ids=[
        "codegen or relay",
        "with its prefix",
        "codegen's sha1",
        "relay's md5",
        "a name",
        "a prefix of one's own",
        "long",
    ],
)
def test_an_object_holds_each_text_under_its_id(tmp_path: Path, id_: str) -> None:
    assert read_manifest(written(tmp_path, {id_: TEXT, "other": "{ viewer }"})) == {id_: TEXT, "other": "{ viewer }"}


def apollo(*operations: object, version: object = 1) -> dict[str, Any]:
    return {"format": "apollo-persisted-query-manifest", "version": version, "operations": list(operations)}


def test_apollos_manifest_lists_operations(tmp_path: Path) -> None:
    operation = {"id": SHA256, "name": "Echo", "type": "query", "body": TEXT}
    assert read_manifest(written(tmp_path, apollo(operation))) == {SHA256: TEXT}


def test_each_bad_document_is_told_in_a_line(tmp_path: Path) -> None:
    other = "0" * 64
    content = f"""{{"{other}": "a", "sha256:{other}": "a", "sha256:1": "a", "{SHA256}": {json.dumps(TEXT)},
        "twice": "a", "twice": "b", "number": 1, "half": "\\ud800", "": "a", "with a blank": "a", "y:1": "a",
        "a\\nb": "a", "ü": "a", "{"l" * (MAX_ID_LENGTH + 1)}": "a"}}"""
    bad_id = f"no client can send this id: letters, digits and - . _ ~ are possible, {MAX_ID_LENGTH} at most"
    assert faults(written(tmp_path, content)) == (
        f"trusted document '{other}': the text has another SHA-256",
        f"trusted document 'sha256:{other}': the text has another SHA-256",
        "trusted document 'sha256:1': the id is no SHA-256",
        "trusted document 'twice': stands there twice",
        "trusted document 'number': is not text",
        "trusted document 'half': is not text",
        f"trusted document '': {bad_id}",
        f"trusted document 'with a blank': {bad_id}",
        f"trusted document 'y:1': {bad_id}",
        f"trusted document 'a\\nb': {bad_id}",
        f"trusted document 'ü': {bad_id}",
        f"trusted document '{'l' * MAX_ID_LENGTH}': {bad_id}",
    )


def test_an_id_twice_in_apollos_manifest_is_told(tmp_path: Path) -> None:
    entry = {"id": "a", "body": "{ viewer }"}
    assert faults(written(tmp_path, apollo(entry, entry))) == ("trusted document 'a': stands there twice",)
    assert faults(written(tmp_path, apollo({"id": "a"}))) == ("trusted document 'a': is not text",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "are not JSON in UTF-8"),
        ("[" * 100_000, "are not JSON in UTF-8"),
        ("[]", "are not one JSON object"),
        ('"{}"', "are not one JSON object"),
        ("{}", "holds no trusted documents"),
        (apollo(), "holds no trusted documents"),
        (apollo(version=2), "is not of version 1"),
        (apollo() | {"operations": {"a": "{ viewer }"}}, "has no list of operations"),
        (apollo("{ viewer }"), "operation 1 is no object with an id"),
        (apollo({"id": "a", "body": "{ viewer }"}, {"body": "{ viewer }"}), "operation 2 is no object with an id"),
    ],
    ids=[
        "cut off",
        "deep",
        "an array",
        "text",
        "empty",
        "an empty manifest",
        "a later version",
        "an object of operations",
        "an operation that is text",
        "an operation without an id",
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    [line] = faults(path)
    assert said in line
    assert str(path) in line


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.json"):
        [line] = faults(path)
        assert line.startswith(f"the trusted documents in {path} cannot be read: ")
    path = tmp_path / "bytes.json"
    path.write_bytes(b'{"a": "\xff"}')
    assert faults(path) == (f"the trusted documents in {path} are not JSON in UTF-8",)
