"""A bundle as a user would make one: promised at once, its entries sent side by side and completed."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.client import Client

ENTRIES = {
    "index.m3u8": ("audio/mpegurl", b"#EXTM3U\n#EXT-X-ENDLIST\n"),
    "low/0.ts": ("video/mp2t", b"zero"),
    "low/1.ts": ("video/mp2t", b"one"),
}
CREATE = """
mutation ($bundle: CreateBundleInput!) {
  createUploads(input: {bundle: $bundle}) {
    bundleFileId userErrors { code path message }
    results { upload { id filename target { ... on PutUploadTarget { url headers { name value } } } } }
  }
}
"""


def bundled(client: Client, name: str, entries: Mapping[str, tuple[str, bytes]]) -> str:
    """The file that came of ``entries``, type and bytes by path, of which the first is the main one."""
    promised = [
        {"path": path, "size": len(content), "contentType": content_type}
        for path, (content_type, content) in entries.items()
    ]
    bundle = {"name": name, "mainPath": promised[0]["path"], "entries": promised}
    made = client.ask(CREATE, bundle=bundle)["createUploads"]
    assert made["userErrors"] == []

    def send(upload: dict[str, Any]) -> dict[str, Any] | None:
        headers = {header["name"]: header["value"] for header in upload["target"]["headers"]}
        sent = client.plain.put(upload["target"]["url"], content=entries[upload["filename"]][1], headers=headers)
        assert sent.status_code == 200, sent.text
        payload = client.complete(upload["id"])
        assert payload["userErrors"] == [], payload
        file: dict[str, Any] | None = payload["file"]
        return file

    with ThreadPoolExecutor(8) as several:
        done = [file for file in several.map(send, (result["upload"] for result in made["results"])) if file]
    assert [file["id"] for file in done] == [made["bundleFileId"]]
    return str(made["bundleFileId"])
