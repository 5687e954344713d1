"""What a CloudFront policy says: one statement, a resource pattern, times, an address range.

Where the documentation is silent, the stricter reading is taken: what passes here should pass there, not the reverse.

Source: Amazon CloudFront Developer Guide, "Create a signed URL using a custom policy" and "… using a canned policy".
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any, Final, Self

from graphql_api.localcloud.refusal import MalformedPolicy

MAX_EPOCH: Final = 2**31 - 1  # seconds since 1970; what CloudFront documents as the latest expiry

_CIDR: Final = re.compile(r"[0-9.]+(/[0-9]{1,2})?")
_PROTOCOL: Final = re.compile(r"(https?|\*)://(.*)", re.DOTALL)
_WILDCARDS: Final = re.compile(r"\\\?|\*|\?")
_AS_REGEX: Final = {r"\?": r"\?", "*": ".*", "?": "."}


@dataclass(frozen=True, slots=True)
class ViewerUrl:
    """The address as it went over the wire, in its four sections; nothing is decoded. ``query`` has no ``?``."""

    scheme: str
    host: str
    path: str
    query: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that could be read. Times are seconds since 1970; ``resource`` None stands for every address."""

    resource: str | None
    before: int
    after: int | None = None
    source: IPv4Network | None = None

    @classmethod
    def read(cls, text: bytes) -> Self:
        """The policy in ``text`` (JSON). Raises ``MalformedPolicy``."""
        try:
            document = json.loads(text.decode(), object_pairs_hook=_object_with_distinct_names)
            statements = _only(document, "Statement")["Statement"]
            (statement,) = [statements] if isinstance(statements, dict) else statements
            statement = _only(statement, "Resource", "Condition")
            condition = _only(statement["Condition"], "DateLessThan", "DateGreaterThan", "IpAddress")
            resource = statement.get("Resource")
            if not isinstance(resource, str | None):
                raise TypeError("the resource is not text")
            return cls(
                resource=resource,
                before=_epoch(condition["DateLessThan"]),
                after=_epoch(condition["DateGreaterThan"]) if "DateGreaterThan" in condition else None,
                source=_network(condition["IpAddress"]) if "IpAddress" in condition else None,
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            raise MalformedPolicy from None

    def permits(self, url: ViewerUrl, address: str | None, now: datetime) -> bool:
        """``address`` is the viewer's. Denied at the very second of either boundary, which is not documented."""
        if not (self.after or 0) < now.timestamp() < self.before:
            return False
        if self.source is not None and not _is_within(address, self.source):
            return False
        return self.resource is None or matches(self.resource, url)


def matches(pattern: str, url: ViewerUrl) -> bool:
    r"""Does ``pattern`` name ``url``?

    ``*`` stands for any text and ``?`` for one character, within one section: protocol, domain, path or query. The
    query begins at ``\?``; an unescaped ``?`` cannot stand for the one that begins it. A ``*`` that ends the pattern
    covers all sections that follow.
    """
    if pattern == "*":
        return True
    if split := _PROTOCOL.fullmatch(pattern):
        protocol, rest = split.groups()
    elif pattern.startswith("*"):
        protocol, rest = "*", pattern
    else:
        return False
    if not _section_matches(protocol, url.scheme):
        return False
    domain, slash, rest = rest.partition("/")
    if not _section_matches(domain, url.host):
        return False
    if not slash:
        return domain.endswith("*")
    path, question, query = (slash + rest).partition(r"\?")
    if not _section_matches(path, url.path):
        return False
    return _section_matches(query, url.query) or (not question and path.endswith("*"))


def _section_matches(pattern: str, text: str) -> bool:
    regex, end = "", 0
    for wildcard in _WILDCARDS.finditer(pattern):
        regex += re.escape(pattern[end : wildcard.start()]) + _AS_REGEX[wildcard[0]]
        end = wildcard.end()
    return re.fullmatch(regex + re.escape(pattern[end:]), text, re.DOTALL) is not None


def _object_with_distinct_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two readers could pick different ones
        raise ValueError("a name stands twice in one object")
    return found


# JSON may hold anything: whatever goes wrong below is caught by the one `except` in Policy.read.
def _only(value: object, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= set(names):
        raise ValueError("not an object of the expected names")
    return value


def _epoch(value: object) -> int:
    epoch = _only(value, "AWS:EpochTime")["AWS:EpochTime"]
    if type(epoch) is not int or not 0 < epoch <= MAX_EPOCH:  # a bool is an int
        raise ValueError("not seconds since 1970")
    return int(epoch)


def _network(value: object) -> IPv4Network:
    source = _only(value, "AWS:SourceIp")["AWS:SourceIp"]
    if not _CIDR.fullmatch(source):
        raise ValueError("neither an IPv4 address nor a CIDR range")
    return IPv4Network(source)


def _is_within(address: str | None, network: IPv4Network) -> bool:
    try:
        return IPv4Address(address or "") in network
    except AddressValueError:
        return False
