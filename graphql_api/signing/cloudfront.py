"""CloudFront signed URLs and signed cookies, with canned and custom policies.

CloudFront compares what it was sent with what was signed, byte for byte, and decodes nothing. So there is one way to
write an address here, ``_Origin.address``; what it returns is signed and emitted, and holds only characters that
neither a browser nor JSON rewrites.

Source: CloudFront developer guide, "Create a signed URL using a canned policy", "Create a signed URL using a custom
policy", "Set signed cookies using a canned policy", "Set signed cookies using a custom policy".
"""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Final
from urllib.parse import quote

from graphql_api.errors import ConfigurationError, InputFault, InvalidInput
from graphql_api.model.delivery import SignedCookie, SignedUrl
from graphql_api.signing.keyring import HashAlgorithm, Keyring

MAX_EXPIRES: Final = 2_147_483_647
"""Seconds since 1970; CloudFront's dates are 32-bit."""

MAX_URL_LENGTH: Final = 8_192
"""Bytes; CloudFront refuses a longer URL."""

_OWN_PARAMETERS: Final = frozenset({"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"})
_BASE_URL: Final = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_BASE64_AS_CLOUDFRONT_WRITES_IT: Final = bytes.maketrans(b"+=/", b"-_~")


_ESCAPES: Final = {code: quote(chr(code), "") for code in range(128)}


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if text.isascii() else quote(text, "")  # a table is twice as fast, for ASCII


@dataclass(frozen=True, slots=True)
class _Origin:
    """The scheme, host and port that viewers use, such as ``https://cdn.example.com``."""

    text: str

    @classmethod
    def parse(cls, base_url: str) -> "_Origin":
        """Lower case and without a default port, because that is how browsers send it."""
        match = _BASE_URL.fullmatch(base_url.lower())
        if not match:
            raise ConfigurationError("The CDN's base URL must be http(s)://host[:port] without path, query or user.")
        scheme, host, port = match.groups()
        is_default_port = port is None or port == _DEFAULT_PORTS[scheme]
        return cls(f"{scheme}://{host}" if is_default_port else f"{scheme}://{host}:{port}")

    def address(self, path: str, query: Sequence[tuple[str, str]] = ()) -> str:
        """The one spelling of an address: all but RFC 3986's unreserved characters and ``/`` of the path escaped."""
        if not path.startswith("/"):
            raise ValueError("A path begins with a slash.")
        if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
            raise ValueError("A path has no dot segments; browsers would remove them and so break the signature.")
        try:
            address = self.text + quote(path)
            if query:
                if not _OWN_PARAMETERS.isdisjoint(name for name, _ in query):
                    raise ValueError("CloudFront keeps this query parameter for itself.")
                address += "?" + "&".join([f"{_escaped(name)}={_escaped(value)}" for name, value in query])
        except UnicodeEncodeError:
            raise InvalidInput(InputFault("The link would hold text that is not valid Unicode.")) from None
        return address


@dataclass(frozen=True, slots=True)
class SignedPrefix:
    """Opens every address below ``prefix`` (begins and ends with ``/``) until ``expires_at``."""

    origin: _Origin = field(repr=False)
    prefix: str
    parameters: str = field(repr=False)
    key_pair_id: str
    expires_at: datetime

    def url(self, path: str, query: Sequence[tuple[str, str]] = ()) -> SignedUrl:
        """The link to ``path`` (not yet percent-encoded), which costs no signature."""
        if not path.startswith(self.prefix):
            raise ValueError("The path is not below the signed prefix.")
        address = self.origin.address(path, query)
        url = _joined(address, self.parameters)
        return SignedUrl(url, self.expires_at, self.key_pair_id, has_custom_policy=True)


