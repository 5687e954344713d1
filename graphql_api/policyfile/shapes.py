"""What may stand where in a policy file, for one part at a time; pydantic finds every fault of a part at once."""

from collections.abc import Collection
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    model_validator,
)

from graphql_api.model.group import claim_fault, email_fault
from graphql_api.model.ids import USER_PREFIX, well_formed
from graphql_api.model.labels import normalized_label
from graphql_api.model.names import name_fault, normalized_name
from graphql_api.model.principal import Permission
from graphql_api.policyfile.document import Kind, Whom
from graphql_api.policyfile.yaml_tree import shown

T = TypeVar("T")

EVERYBODY: Final = (Kind.SIGNED_IN, Kind.ANYONE)
PEOPLE: Final = (Kind.USER, Kind.SUBJECT, Kind.ID)
_WHOM: Final = "should be signed-in, anyone, {group: …}, {user: …}, {subject: …} or {id: …}"
_MEMBER: Final = "should be an e-mail address, {subject: …} or {id: …}"


def _require(fault: str | None) -> None:
    if fault is not None:
        raise ValueError(fault)


def _version(value: int) -> int:
    _require(None if value == 1 else "should be 1, the only version there is")
    return value


def _permission(value: object) -> object:
    if isinstance(value, str) and value == value.lower() and value.upper() in Permission.__members__:
        return Permission[value.upper()]
    known = ", ".join(permission.lower() for permission in Permission)
    raise ValueError(f"{shown(str(value))} is not a permission; there are {known}")


def _each_once(values: list[T]) -> list[T]:
    if len(set(values)) < len(values):
        raise ValueError("says something twice")
    return values


def _instant(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value))
        in_utc = instant.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last hours of the calendar are not in every zone
        raise ValueError("should be a time with its zone, such as 2026-01-31T09:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError("has no time zone: end it with Z for UTC, or with an offset such as +02:00")
    return in_utc


def _ip_range(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be an address or a CIDR range, in quotes")
    try:
        return str(ip_network(value))
    except ValueError:
        pass
    try:
        hint = f"; did you mean {ip_network(value, strict=False)}?"
    except ValueError:
        hint = ""
    raise ValueError(f"{shown(value)} is not an address or a CIDR range{hint}")


def _path(value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise ValueError("should be text: put it in quotes")
    if value == "/":
        raise ValueError("is the root; write root: true")
    if not value.startswith("/") or value.endswith("/"):
        raise ValueError("should be a path that begins with / and does not end with it")
    names = tuple(map(normalized_name, value[1:].split("/")))
    for name in names:
        _require(name_fault(name))
    return names


def _group_name(value: str) -> str:
    name = normalized_name(value)
    _require(name_fault(name))
    return name


def _label(value: str) -> str:
    label = normalized_label(value)
    if label is None:
        raise ValueError(f"{shown(value)} cannot be a label")
    return label


def _claim(value: str) -> str:
    _require(claim_fault(value))
    return value


def _somebody(value: object, kinds: Collection[Kind], wanted: str) -> Whom:
    """One of ``kinds`` with a name: the mapping's one pair."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(wanted)
    [(kind, name)] = value.items()
    if kind not in kinds:
        raise ValueError(wanted)
    if not isinstance(name, str):
        raise ValueError(f"the {kind} should be text: put it in quotes")
    match Kind(kind):
        case Kind.GROUP:
            name = _group_name(name)
        case Kind.USER:
            _require(None if email_fault(name) is None else f"{shown(name)} {email_fault(name)}")
        case Kind.SUBJECT:
            _require(claim_fault(name))
        case _:
            _require(None if well_formed(name, USER_PREFIX) == name else f"{shown(name)} is not a user's id")
    return Whom(Kind(kind), name)


def _whom(value: object) -> Whom:
    if isinstance(value, str) and value in EVERYBODY:
        return Whom(Kind(value))
    return _somebody(value, (Kind.GROUP, *PEOPLE), _WHOM)


def _member(value: object) -> Whom:
    return _somebody({str(Kind.USER): value} if isinstance(value, str) else value, PEOPLE, _MEMBER)


Permissions = Annotated[
    list[Annotated[Permission, BeforeValidator(_permission)]], Field(min_length=1), AfterValidator(_each_once)
]
Instant = Annotated[datetime, PlainValidator(_instant)]
Ranges = Annotated[list[Annotated[str, PlainValidator(_ip_range)]], AfterValidator(_each_once)]
EntryPath = Annotated[tuple[str, ...], PlainValidator(_path)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Top(_Part):
    """The file; its lists are looked into part by part."""

    version: Annotated[StrictInt, AfterValidator(_version)]
    groups: list[Any] = []
    resources: list[Any] = []


class GroupShape(_Part):
    """An entry of ``groups``."""

    name: Annotated[StrictStr, AfterValidator(_group_name)]
    claim: Annotated[StrictStr, AfterValidator(_claim)] | None = None
    members: list[Any] | None = None


class ResourceShape(_Part):
    """An entry of ``resources``."""

    root: Literal[True] | None = None
    folder: EntryPath | None = None
    file: EntryPath | None = None
    label: Annotated[StrictStr, AfterValidator(_label)] | None = None
    rules: list[Any]

    @model_validator(mode="before")
    @classmethod
    def _names_one(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"root", "folder", "file", "label"}) != 1:
            raise ValueError("should name one of root, folder, file and label")
        return value


class LinkShape(_Part):
    """``link`` of a rule."""

    longest: Annotated[StrictInt, Field(ge=1, le=31_536_000)] | None = None  # seconds
    bind_ip: StrictBool = Field(default=False, alias="bind-ip")
    download: StrictBool = False
    personal: StrictBool = False


class RuleShape(_Part):
    """An entry of ``rules``."""

    allow: Permissions | None = None
    deny: Permissions | None = None
    to: Annotated[Whom, PlainValidator(_whom)]
    starts_at: Instant | None = Field(default=None, alias="from")
    until: Instant | None = None
    ips: Ranges = []
    link: LinkShape | None = None

    @model_validator(mode="before")
    @classmethod
    def _allows_or_denies(cls, value: object) -> object:
        if isinstance(value, dict) and len(value.keys() & {"allow", "deny"}) != 1:
            raise ValueError("should have either allow or deny")
        return value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.starts_at is not None and self.until is not None and self.until <= self.starts_at:
            raise ValueError("until should be later than from")
        return self


TOP: Final = TypeAdapter(Top)
GROUP: Final = TypeAdapter(GroupShape)
RESOURCE: Final = TypeAdapter(ResourceShape)
RULE: Final = TypeAdapter(RuleShape)
MEMBER: Final[TypeAdapter[Whom]] = TypeAdapter(Annotated[Whom, PlainValidator(_member)])  # an entry of ``members``
