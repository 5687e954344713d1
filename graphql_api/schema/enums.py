"""The nouns' enums, with a description of each value."""

from enum import StrEnum

import strawberry

from graphql_api.model.audit import AuditAction
from graphql_api.model.decision import Ground, Verdict
from graphql_api.model.delivery import ContentDisposition, SameSite
from graphql_api.model.file import ChecksumAlgorithm, Evidence
from graphql_api.model.listing import FileOrderField, OrderDirection
from graphql_api.model.preview import Direction
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect
from graphql_api.model.share import ShareLinkState
from graphql_api.model.signal import FolderChange
from graphql_api.model.signing_key import KeyStatus
from graphql_api.model.stored_object import StoreRequestKind
from graphql_api.model.traffic import TrafficInterval, TrafficOrder
from graphql_api.model.upload import OnConflict, UploadFailureCode, UploadMethod, UploadStatus


class UserErrorCode(StrEnum):
    """Machine-readable kind of a user error; new values may be added."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    UPLOAD_STATE = "UPLOAD_STATE"
    UPLOAD_MISMATCH = "UPLOAD_MISMATCH"
    EDGE_REFUSED = "EDGE_REFUSED"
    UNAVAILABLE = "UNAVAILABLE"


class Visibility(StrEnum):
    """Derived from the rules, never kept beside them."""

    PRIVATE = "PRIVATE"
    PUBLIC = "PUBLIC"


def _describe(enum: type[StrEnum], description: str, /, name: str | None = None, **values: str) -> None:
    described = strawberry.enum(enum, name=name, description=description)
    definition = described.__strawberry_definition__  # type: ignore[attr-defined]  # set by strawberry
    for value in definition.values:
        value.description = values.pop(value.name)
    assert not values, f"{enum.__name__} has no {values}"


_describe(
    UploadStatus,
    "State of an upload.",
    PENDING="Waiting for bytes.",
    PROCESSING="The bytes are in and as announced; a scanner is to call them clean. The name is reserved.",
    COMPLETED="The file exists.",
    FAILED="Rejected; see `failure`.",
    ABORTED="Given up by the client.",
    EXPIRED="Not completed in time.",
)
_describe(
    FolderChange,
    "What happened in a folder; new values may be added.",
    CREATED="A file or folder came into being.",
    UPDATED="Its name is another, or the file's type, labels, metadata or bytes are.",
    MOVED_IN="It came from another folder.",
    MOVED_OUT="It went to another folder.",
    DELETED="It was deleted.",
    REFRESH="Read the folder anew: what happened before this is not told, or was too much to be told one by one.",
)
_describe(
    UploadFailureCode,
    "Reason of a failed upload.",
    SIZE_MISMATCH="Other length than announced.",
    CHECKSUM_MISMATCH="Other checksum than announced.",
    CONTENT_TYPE_MISMATCH="Not the announced type.",
    INFECTED="Malware.",
    NOT_SCANNED="No scanner could say, or none has said in time, whether it is malware.",
    NOT_ALLOWED="The folder no longer takes files like this.",
)
_describe(
    UploadMethod,
    "How bytes are to be sent.",
    PUT="One PUT; iOS and Android background transfers.",
    POST="One form POST; takes a SHA-256.",
    MULTIPART="Parts; resumable.",
)
_describe(
    StoreRequestKind,
    "A request of the S3 multipart protocol.",
    CREATE_MULTIPART="Begin.",
    UPLOAD_PART="Send a part.",
    LIST_PARTS="List what is there.",
    COMPLETE_MULTIPART="Join the parts.",
    ABORT_MULTIPART="Give up.",
)
_describe(ChecksumAlgorithm, "How a checksum was computed.", SHA256="SHA-256.", CRC64NVME="CRC-64/NVME.")
_describe(
    Evidence,
    "Who said what a checksum should be. In each case the store computed it over the bytes that it holds.",
    PROMISED="The uploader, of the whole.",
    FROM_PARTS="The uploader, of each part.",
    FROM_STORE="Nobody: it is what the store computed.",
)
_describe(
    OnConflict,
    "What to do when the name is taken in the folder.",
    FAIL="Return a ConflictError.",
    RENAME="Take a numbered name, such as `report (2).pdf`.",
)
_describe(
    SameSite,
    "From which pages a browser sends a cookie.",
    STRICT="Pages of the same site.",
    LAX="The same, and links from other sites.",
    NONE="All pages.",
)
_describe(
    ContentDisposition,
    "How a browser presents a file.",
    INLINE="In the page.",
    ATTACHMENT="As a download.",
)
_describe(OrderDirection, "Direction.", ASC="Smallest first.", DESC="Largest first.")
_describe(
    FileOrderField,
    "What files can be ordered by; ties are broken by id.",
    CREATED_AT="Creation time.",
    NAME="Name, case-insensitive.",
    SIZE="Size.",
)
_describe(
    Permission,
    "What can be permitted.",
    READ="See and download.",
    WRITE="Upload, rename, move.",
    DELETE="Delete.",
    SHARE="Make rules on it and below, for no more than one holds.",
    AUDIT="Read the audit log and explain anybody's access.",
    ADMINISTER="Everything.",
)
_describe(Visibility, "Derived from the rules.", PRIVATE="Those whom rules allow.", PUBLIC="Everybody.")
_describe(Effect, "Allow or deny.", name="AccessEffect", ALLOW="Allow.", DENY="Deny; wins over allow.")
_describe(
    Ground,
    "What decided.",
    name="AccessGround",
    ADMINISTRATOR="Administrators may do everything.",
    OWNERSHIP="Owners may do everything with what is theirs, but for what a rule denies them.",
    RULE="A rule.",
    NO_RULE="Nothing allows it, and what nothing allows is denied.",
)
_describe(
    Verdict,
    "What became of one rule.",
    name="RuleVerdict",
    DECIDED="It applied, and decided.",
    AGREED="It applied, and said the same as what decided.",
    OVERRULED="It applied, and lost: to a denial, ownership, an administrator or a more generous rule.",
    OTHER_SUBJECT="It is about somebody else.",
    OTHER_PERMISSION="It is about another permission.",
    OTHER_ADDRESS="It is about requests from other addresses.",
    NOT_YET="It applies later.",
    ENDED="It has ended.",
)
_describe(
    ShareLinkState,
    "Whether visitors of a share link may come.",
    OPEN="They may.",
    USED_UP="It has served as many downloads as it allows.",
    EXPIRED="Its time is over.",
    REVOKED="Somebody has revoked it.",
)
_describe(Direction, "Which way access changes.", name="PreviewDirection", GAINS="May do more.", LOSES="May do less.")
_describe(TrafficInterval, "Width of a bucket of usage.", name="UsageInterval", DAY="One day.", MONTH="One month.")
_describe(
    TrafficOrder,
    "What the top files have most of.",
    name="UsageOrder",
    DOWNLOADS="Downloads.",
    DELIVERED_BYTES="Bytes delivered.",
)
_describe(
    AuditAction,
    "What was done; new values may be added.",
    RULE_CREATED="A rule came.",
    RULE_UPDATED="A rule changed.",
    RULE_DELETED="A rule went.",
    GROUP_CREATED="A group came.",
    GROUP_UPDATED="A group changed its name or claim.",
    GROUP_DELETED="A group went.",
    MEMBER_ADDED="Somebody came into a group.",
    MEMBER_REMOVED="Somebody left a group.",
    USER_INVITED="Somebody was named before they first signed in.",
    FILE_MOVED="A file changed its folder.",
    FILE_REPLACED="A file got other bytes.",
    FILE_VERSION_RESTORED="A file got bytes back that it had had.",
    FILE_VERSION_DELETED="Bytes that a file had had went, by somebody's wish or because there were too many.",
    FILE_DELETED="A file went.",
    FOLDER_MOVED="A folder changed its place.",
    FOLDER_DELETED="A folder went.",
    LABELS_CHANGED="A file's labels changed.",
    QUOTA_CHANGED="A user's quota changed.",
    GATE_CHANGED="A folder's gate changed.",
    FILE_WITHHELD="A scanner called bytes of a file infected, and nobody gets a link to them any more.",
    SHARE_LINK_CREATED="A share link came.",
    SHARE_LINK_REVOKED="A share link was revoked, or went with its file or folder.",
    KEY_ADDED="A signing key came.",
    KEY_ROTATED="A signing key took over from another.",
    KEY_RETIRED="A signing key went out of use.",
    LINKS_REVOKED="Links to a file, to all below a folder, or of one person, were revoked.",
    FILE_PUBLISHED="A file's bytes were, or are being, copied to a lasting address for everybody.",
    FILE_UNPUBLISHED="A file has that address no longer, or not everybody may read it any more.",
)
_describe(
    KeyStatus,
    "State of a signing key.",
    name="SigningKeyStatus",
    PENDING="Not yet proven at the edge.",
    ACTIVE="Signs.",
    RETIRING="Verifies only, until the last link it signed has ended.",
    RETIRED="Neither.",
)
_describe(
    UserErrorCode,
    "Machine-readable kind of a user error; new values may be added.",
    INVALID="Not acceptable.",
    NOT_FOUND="Not there.",
    FORBIDDEN="Not allowed.",
    CONFLICT="In the way.",
    QUOTA_EXCEEDED="No room.",
    UPLOAD_STATE="Wrong state.",
    UPLOAD_MISMATCH="The bytes are not what was announced.",
    EDGE_REFUSED="The CDN does not let through what it should.",
    UNAVAILABLE="A part of the service does not answer; nothing is half-done, ask again.",
)
