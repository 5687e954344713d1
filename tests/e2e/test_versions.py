"""New bytes for a file of the running stack: old links give the old ones until they end, new links the new ones."""

from tests.cli.program import wait_for
from tests.e2e.client import Client

VERSIONS = """query ($id: ID!) { file(by: {id: $id}) { id name size signedUrl { url }
  versions { nodes { id number size isCurrent signedUrl { url } } } } }"""


def test_a_file_gets_new_bytes_and_old_ones_back(alice: Client, bob: Client) -> None:
    file = alice.upload("versions.txt", "text/plain", b"first")
    old_link = file["signedUrl"]["url"]
    assert alice.get(old_link).content == b"first"

    target = alice.promise("anything.txt", "text/plain", 10, replaceFileId=file["id"])
    assert alice.put(target, b"the second").status_code == 200
    assert alice.get(alice.link(file["id"])).content == b"first"  # until it is complete
    done = alice.complete(target.upload_id)
    assert done["userErrors"] == []
    assert (done["file"]["id"], done["file"]["name"], done["file"]["size"]) == (file["id"], file["name"], 10)
    assert alice.complete(target.upload_id)["file"]["id"] == file["id"]
    new_link = done["file"]["signedUrl"]["url"]
    assert alice.get(new_link).content == b"the second"
    assert alice.get(old_link).content == b"first"
    unseen = alice.link(file["id"], filename="unseen.txt")  # of which the edge has kept nothing

    found = alice.ask(VERSIONS, id=file["id"])["file"]
    second, first = found["versions"]["nodes"]
    assert (first["number"], second["number"], second["isCurrent"]) == (1, 2, True)
    assert second["signedUrl"] == found["signedUrl"]
    answer = alice.get(first["signedUrl"]["url"])
    assert answer.content == b"first"
    assert 'filename="versions.txt"' in answer.headers["content-disposition"]
    hidden = "query ($id: ID!) { node(id: $id) { id } }"
    assert bob.ask(hidden, id=first["id"]) == {"node": None}

    restored = alice.ask(
        "mutation ($file: ID!, $version: ID!) { restoreFileVersion(input: {fileId: $file, versionId: $version})"
        " { file { size signedUrl { url } } userErrors { code } } }",
        file=file["id"],
        version=first["id"],
    )["restoreFileVersion"]
    assert alice.get(restored["file"]["signedUrl"]["url"]).content == b"first"

    gone = alice.ask(
        "mutation ($file: ID!, $version: ID!) { deleteFileVersions(input: {fileId: $file, versionIds: [$version]})"
        " { results { deletedVersionId } } }",
        file=file["id"],
        version=second["id"],
    )["deleteFileVersions"]
    assert gone["results"] == [{"deletedVersionId": second["id"]}]

    def refused() -> bool:
        return alice.plain.head(unseen).status_code == 403

    wait_for(refused)
    assert alice.get(old_link).content == b"first"
