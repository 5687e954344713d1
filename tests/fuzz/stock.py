"""Things in a running stack that made-up operations can be about, and their ids where one is needed.

What is made up has a number in the place of an id (``?17``), so that the same is made up whatever the stack holds.
Which id that is, is said when it is sent.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from graphql import (
    ArgumentNode,
    FieldNode,
    IntValueNode,
    NameNode,
    ObjectFieldNode,
    StringValueNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from graphql_api.model.page import MAX_PAGE_SIZE
from tests.e2e.bundling import ENTRIES, bundled
from tests.e2e.client import Client
from tests.schema.walk import KIND_OF

NUMBERED: Final = re.compile(r"\?(\d+)")
ID: Final = re.compile(r'"(([a-z]+)_[0-9a-hjkmnp-tv-z]{26})"')
KEPT: Final = 50  # of a kind, the newest

KINDS: Final[Mapping[str, str]] = {
    "bundle": "file",
    "other_folder": "folder",
    "other_user": "user",
    "share_link": "share",
    "upload_in_parts": "upload",
}
"""What ids of what the walk calls so begin with, where that is another word."""

FORMS: Final[Mapping[str, Sequence[str]]] = {
    "contentType": ["text/plain", "application/octet-stream"],
    "crc64nvme": ["0123456789abcdef"],
    "email": ["somebody@example.test"],
    "filename": ["a.txt", "a.bin"],
    "ipAddress": ["192.0.2.1", "2001:db8::1"],
    "ipRanges": ["192.0.2.0/24", "::/0"],
    "mainPath": ["index.m3u8"],
    "path": ["index.m3u8", "/a folder", "low/0.ts"],
    "sha256": ["ab" * 32],
}
"""What texts of these names look like. Made-up ones hardly ever do."""

MAKE: Final = """
mutation ($file: ID!) {
  createFolder(input: {name: "a folder", parentId: "folder_00000000000000000000000000"}) { folder { id } }
  createGroup(input: {name: "a group"}) { group { id } }
  inviteUser(input: {email: "somebody@example.test"}) { user { id } }
  createAccessRule(input: {subject: {anyone: true}, permissions: [READ], resource: {fileId: $file}}) {
    accessRule { id }
  }
  createShareLink(input: {resource: {fileId: $file}}) { shareLink { id } }
  put: createUpload(input: {filename: "a.txt", size: 5, contentType: "text/plain"}) { upload { id } }
  parts: createUpload(
    input: {filename: "a.bin", size: 20000000, contentType: "application/octet-stream", method: MULTIPART}
  ) { upload { id } }
}
"""
SHOW: Final = """
query ($file: ID!) {
  viewer { id homeFolder { id } topFolders { nodes { id } } }
  file(by: {id: $file}) { id versions { nodes { id } } }
  signingKeys { id }
  auditEvents { nodes { id } }
}
"""
WANTED: Final = {"event", "file", "folder", "group", "key", "rule", "share", "upload", "user", "version"}


class Stock:
    """Ids by kind, such as ``file``. What answers tell of comes in as well."""

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = {}

    def learn(self, answer: str) -> None:
        """Every id in the JSON."""
        for id_, kind in ID.findall(answer):
            known = self._ids.setdefault(kind, [])
            if kind in WANTED and id_ not in known:
                known.append(id_)
                del known[:-KEPT]

    def id(self, number: int, kind: str) -> str:
        """One of that kind, mostly; every fourth is of any."""
        kinds = sorted(WANTED)
        if kind not in WANTED or number % 4 == 0:
            kind = kinds[number // 4 % len(kinds)]
        return self._ids[kind][-1 - number // 4 % len(self._ids[kind])]

    def filled_in(self, document: str) -> str:
        """The document with ids for the numbers, and mostly with pages and forms that there can be."""
        return print_ast(visit(parse(document), _Filling(self)))


def stocked(client: Client) -> Stock:
    """One of everything, made by that viewer, who has to be an administrator."""
    stock = Stock()
    file = client.upload("a file.txt", "text/plain", b"five!")["id"]
    bundled(client, "a film", ENTRIES)
    for document in (MAKE, SHOW):
        stock.learn(json.dumps(client.ask(document, file=file)))
    assert set(stock._ids) >= WANTED
    return stock


class _Filling(Visitor):
    def __init__(self, stock: Stock) -> None:
        super().__init__()
        self._stock = stock
        self._names: list[str] = []

    def enter_argument(self, node: ArgumentNode, *_at: Any) -> None:
        self._names.append(node.name.value)

    def leave_argument(self, _node: ArgumentNode, *_at: Any) -> None:
        self._names.pop()

    def enter_object_field(self, node: ObjectFieldNode, *_at: Any) -> None:
        self._names.append(node.name.value)

    def leave_object_field(self, _node: ObjectFieldNode, *_at: Any) -> None:
        self._names.pop()

    def enter_string_value(self, node: StringValueNode, *_at: Any) -> StringValueNode | None:
        name = self._names[-1]
        numbered = NUMBERED.fullmatch(node.value)
        if numbered is not None:
            kind = KIND_OF.get(name, "")
            return StringValueNode(value=self._stock.id(int(numbered[1]), KINDS.get(kind, kind)))
        chance = crc32(node.value.encode())
        forms = FORMS.get(name)
        return StringValueNode(value=forms[chance // 4 % len(forms)]) if forms and chance % 4 else None

    def enter_field(self, node: FieldNode, *_at: Any) -> FieldNode | None:
        """Forward or backward, from where something begins; every eighth stays as it is."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        chance = crc32(print_ast(node).encode())
        if "first" not in given or chance % 8 == 0:
            return None
        kept = {name: value for name, value in given.items() if name not in ("first", "last", "after", "before")}
        size = "last" if "last" in given and chance % 3 == 0 else "first"
        kept[size] = IntValueNode(value=str(1 + chance % MAX_PAGE_SIZE))
        arguments = [ArgumentNode(name=NameNode(value=name), value=value) for name, value in kept.items()]
        return FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=tuple(arguments),
            directives=node.directives,
            selection_set=node.selection_set,
        )