class CloudFrontSigner:
    """Signs for the distribution that answers at ``base_url`` with the keyring's active key.

    A ``UrlSigner``. The methods raise ``InvalidInput`` for dates, IP ranges and lengths CloudFront cannot bind, and
    ``ValueError`` for what only a mistake of ours can bring: a naive date, a relative path, a reserved parameter.
    """

    def __init__(self, base_url: str, keyring: Keyring) -> None:
        self._origin = _Origin.parse(base_url)
        self._key = keyring.signing_key
        self._is_sha256 = self._key.hash_algorithm is HashAlgorithm.SHA256
        self._url_tail = _tail(self._key.key_id, self._key.hash_algorithm)

    @property
    def key_pair_id(self) -> str:
        return self._key.key_id

    def sign(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
        below: str | None = None,
    ) -> SignedUrl:
        """A link to one file; see ``UrlSigner``. Dates count in whole seconds, and the result says which."""
        address = self._origin.address(path, query)
        prefix = None if below is None else _prefix_resource(self._origin, below, path)
        head, policy, has_custom_policy = _head_and_policy(address, expires_at, starts_at, ip_range, prefix)
        url = _joined(address, f"{head}&Signature={_base64(self._key.sign(policy))}{self._url_tail}")
        return SignedUrl(url, expires_at.replace(microsecond=0), self._key.key_id, has_custom_policy)

    def sign_prefix(
        self,
        prefix: str,
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
    ) -> SignedPrefix:
        """One signature for every address below ``prefix``, a path that begins and ends with ``/``, with any query."""
        policy = self._prefix_policy(prefix, expires_at, starts_at, ip_range)
        parameters = f"Policy={_base64(policy)}&Signature={_base64(self._key.sign(policy))}{self._url_tail}"
        return SignedPrefix(self._origin, prefix, parameters, self._key.key_id, expires_at.replace(microsecond=0))

    def sign_cookies(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
    ) -> tuple[SignedCookie, ...]:
        """The three or four cookies that open one address, with a canned policy if that can say it."""
        address = self._origin.address(path, query)
        expires = _expires(expires_at)
        if starts_at is None and ip_range is None:
            return self._cookies("Expires", str(expires), _canned_policy(address, expires))
        policy = _custom_policy(_as_resource(address), expires, starts_at, ip_range)
        return self._cookies("Policy", _base64(policy), policy)

    def sign_prefix_cookies(
        self,
        prefix: str,
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
    ) -> tuple[SignedCookie, ...]:
        """The three or four cookies that open every address below ``prefix``, as ``sign_prefix`` does for links."""
        policy = self._prefix_policy(prefix, expires_at, starts_at, ip_range)
        return self._cookies("Policy", _base64(policy), policy)

    def _prefix_policy(
        self, prefix: str, expires_at: datetime, starts_at: datetime | None, ip_range: str | None
    ) -> bytes:
        resource = _prefix_resource(self._origin, prefix, prefix)
        return _custom_policy(resource, _expires(expires_at), starts_at, ip_range)

    def _cookies(self, kind: str, value: str, policy: bytes) -> tuple[SignedCookie, ...]:
        cookies = (
            SignedCookie(f"CloudFront-{kind}", value),
            SignedCookie("CloudFront-Signature", _base64(self._key.sign(policy))),
            SignedCookie("CloudFront-Key-Pair-Id", self._key.key_id),
        )
        return (*cookies, SignedCookie("CloudFront-Hash-Algorithm", "SHA256")) if self._is_sha256 else cookies


@dataclass(frozen=True, slots=True)
class UnsignedLink:
    """See ``UnsignedUrl``."""

    message: bytes
    address: str
    head: str
    tail: str
    key_pair_id: str
    expires_at: datetime
    has_custom_policy: bool

    def signed(self, signature: bytes) -> SignedUrl:
        url = _joined(self.address, f"{self.head}&Signature={_base64(signature)}{self.tail}")
        return SignedUrl(url, self.expires_at, self.key_pair_id, self.has_custom_policy)


class CloudFrontWriter:
    """Writes links for the distribution that answers at ``base_url``, to be signed by a key that is elsewhere.

    A ``UrlWriter``; raises as ``CloudFrontSigner`` does.
    """

    def __init__(self, base_url: str, key_id: str, hash_algorithm: HashAlgorithm) -> None:
        self._origin = _Origin.parse(base_url)
        self._key_id = key_id
        self._tail = _tail(key_id, hash_algorithm)

    @property
    def key_pair_id(self) -> str:
        return self._key_id

    def write(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
        below: str | None = None,
    ) -> UnsignedLink:
        """See ``UrlWriter``."""
        address = self._origin.address(path, query)
        prefix = None if below is None else _prefix_resource(self._origin, below, path)
        head, policy, has_custom_policy = _head_and_policy(address, expires_at, starts_at, ip_range, prefix)
        ends = expires_at.replace(microsecond=0)
        return UnsignedLink(policy, address, head, self._tail, self._key_id, ends, has_custom_policy)


