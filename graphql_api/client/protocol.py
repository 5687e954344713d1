"""What is asked of the API, word for word, and what it answers.

Source: schema.graphql; docs/clients.md tells what the answers mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FILE: Final = "id name path size sha256 integrity { algorithm value } bundle { entryCount }"
TARGET: Final = (
    "target { __typename ... on PutUploadTarget { url headers { name value } }"
    " ... on MultipartUploadTarget { partSize partCount } }"
)
UPLOAD: Final = f"id status {TARGET} failure {{ message }}"
PARTS: Final = "parts { partNumber size etag crc64nvme }"
ERRORS: Final = "userErrors { code message ... on UploadStateError { status } ... on ConflictError { conflictingId } }"
PAGE: Final = "pageInfo { endCursor hasNextPage }"

CREATE_UPLOAD: Final = f"""
mutation ($input: CreateUploadInput!) {{ createUpload(input: $input) {{ upload {{ {UPLOAD} }} {ERRORS} }} }}"""
SIGN_PART: Final = f"""
mutation ($input: SignUploadPartsInput!) {{
  signUploadParts(input: $input) {{ parts {{ partNumber url headers {{ name value }} }} {ERRORS} }} }}"""
COMPLETE_UPLOAD: Final = f"""
mutation ($input: CompleteUploadInput!) {{ completeUpload(input: $input) {{ upload {{ {UPLOAD} }} {ERRORS} }} }}"""
ABORT_UPLOAD: Final = f"""
mutation ($input: AbortUploadInput!) {{ abortUpload(input: $input) {{ upload {{ status }} {ERRORS} }} }}"""
CREATE_FOLDER: Final = f"""
mutation ($input: CreateFolderInput!) {{ createFolder(input: $input) {{ folder {{ id name path }} {ERRORS} }} }}"""

FIND_UPLOADS: Final = """
query ($status: [UploadStatus!], $fingerprint: UploadFingerprint) {
  uploads(first: 100, status: $status, fingerprint: $fingerprint) {
    nodes { id status method sha256 crc64nvme folder { id } } } }"""
GET_UPLOAD: Final = f"query ($id: ID!) {{ node(id: $id) {{ ... on Upload {{ {UPLOAD} {PARTS} }} }} }}"
FIND_FILE: Final = f"query ($by: FileLocator!) {{ file(by: $by) {{ {FILE} }} }}"
GET_LINK: Final = "query ($id: ID!) { file(by: {id: $id}) { signedUrl(disposition: ATTACHMENT) { url } } }"
GET_FOLDER: Final = "query ($id: ID!) { folder(id: $id) { id name path } }"
TOP_FOLDERS: Final = f"""
query ($after: String) {{ viewer {{ topFolders(first: 100, after: $after) {{ nodes {{ id name path }} {PAGE} }} }} }}"""
SUBFOLDERS: Final = f"""
query ($id: ID!, $after: String) {{
  folder(id: $id) {{ subfolders(first: 100, after: $after) {{ nodes {{ id name path }} {PAGE} }} }} }}"""
FILES: Final = f"""
query ($id: ID!, $after: String) {{
  folder(id: $id) {{
    files(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{ nodes {{ {FILE} }} {PAGE} }} }} }}"""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder of the one tree; ``path`` is the path as the viewer sees it."""

    id: str
    name: str
    path: str

    @classmethod
    def of(cls, found: Json) -> "RemoteFolder":
        return cls(found["id"], found["name"], found["path"])


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file, and by what its bytes can be known: checksums in hex, None where the API knows none."""

    id: str
    name: str
    path: str
    size: int  # bytes
    sha256: str | None
    crc64nvme: str | None
    is_bundle: bool = False  # many objects: no link leads to all of its bytes

    @property
    def has_checksum(self) -> bool:
        """Whether bytes can be told to be this file's."""
        return self.sha256 is not None or self.crc64nvme is not None

    @classmethod
    def of(cls, found: Json) -> "RemoteFile":
        integrity = found["integrity"] or {"algorithm": "", "value": None}
        proven = {integrity["algorithm"]: integrity["value"]}
        return cls(
            id=found["id"],
            name=found["name"],
            path=found["path"],
            size=found["size"],
            sha256=found["sha256"] or proven.get("SHA256"),
            crc64nvme=proven.get("CRC64NVME"),
            is_bundle=found["bundle"] is not None,
        )


@dataclass(frozen=True, slots=True)
class SignedPut:
    """PUT the bytes to ``url`` with ``headers`` exactly as given, and nothing else that is signed."""

    url: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, found: Json) -> "SignedPut":
        return cls(found["url"], {header["name"]: header["value"] for header in found["headers"]})


@dataclass(frozen=True, slots=True)
class InParts:
    """Send the bytes in ``count`` parts, each of ``size`` bytes but the last; each is signed when it is sent."""

    size: int  # bytes
    count: int


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the store holds."""

    size: int  # bytes
    etag: str  # without quotes
    crc64nvme: str | None  # hex


@dataclass(frozen=True, slots=True)
class RemoteUpload:
    """An upload as the API sees it; ``target`` is None once it is over, ``parts`` are those there, by number."""

    id: str
    status: str
    target: SignedPut | InParts | None
    failure: str | None
    parts: Mapping[int, StoredPart]

    @classmethod
    def of(cls, found: Json) -> "RemoteUpload":
        parts = {
            part["partNumber"]: StoredPart(part["size"], part["etag"].strip('"'), part["crc64nvme"])
            for part in found.get("parts", ())
        }
        failure = found["failure"] and found["failure"]["message"]
        return cls(found["id"], found["status"], _target(found["target"]), failure, parts)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload to go on with, perhaps, and what was promised of it."""

    id: str
    status: str
    method: str
    sha256: str | None
    crc64nvme: str | None
    folder_id: str | None  # None: the folder is gone

    @classmethod
    def of(cls, found: Json) -> "Unfinished":
        folder_id = found["folder"] and found["folder"]["id"]
        return cls(found["id"], found["status"], found["method"], found["sha256"], found["crc64nvme"], folder_id)


def _target(found: Any) -> SignedPut | InParts | None:
    match found and found["__typename"]:
        case "PutUploadTarget":
            return SignedPut.of(found)
        case "MultipartUploadTarget":
            return InParts(found["partSize"], found["partCount"])
    return None
