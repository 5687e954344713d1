"""Whole requests: a page of a hundred files with links, with links that can be revoked, and without; and a new upload;
each by three programs.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from starlette.applications import Starlette

from benchmarks import face, naive, site
from benchmarks.checks import check_pages, check_targets
from benchmarks.client import Client
from benchmarks.floor import Floor
from benchmarks.measure import Effort, Operation, interleaved
from benchmarks.report import Bound, Database, Measurement
from benchmarks.site import Site
from graphql_api import running
from graphql_api.localcloud.signature import SignatureVerifier
from graphql_api.settings import Settings

PAGE_SIZE: Final = 100
NAMES: Final = ("files", "revocable", "list", "upload", "face")

_LINK: Final = "signedUrl { url expiresAt }"
_PAGE: Final = """
query Files($first: Int!) {
  files(first: $first) {
    nodes { id name size contentType createdAt %s }
    pageInfo { endCursor hasNextPage }
  }
}
"""
_UPLOAD: Final = """
mutation CreateUpload($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload { id target { expiresAt ... on PutUploadTarget { url headers { name value } } } }
    userErrors { code }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Contest:
    """The three programs, running on one site."""

    database: Database
    place: Site
    ours: Client
    revocable: Client  # ours, where links can be revoked
    naive: Client
    floor_app: Starlette

    def floor(self, path: str) -> Client:
        return Client(self.floor_app, path, self.place.token)

    async def measure(self, name: str, effort: Effort) -> list[Measurement]:
        if name == "upload":
            return [await self._upload(effort)]
        if name == "face":
            return await face.measure(self.place, self.database, _PAGE % _LINK, effort, PAGE_SIZE)
        ours = self.revocable if name == "revocable" else self.ours
        return [await self._page(name, ours, effort, has_links=name != "list")]

    async def _page(self, name: str, ours: Client, effort: Effort, *, has_links: bool) -> Measurement:
        query = {"query": _PAGE % (_LINK if has_links else ""), "variables": {"first": PAGE_SIZE}}
        plain = {"first": PAGE_SIZE, "links": has_links}
        variants = self._variants(query, plain, "/files")
        variants["ours"] = replace(variants["ours"], client=ours)
        answers = {who: await ask() for who, ask in variants.items()}
        verifier = SignatureVerifier({site.CDN_KEY_ID: self.place.public_pem})
        check_pages(answers, verifier, has_links=has_links, size=PAGE_SIZE)
        return await self._measured(name, variants, effort, is_judged_by_naive=has_links)

    async def _upload(self, effort: Effort) -> Measurement:
        wish = {
            "filename": "Quarterly report.pdf",
            "size": 1_234_567,
            "contentType": "application/pdf",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "folderId": self.place.folder_id,
        }
        query = {"query": _UPLOAD, "variables": {"input": wish}}
        variants = self._variants(query, query, "/uploads")
        check_targets({who: await ask() for who, ask in variants.items()}, wish)
        return await self._measured("upload", variants, effort, is_judged_by_naive=True)

    def _variants(self, query: dict[str, Any], plain: dict[str, Any], path: str) -> dict[str, "_Request"]:
        body = json.dumps(query).encode()
        return {
            "ours": _Request(self.ours, body),
            "naive": _Request(self.naive, body),
            "floor": _Request(self.floor(path), orjson.dumps(plain)),
        }

    async def _measured(
        self, name: str, variants: dict[str, "_Request"], effort: Effort, *, is_judged_by_naive: bool
    ) -> Measurement:
        operations: dict[str, Operation] = dict(variants)
        times = await interleaved(operations, effort)
        bounds = [Bound("ours/floor", at_most=32 if self.database == "sqlite" else 20)]
        if is_judged_by_naive:
            bounds.insert(0, Bound("naive/ours", at_least=8))
        return Measurement(name, self.database, times["ours"], times["naive"], times["floor"], bounds)


@dataclass(frozen=True, slots=True)
class _Request:
    client: Client
    body: bytes

    async def __call__(self) -> bytes:
        return await self.client.post(self.body)


@asynccontextmanager
async def contest(place: Site, database: Database) -> AsyncIterator[Contest]:
    """Start the three programs."""
    ours = running.application(Settings.read(place.environment))
    revocable = running.application(Settings.read({**place.environment, **site.REVOCABLE}))
    theirs = naive.application(place)
    floor = Floor(place).app
    async with AsyncExitStack() as stack:
        for app in (ours, revocable, theirs, floor):
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield Contest(
            database=database,
            place=place,
            ours=Client(ours, "/graphql", place.token),
            revocable=Client(revocable, "/graphql", place.token),
            naive=Client(theirs, "/graphql", place.token),
            floor_app=floor,
        )