def _prefix_resource(origin: _Origin, prefix: str, path: str) -> str:
    """What a policy says to open every address below ``prefix``, among them ``path``."""
    if not prefix.endswith("/"):
        # "/a*" would open "/ab" as well.
        raise ValueError("A prefix ends with a slash.")
    if not path.startswith(prefix):
        raise ValueError("The path is not below the signed prefix.")
    # A star that ends the path covers the query too; one that is data has been escaped.
    return origin.address(prefix) + "*"


def _tail(key_id: str, hash_algorithm: HashAlgorithm) -> str:
    return f"&Key-Pair-Id={key_id}" + ("&Hash-Algorithm=SHA256" if hash_algorithm is HashAlgorithm.SHA256 else "")


def _head_and_policy(
    address: str, expires_at: datetime, starts_at: datetime | None, ip_range: str | None, prefix: str | None
) -> tuple[str, bytes, bool]:
    """What says the policy in a link, the policy itself, and whether it is a custom one. ``prefix``: the resource that
    stands for more than the address.
    """
    expires = _expires(expires_at)
    if prefix is None and starts_at is None and ip_range is None:
        return f"Expires={expires}", _canned_policy(address, expires), False
    policy = _custom_policy(prefix or _as_resource(address), expires, starts_at, ip_range)
    return f"Policy={_base64(policy)}", policy, True


def _joined(address: str, parameters: str) -> str:
    """CloudFront's parameters come after our own."""
    url = f"{address}{'&' if '?' in address else '?'}{parameters}"
    if len(url) > MAX_URL_LENGTH:
        raise InvalidInput(InputFault(f"The link would be {len(url)} bytes long; {MAX_URL_LENGTH} are possible."))
    return url


def _as_resource(address: str) -> str:
    """In a custom policy a bare ``?`` stands for any one character; the backslash is doubled because JSON eats one."""
    return address.replace("?", "\\\\?")


def _canned_policy(resource: str, expires: int) -> bytes:
    """The exact bytes that CloudFront rebuilds from the request. An address needs no escaping in JSON."""
    return f'{{"Statement":[{{"Resource":"{resource}","Condition":{_less_than(expires)}}}}}]}}'.encode()


def _custom_policy(resource: str, expires: int, starts_at: datetime | None, ip_range: str | None) -> bytes:
    condition = _less_than(expires)
    if ip_range is not None:
        condition += f',"IpAddress":{{"AWS:SourceIp":"{_ipv4_range(ip_range)}"}}'
    if starts_at is not None:
        starts = _epoch_seconds(starts_at)
        if not 0 < starts < expires:
            raise InvalidInput(InputFault("The link would not open before it ends.", ("startsAt",)))
        condition += f',"DateGreaterThan":{{"AWS:EpochTime":{starts}}}'
    return f'{{"Statement":[{{"Resource":"{resource}","Condition":{condition}}}}}]}}'.encode()


def _less_than(expires: int) -> str:
    """The condition that every policy has, left open for others to follow."""
    return f'{{"DateLessThan":{{"AWS:EpochTime":{expires}}}'


def _expires(expires_at: datetime) -> int:
    expires = _epoch_seconds(expires_at)
    if not 0 < expires <= MAX_EXPIRES:
        raise InvalidInput(InputFault("The link would end outside the years that CloudFront can write, 1970 to 2038."))
    return expires


def _epoch_seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("A date without a time zone names no moment.")
    return int(moment.timestamp())


def _ipv4_range(text: str) -> str:
    """``192.0.2.7`` becomes ``192.0.2.7/32``. CloudFront binds one range and knows no IPv6."""
    try:
        return str(IPv4Network(text))
    except (AddressValueError, NetmaskValueError):
        fault = "This is not an IPv4 address or an IPv4 range such as 192.0.2.0/24."
    except ValueError:
        fault = "This range has bits beyond its prefix length; 192.0.2.0/24 is a range, 192.0.2.7/24 is not."
    raise InvalidInput(InputFault(fault, ("ipAddress",)))


def _base64(data: bytes) -> str:
    """Base64 with ``+``, ``=`` and ``/`` written as ``-``, ``_`` and ``~``; not RFC 4648's URL-safe alphabet."""
    return b2a_base64(data, newline=False).translate(_BASE64_AS_CLOUDFRONT_WRITES_IT).decode()
