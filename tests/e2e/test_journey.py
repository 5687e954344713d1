"""Promise, send, complete, list, open: real bytes over real HTTP, and what is refused on the way."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from graphql_api.model.stored_object import PutUploadTarget
from graphql_api.services.upload_wishes import UploadWish
from tests.cli.program import DevStack, wait_for
from tests.contracts.samples import JPEG, PDF
from tests.e2e.client import ABORT, Client, Target
from tests.e2e.inside import inside, principal

JAPANESE = "東京 の 写真 \"春\" & 'x' 100%.jpg"
NEVER_IN_TIME = timedelta(days=-2)
LONG_AFTER = timedelta(days=3)


def saved_name(answer: httpx.Response) -> str:
    """What a browser calls the download. RFC 6266, section 4.3: ``filename*`` before ``filename``."""
    parameters = {}
    for part in answer.headers["content-disposition"].split(";")[1:]:
        name, _, value = part.strip().partition("=")
        parameters[name] = value
    if extended := parameters.get("filename*"):
        charset, _, encoded = extended.split("'", 2)
        return unquote(encoded, encoding=charset, errors="strict")
    return parameters["filename"].strip('"')


@pytest.mark.parametrize("with_checksum", [False, True], ids=["", "sha256"])
@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("cat.jpg", "image/jpeg", JPEG),
        ("paper.pdf", "application/pdf", PDF),
        ("empty.txt", "text/plain; charset=utf-8", b""),
        (JAPANESE, "image/jpeg", JPEG),
        ("megabytes.bin", "application/octet-stream", bytes(range(256)) * 12_288),
    ],
    ids=["jpeg", "pdf", "empty", "japanese", "3 MiB"],
)
def test_the_bytes_come_back(alice: Client, name: str, content_type: str, content: bytes, with_checksum: bool) -> None:
    digest = sha256(content).hexdigest() if with_checksum else None
    target = alice.promise(name, content_type, len(content), sha256=digest, onConflict="RENAME")
    sent = alice.put(target, content)
    assert sent.status_code == 200, sent.text
    completed = alice.complete(target.upload_id)
    assert completed["userErrors"] == []
    assert completed["upload"]["status"] == "COMPLETED"
    file = completed["file"]
    expected_name = file["name"] if with_checksum else name  # the second of a name is numbered
    assert file["name"] == expected_name
    assert (file["size"], file["contentType"], file["sha256"]) == (len(content), content_type, digest)
    assert file["path"] == f"/Alice/{expected_name}"

    answer = alice.get(file["signedUrl"]["url"])
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"] == content_type
    how = "attachment" if content_type == "application/octet-stream" else "inline"  # what might run is not shown
    assert answer.headers["content-disposition"].startswith(f"{how};")
    assert saved_name(answer) == expected_name

    newest = alice.ask("{ files(first: 1) { nodes { id signedUrl { url } } } }")["files"]["nodes"][0]
    assert newest["id"] == file["id"]
    assert alice.get(newest["signedUrl"]["url"]).content == content
    assert alice.ask("query ($id: ID!) { node(id: $id) { id ... on File { name } } }", id=file["id"])["node"] == {
        "id": file["id"],
        "name": expected_name,
    }
    by_path = alice.ask("query ($path: String!) { file(by: {path: $path}) { id } }", path=file["path"])
    assert by_path["file"] == {"id": file["id"]}


def test_a_link_saves_under_the_name_that_was_asked_for(alice: Client) -> None:
    file = alice.upload("plain.txt", "text/plain", b"plain")
    answer = alice.get(alice.link(file["id"], disposition="ATTACHMENT", filename=JAPANESE))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert saved_name(answer) == JAPANESE


def test_another_user_sees_nothing_of_it(alice: Client, bob: Client) -> None:
    file = alice.upload("private.txt", "text/plain", b"private")
    found = bob.ask(
        "query ($id: ID!, $path: String!) { node(id: $id) { id } file(by: {path: $path}) { id } }",
        id=file["id"],
        path=file["path"],
    )
    assert found == {"node": None, "file": None}
    target = alice.promise("private (2).txt", "text/plain", 1)
    assert bob.complete(target.upload_id)["userErrors"][0]["code"] == "NOT_FOUND"


def test_bytes_sent_twice_answer_412_and_the_upload_completes(alice: Client) -> None:
    target = alice.promise("twice.txt", "text/plain", 5)
    assert alice.put(target, b"first").status_code == 200
    assert alice.put(target, b"again").status_code == 412
    file = alice.complete(target.upload_id)["file"]
    assert alice.get(file["signedUrl"]["url"]).content == b"first"
    assert alice.complete(target.upload_id)["file"]["id"] == file["id"]  # once more changes nothing


def chunks() -> Iterator[bytes]:
    yield b"hello"


def test_other_bytes_than_promised_are_refused_by_the_store_and_the_target_stays_good(alice: Client) -> None:
    target = alice.promise("exact.txt", "text/plain", 5, sha256=sha256(b"hello").hexdigest())
    refused = {
        "longer": alice.put(target, b"hello!"),
        "shorter": alice.put(target, b"hell"),
        "other bytes": alice.put(target, b"jello"),
        "another checksum": alice.put(target, b"hello", **{"x-amz-checksum-sha256": "A" * 43 + "="}),
        "another type": alice.put(target, b"hello", **{"Content-Type": "text/html"}),
        "over an object": alice.put(target, b"hello", **{"If-None-Match": "x"}),
        "streamed without length": alice.put(target, chunks()),
        "without headers": alice.plain.put(target.url, content=b"hello"),
        "another method": alice.plain.get(target.url),
        "another key": alice.put(Target("", target.url.replace("?", "x?", 1), target.headers), b"hello"),
        "another parameter": alice.put(Target("", target.url + "&acl", target.headers), b"hello"),
    }
    assert {why: answer.status_code for why, answer in refused.items() if answer.status_code not in (400, 403)} == {}
    early = alice.complete(target.upload_id)["userErrors"][0]
    assert (early["__typename"], early["code"]) == ("UploadStateError", "UPLOAD_STATE")
    assert alice.put(target, b"hello").status_code == 200
    assert alice.complete(target.upload_id)["userErrors"] == []


def test_bytes_that_are_not_what_their_type_says_fail_the_upload(alice: Client) -> None:
    target = alice.promise("lie.pdf", "application/pdf", len(JPEG))
    assert alice.put(target, JPEG).status_code == 200
    completed = alice.complete(target.upload_id)
    [error] = completed["userErrors"]
    assert (error["code"], error["failureCode"]) == ("UPLOAD_MISMATCH", "CONTENT_TYPE_MISMATCH")
    assert alice.put(target, JPEG).status_code == 200  # the bytes are gone, so the create-once target takes them again
    assert alice.complete(target.upload_id)["userErrors"][0]["code"] == "UPLOAD_MISMATCH"


def test_an_aborted_upload_takes_no_more_part(alice: Client) -> None:
    target = alice.promise("aborted.txt", "text/plain", 5)
    assert alice.ask(ABORT, id=target.upload_id)["abortUpload"]["upload"] == {"status": "ABORTED"}
    [error] = alice.complete(target.upload_id)["userErrors"]
    assert error["code"] == "UPLOAD_STATE"


def test_two_who_complete_at_once_get_the_same_file(alice: Client, dev_stack: DevStack) -> None:
    target = alice.promise("race.txt", "text/plain", 5)
    alice.put(target, b"hello")
    ids = []

    def complete() -> None:
        client = Client(dev_stack.graphql, dev_stack.token("alice"))
        ids.append(client.complete(target.upload_id)["file"]["id"])
        client.close()

    threads = [threading.Thread(target=complete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1


async def test_a_target_is_refused_after_its_time(alice: Client, dev_stack: DevStack) -> None:
    async with inside(dev_stack, shift=NEVER_IN_TIME) as past:
        user = await principal(past, "alice")
        upload = await past.services.uploads.create(user, UploadWish("expired.txt", 5, "text/plain"))
        target = await past.services.upload_targets.target(upload)
    assert isinstance(target, PutUploadTarget)
    answer = alice.put(Target("", target.url, dict(target.headers)), b"hello")
    assert answer.status_code == 403
    assert "<Code>AccessDenied</Code>" in answer.text or "expired" in answer.text.lower()


async def test_bytes_that_land_after_the_end_never_become_a_file_and_are_swept(
    alice: Client, dev_stack: DevStack
) -> None:
    """A slow PUT: begun in time, ended after its upload was aborted."""
    target = alice.promise("slow.txt", "text/plain", 10)
    with slow_put(target) as connection:
        connection.sendall(b"hello")
        assert alice.ask(ABORT, id=target.upload_id)["abortUpload"]["upload"] == {"status": "ABORTED"}
        connection.sendall(b"world")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert alice.complete(target.upload_id)["userErrors"][0]["code"] == "UPLOAD_STATE"
    by_path = alice.ask('{ file(by: {path: "/Alice/slow.txt"}) { id } }')
    assert by_path == {"file": None}

    key = urlsplit(target.url).path.split("/", 2)[2]
    async with inside(dev_stack, shift=LONG_AFTER) as future:
        assert await future.store.find(key)
        await future.services.lookout.look()
        await future.services.upkeep.sweep()
        assert await future.store.find(key) is None


def slow_put(target: Target) -> socket.socket:
    """A connection on which the head of the PUT has been sent."""
    url = urlsplit(target.url)
    head = [f"PUT {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}", "Content-Length: 10", "Connection: close"]
    head += [f"{name}: {value}" for name, value in target.headers.items()]
    connection = socket.create_connection((url.hostname, url.port), timeout=30)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def test_what_is_deleted_is_gone_for_old_links_too_but_for_what_the_edge_has_kept(alice: Client) -> None:
    file = alice.upload("deleted.txt", "text/plain", b"deleted")
    url = file["signedUrl"]["url"]
    as_another = alice.link(file["id"], filename="another.txt")
    assert alice.get(as_another).status_code == 200
    deleted = alice.ask(
        "mutation ($id: ID!) { deleteFiles(input: {fileIds: [$id]}) { results { deletedFileId } } }", id=file["id"]
    )
    assert deleted["deleteFiles"]["results"] == [{"deletedFileId": file["id"]}]

    def refused() -> bool:
        return alice.plain.head(url).status_code == 403  # of which the edge keeps nothing

    wait_for(refused)
    assert alice.get(as_another).headers["X-Cache"] == "Hit from cloudfront"
