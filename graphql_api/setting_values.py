"""What the value of a setting must look like: each check gives the value back as it is used, or raises ``ValueError``.

No message quotes the value, which may be a secret that was put under the wrong name.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from graphql_api.model.hosts import is_loopback

ARN_OF_STORE: Final = r"^arn:aws:cloudfront::[0-9]{12}:key-value-store/[0-9A-Za-z-]{1,64}$"

MIB: Final = 1024**2
MAX_PUT_BYTES: Final = 5 * 1024**3
MAX_OBJECT_BYTES: Final = 10_000 * MAX_PUT_BYTES
"""Amazon S3, "Amazon S3 multipart upload limits": the largest object one PUT can upload is 5 GiB, and so is the largest
part, of which there can be 10,000.
"""

AsymmetricAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # RFC 7518, section 3.1, and RFC 8037; a symmetric name here would let a public key pass for a shared secret

NEEDED_WITH: Final = {"clamd_address": ("scan", "clamd"), "trusted_documents_file": ("documents", "trusted")}
"""With which value of which other setting these have to be there."""

LONGEST_AT_STORE: Final = timedelta(days=7)  # of a presigned request, by SigV4


def _parts(url: str) -> SplitResult:
    """``url`` taken apart; all parts empty if it is not a URL, for the standard library's errors would quote it."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a bad port raises only when it is looked at
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _web_address(text: str) -> SplitResult:
    parts = _parts(text)
    is_plain = re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc) and not parts.fragment  # no credentials, no spaces
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValueError("should be an address such as https://example.com, without credentials or a fragment")
    return parts


def origin(text: str) -> str:
    parts = _web_address(text)
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("should end after the host and port: no path, no query")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def encrypted_unless_local(text: str) -> str:
    parts = _web_address(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("should start with https:// (plain http is for this machine only)")
    return text


def cors_origin(text: str) -> str:
    if text == "*":
        raise ValueError('"*" would open the API to every site; name each origin')
    return origin(text)


def bucket_name(text: str) -> str:
    """Source: Amazon S3, "General purpose bucket naming rules"."""
    looks_like_an_address = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", text)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) or ".." in text or looks_like_an_address:
        raise ValueError("should be 3 to 63 of a-z, 0-9, dots and hyphens, and not look like an IP address")
    return text


def clamd_address(text: str) -> str:
    parts = _parts(text)
    is_host = re.fullmatch(r"(?!.{254})[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|[0-9a-f:.]+", parts.hostname or "")
    is_server = parts.scheme == "tcp" and is_host and parts.port and not parts.path and "@" not in parts.netloc
    is_file = parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
    if not (is_server or is_file) or parts.query or parts.fragment:
        raise ValueError("should be tcp://host:port or unix:///path")
    return text


def database_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    parts = _parts(url)
    is_file = parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1 and parts.path != "/:memory:"
    is_server = parts.scheme == "postgresql" and url.startswith("postgresql://")
    if not is_file and not is_server:
        raise ValueError("should be sqlite:///path or postgresql://user:password@host:port/name")
    return secret


def pem(secret: SecretStr) -> SecretStr:
    """With real line ends: many tools cannot put those into an environment and write a backslash and an n."""
    text = secret.get_secret_value().replace("\\n", "\n").strip() + "\n"
    if not re.match(r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n", text) or "-----BEGIN ENCRYPTED" in text:
        raise ValueError("should be an unencrypted private key in PEM form, beginning -----BEGIN PRIVATE KEY-----")
    return SecretStr(text)


def read_pem(path: Path) -> SecretStr:
    try:
        return pem(SecretStr(path.read_text(encoding="ascii", errors="replace")))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def pem_file(path: Path) -> Path:
    read_pem(path)
    return path


def long_enough_for_hs256(secret: SecretStr) -> SecretStr:
    """Source: RFC 7518, section 3.2: a key of the same size as the hash output, or larger, must be used."""
    if len(secret.get_secret_value().encode()) < 32:
        raise ValueError("should be at least 32 bytes long")
    return secret


def split(value: object) -> object:
    """A list from text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def whole(unit: Literal["seconds", "days"], least: int, most: int) -> BeforeValidator:
    """So many of ``unit``."""

    def parse(value: object) -> timedelta:
        if isinstance(value, timedelta):
            return value  # a default
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most:
            return timedelta(**{unit: int(value)})
        raise ValueError(f"should be a whole number of {unit} from {least} to {most}")

    return BeforeValidator(parse)


def window(span: timedelta) -> timedelta:
    """Short lifetimes are rounded to divisors of it (``services/windows.py``): of any size there has to be one."""
    rest = span // timedelta(seconds=1)
    for factor in (2, 3, 5, 7):
        while rest % factor == 0:
            rest //= factor
    if rest > 1:
        raise ValueError(
            "should have no prime factor above 7, as 1800 and 86400 have none: links would not stay the same"
        )
    return span


def cookie_domain(domain: str | None, cdn_base_url: str | None) -> str | None:
    """Browsers send a cookie to hosts below its domain, and keep none for a domain in which anybody gets hosts.

    Source: RFC 6265, sections 5.1.3 and 5.3; CloudFront developer guide, "Use signed cookies".
    """
    if domain is not None and f".{domain}".endswith(".cloudfront.net"):
        raise ValueError("should be a domain of your own: browsers keep no cookies for cloudfront.net")
    if domain is not None and cdn_base_url and not f".{urlsplit(cdn_base_url).hostname}".endswith(f".{domain}"):
        raise ValueError("should be what the host of the CDN ends with, or browsers send it no cookies")
    return domain


def fault_of_delivery(name: str, value: object, delivery: str | None) -> str | None:
    """What is wrong with the setting ``name`` where links lead to ``delivery``; None of that is known to be wrong."""
    if delivery == "cdn":
        return "is required" if value is None and name.startswith("cdn_") else None
    if delivery == "store":
        if name == "shared_secret" and value is None:
            return "is required without a CDN"
        if name == "edge_store_arn" and value is not None:
            return "is of no use without a CDN: nothing refuses a link that was revoked"
        if isinstance(value, timedelta) and value > LONGEST_AT_STORE:
            return "should be at most 604800 (7 days) without a CDN"
    return None


def fault_line(fault: ErrorDetails, names: Mapping[str, str]) -> str:
    """One line about what pydantic found, under the variable's name. ``names``: of the variables, by field."""
    first, *entry = fault["loc"]
    name = names.get(str(first), str(first))  # the faults of a default come under the field's own name
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    if fault["type"] == "missing":
        message = "is required"
    elif fault["type"] == "extra_forbidden":
        similar = get_close_matches(name, list(names.values()), n=1)
        message = "is not a setting" + (f"; did you mean {similar[0]}?" if similar else "")
    return f"{name}: " + (f"entry {int(entry[0]) + 1} " if entry else "") + message


def seconds(least: int, most: int) -> BeforeValidator:
    """``whole`` of them."""
    return whole("seconds", least, most)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Origin = Annotated[str, AfterValidator(origin)]
LocalOrEncrypted = AfterValidator(encrypted_unless_local)
CommaList = BeforeValidator(split)


class GivenSettings(BaseSettings):
    """What is given, and nothing of the environment behind its back."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)
