"""What fields cost, and how long lists are taken to be that are no pages.

A point is what a row of a page takes, or its link: some 30 µs. So an operation at the limit of 20,000 points takes
about 0.6 seconds.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from graphql_api.model.labels import MAX_METADATA
from graphql_api.model.traffic import DEFAULT_DAYS, MAX_DAYS

SMALL_LIST: Final = 10
"""What a list is taken to have that stands in no table: headers of a request, errors."""

WEIGHTS: Final[Mapping[str, int]] = {
    "Upload.parts": 20,  # a request to the store
    # Each looks at many users and files.
    "Query.previewAccessRules": 500,
    "Query.explainAccess": 20,
    "File.access": 20,
    "Folder.access": 20,
    # Sums over days; which files were the busiest is looked for among ten thousand.
    "File.usage": 5,
    "Viewer.usage": 20,
    "Viewer.topFiles": 100,
    "Query.topFiles": 100,
}
"""Of fields that cost more than a row: everything else that is an object costs one, and what lies in it nothing."""


OF_PAGES: Final[Mapping[str, int]] = {"FileConnection.totalCount": 200, "FileConnection.totalCountIsExact": 200}
"""Of what a connection tells of all its pages, which counts once and not for each row: up to 10,000 are counted."""


class Work(NamedTuple):
    """What a mutation does whatever is selected of its payload: ``once``, and for each item of all its lists."""

    once: int = 20
    each: int = 10


WORK: Final[Mapping[str, Work]] = {
    # All below gets other scopes, or goes.
    "deleteFolder": Work(once=1_000),
    "moveFolder": Work(once=1_000),
    # Rules are read, and files get other scopes. Most items are permissions and ranges of addresses.
    "createAccessRule": Work(once=200, each=2),
    "updateAccessRule": Work(once=200, each=2),
    "deleteAccessRule": Work(once=200),
    "replaceAccessRules": Work(once=200, each=2),
    "changeGroupMembers": Work(once=50),
    "createShareLink": Work(once=500),  # its password is hashed, which is meant to take long
    "rotateSigningKey": Work(once=200),
    # Requests to the store.
    "completeUpload": Work(once=40),
    "abortUpload": Work(once=40),
    "publish": Work(once=40),
    "moveFiles": Work(each=20),  # a transaction for each
    # Arithmetic for each, in one transaction.
    "signUploadParts": Work(each=1),
}
"""Of mutations that are not a transaction for all and some statements for each."""

LIST_SIZES: Final[Mapping[str, int]] = {
    "File.metadata": MAX_METADATA,
    "PostUploadTarget.fields": 15,
    "AccessDecision.consideredRules": 20,  # one or two in each folder above
    "AccessPreview.lines": 200,  # as many people are looked at
    # More than most uploads have. One may have 10,000, once somebody has sent all of these; a page of uploads with
    # their parts is what clients that go on with uploads ask for.
    "Upload.parts": 200,
}
"""How many objects a list has at the most, or where that is far from the usual, as said."""

AS_MANY_AS_ASKED: Final[Mapping[str, int]] = {
    "CreateUploadsPayload.results": 100,
    "DeleteFileVersionsPayload.results": 100,
    "DeleteFilesPayload.results": 100,
    "MoveFilesPayload.results": 100,
    "SignUploadPartsPayload.parts": 100,
    "ReplaceAccessRulesPayload.accessRules": 10_000,
}
"""Lists in payloads with one for each item of the input's longest list, and of how many: of more none is done."""

BUCKETS: Final = frozenset({"File.usage", "Viewer.usage"})
DEFAULT_BUCKETS: Final = DEFAULT_DAYS + 1
MAX_BUCKETS: Final = MAX_DAYS
MONTHS: Final = MAX_DAYS // 28

META_SHARE: Final = 100
"""So many fields of the schema are a point, counted as the sizes below have it. That is generous: of the places that
are counted most are empty. What an operation may ask for at most takes no longer than what is asked of pages; the whole
schema, as tools ask for it, 0.1 seconds, and no more than a half of the points.
"""

META_SIZES: Final[Mapping[str, int]] = {
    "__Schema.directives": 8,
    "__Type.fields": 20,
    "__Type.interfaces": 2,
    "__Type.possibleTypes": 10,
    "__Type.enumValues": 10,
    "__Type.inputFields": 10,
    "__Field.args": 3,
    "__Directive.args": 3,
}
"""Of lists of the schema, but for its types, which are counted."""
