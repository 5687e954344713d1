"""Every setting, read once from the environment and frozen; no other module knows how the environment names things.

A field is documented by the text below it, and ``docs/settings.md`` repeats that text (a test holds the two together).
Secrets are ``SecretStr``: they show as asterisks in ``repr``, and no fault quotes the value it is about.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic_settings import SettingsConfigDict

from graphql_api import setting_values
from graphql_api.errors import ConfigurationError
from graphql_api.setting_values import MIB, CommaList, GivenSettings, LocalOrEncrypted, Origin, Text, seconds

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

PREFIX: Final = "GRAPHQL_API_"

OF_THE_CLIENT: Final = frozenset({f"{PREFIX}URL", f"{PREFIX}TOKEN"})
"""What ``graphql-api upload`` and ``download`` read. They are no settings, nor faults where the shell has them set."""

MAX_BYTES: Final = 2**53 - 1  # what every reader of JSON keeps exact (RFC 8259, section 6)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX) and name not in OF_THE_CLIENT}
    return {name: value for name, value in ours.items() if value.strip()}


class _Some(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True, hide_input_in_errors=True)


class Settings(GivenSettings):
    """What the operator decides. Made by ``read`` only, so that a field always has the name the documentation gives."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,  # a default may be what does not go together with a given value
        alias_generator=lambda name: PREFIX + name.upper(),
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_url: Annotated[SecretStr, AfterValidator(setting_values.database_url)]
    """`sqlite:///path` (four slashes: absolute) or `postgresql://user:password@host:port/name`. *Secret.*"""
    listen_database_url: Annotated[SecretStr, AfterValidator(setting_values.database_url)] | None = None
    """The same database past a connection pooler, for live events: LISTEN needs a session of its own. *Secret.*"""

    s3_bucket: Annotated[str, AfterValidator(setting_values.bucket_name)]
    """Bucket that holds the files."""
    s3_region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] = "us-east-1"
    """Region of the bucket, as signatures name it."""
    s3_endpoint_url: Origin | None = None
    """Where another store than Amazon's answers, such as `http://127.0.0.1:8333`."""
    s3_addressing_style: Literal["virtual", "path"] = "virtual"
    """Whether the bucket stands in the host name (`virtual`) or in the path (`path`)."""
    s3_access_key_id: Text | None = None
    """Key id for the store. Without a pair of keys, the AWS default chain looks for credentials."""
    s3_secret_access_key: SecretStr | None = None
    """Secret of that key. *Secret.*"""

    delivery: Literal["cdn", "store"] = "cdn"
    """Where links lead to: the `cdn`, or, without one, the `store`. Then what begins with `CDN_` is not needed."""
    shared_secret: Annotated[SecretStr, AfterValidator(setting_values.long_enough_for_hs256)] | None = None
    """Seals cursors and cookies; at least 32 bytes. *Secret.* Required without a CDN, whose key does it otherwise."""
    cdn_base_url: Annotated[Origin, LocalOrEncrypted] | None = None
    """Where the CDN answers: `https://` and a host, without a path. Plain `http://` for this machine only. Required."""
    cdn_key_id: Text | None = None
    """Required. Id under which the CDN knows the public key. The first key of the keyring."""
    cdn_private_key: Annotated[SecretStr, AfterValidator(setting_values.pem)] | None = None
    """Private key that signs links, as PEM; `\\n` stands for a line end. *Secret.* This or the file is required."""
    cdn_private_key_file: Annotated[Path, AfterValidator(setting_values.pem_file)] | None = None
    """File that holds that key instead."""
    cdn_hash_algorithm: Literal["SHA256", "SHA1"] = "SHA256"
    """Hash inside the signature."""
    keys_endpoint_url: Origin | None = None
    """Where other services than Amazon's Secrets Manager and KMS answer, for signing keys that are kept there."""
    keys_access_key_id: Text | None = None
    """Key id for these services. Without a pair of keys, those for the store count."""
    keys_secret_access_key: SecretStr | None = None
    """Secret of that key. *Secret.*"""

    edge_store_arn: Annotated[str, StringConstraints(pattern=setting_values.ARN_OF_STORE)] | None = None
    """CloudFront KeyValueStore whose function refuses revoked links. With it, links can be revoked."""
    edge_store_endpoint_url: Annotated[Origin, LocalOrEncrypted] | None = None
    """Where another store of that kind than Amazon's answers."""
    edge_access_key_id: Text | None = None
    """Key id for the edge's store and control plane. Without a pair of keys, those for the files' store count."""
    edge_secret_access_key: SecretStr | None = None
    """Secret of that key. *Secret.*"""
    edge_distribution_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{1,32}$")] | None = None
    """CloudFront distribution that is told to drop copies which are public no longer. Without it they stay cached."""
    edge_control_endpoint_url: Annotated[Origin, LocalOrEncrypted] | None = None
    """Where another control plane than Amazon's answers."""
    edge_store_failure: Literal["refuse", "allow"] = "refuse"
    """What the function printed by `edge function` does with a link when it cannot read its store."""

    auth_hs256_secret: Annotated[SecretStr, AfterValidator(setting_values.long_enough_for_hs256)] | None = None
    """Secret shared with whoever issues tokens, at least 32 bytes. *Secret.* This or the JWKS address is required."""
    auth_jwks_url: Annotated[str, LocalOrEncrypted] | None = None
    """Where the issuer publishes its public keys. `https://`, or `http://` for this machine only."""
    auth_issuer: Text
    """What a token's `iss` must be."""
    auth_audience: Text
    """What a token's `aud` must contain."""
    auth_algorithms: Annotated[tuple[setting_values.AsymmetricAlgorithm, ...], CommaList, Field(min_length=1)] = (
        "RS256",
        "ES256",
        "EdDSA",
    )
    """Algorithms accepted with published keys; comma list. A shared secret always means HS256."""
    auth_leeway: Annotated[timedelta, seconds(0, 300)] = Field(
        default=timedelta(seconds=30), alias=f"{PREFIX}AUTH_LEEWAY_SECONDS"
    )
    """By how much the issuer's clock may differ from ours; 0 to 300."""
    auth_subject_claim: Text = "sub"
    """Claim that names a user for good."""
    auth_name_claim: Text = "name"
    """Claim with the name shown to people."""
    auth_email_claim: Text = "email"
    """Claim with the e-mail address. It counts only beside a claim `email_verified` that is `true`."""
    auth_trust_email: bool = False
    """Whether the issuer verifies every address, so that it counts without `email_verified`."""
    auth_groups_claim: Text = "groups"
    """Claim with the list of groups that access rules can name."""
    auth_roles_claim: Text = "roles"
    """Claim with the list of roles."""
    auth_admin_role: Text = "admin"
    """Role that makes its bearer an administrator."""

    admin_subjects: Annotated[tuple[str, ...], CommaList] = ()
    """Subjects that are administrators whatever their token says, such as the first one; comma list."""
    home_folders: bool = True
    """Whether each new user gets a folder of their own at the root."""
    audit_retention: Annotated[timedelta, setting_values.whole("days", 0, 3650)] = Field(
        default=timedelta(days=400), alias=f"{PREFIX}AUDIT_RETENTION_DAYS"
    )
    """How many days the audit log is kept; at most 3650, and 0 keeps it for ever."""

    max_upload_bytes: int = Field(default=1024**4, ge=1, le=setting_values.MAX_OBJECT_BYTES)
    """Largest file, in bytes; at most 53687091200000, which is as large as an object at S3 can be (48.8 TiB)."""
    max_file_versions: int = Field(default=100, ge=1, le=1000)
    """How many versions of a file are kept, the current one included; the oldest go. 1 to 1000."""
    user_quota_bytes: int | None = Field(default=None, ge=0, le=MAX_BYTES)
    """How many bytes each user may store who has no quota of their own; as many as they like if not set."""
    multipart_above_bytes: int = Field(default=64 * MIB, ge=0, le=setting_values.MAX_PUT_BYTES)
    """Files larger than this are sent in parts if their client does not say how; at most 5 GiB."""
    part_bytes: int = Field(default=16 * MIB, ge=5 * MIB, le=setting_values.MAX_PUT_BYTES)
    """Size of a part, in bytes, where 10,000 of them are enough; 5 MiB to 5 GiB."""
    upload_target_lifetime: Annotated[timedelta, seconds(60, 604_800)] = Field(
        default=timedelta(hours=1), alias=f"{PREFIX}UPLOAD_TARGET_SECONDS"
    )
    """How long an upload target accepts bytes; 60 to 604800 (7 days, which is as long as S3 allows)."""
    upload_lifetime: Annotated[timedelta, seconds(60, 2_592_000)] = Field(
        default=timedelta(days=1), alias=f"{PREFIX}UPLOAD_EXPIRY_SECONDS"
    )
    """When an unfinished upload is given up; no shorter than the target's time and at most 2592000 (30 days)."""
    upload_longest_lifetime: Annotated[timedelta, seconds(60, 31_536_000)] = Field(
        default=timedelta(days=7), alias=f"{PREFIX}UPLOAD_MAX_SECONDS"
    )
    """How long sending parts can keep an upload from that; no shorter than its expiry, at most 31536000 (365 days)."""
    transfer_grace: Annotated[timedelta, seconds(0, 604_800)] = Field(
        default=timedelta(hours=1), alias=f"{PREFIX}TRANSFER_GRACE_SECONDS"
    )
    """Longest time that a PUT or POST which began in time may still run; 0 to 604800 (7 days)."""
    sweep_interval: Annotated[timedelta, seconds(0, 86_400)] = Field(
        default=timedelta(minutes=1), alias=f"{PREFIX}SWEEP_SECONDS"
    )
    """How often ended uploads, deleted bytes and so on are swept; at most 86400 (a day), and 0 turns it off."""
    link_max_lifetime: Annotated[timedelta, seconds(1, 31_536_000)] = Field(
        default=timedelta(days=1), alias=f"{PREFIX}LINK_MAX_SECONDS"
    )
    """Longest lifetime of a download link; 1 to 31536000 (365 days)."""
    link_window: Annotated[timedelta, AfterValidator(setting_values.window), seconds(1, 86_400)] = Field(
        default=timedelta(minutes=30), alias=f"{PREFIX}LINK_WINDOW_SECONDS"
    )
    """For how long a link can stay the same; 1 to 86400 (a day), a product of 2, 3, 5 and 7. Equal in all processes."""
    link_memo_bytes: int = Field(default=32 * MIB, ge=0, le=MAX_BYTES)
    """Memory of each process for links to be given again, about 1200 bytes each; 0 signs every link anew."""

    cookie_domain: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")] | None = None
    """Domain that holds this service and the CDN, such as `example.com`, for cookies that open a bundle."""
    cookie_same_site: Literal["strict", "lax", "none"] = "lax"
    """From which pages browsers send these cookies; `none` where the pages are of another site than the CDN."""
    published_max_age: Annotated[timedelta, seconds(0, 31_536_000)] = Field(
        default=timedelta(hours=1), alias=f"{PREFIX}PUBLISHED_MAX_AGE_SECONDS"
    )
    """How long caches keep a published copy without asking, browsers too; 0 to 31536000 (365 days)."""

    public_url: Annotated[Origin, LocalOrEncrypted] | None = None
    """Where browsers reach this service: `https://` and a host, without a path. Share links begin with it."""
    share_max_lifetime: Annotated[timedelta, seconds(60, 315_360_000)] = Field(
        default=timedelta(days=90), alias=f"{PREFIX}SHARE_MAX_SECONDS"
    )
    """Longest lifetime of a share link, and that of one for which no end is wished; 60 to 315360000 (10 years)."""
    redirect_lifetime: Annotated[timedelta, seconds(1, 3600)] = Field(
        default=timedelta(seconds=60), alias=f"{PREFIX}REDIRECT_SECONDS"
    )
    """Lifetime of the link to which a share link, or the lasting address of a file, redirects; 1 to 3600."""
    share_guesses_per_address: int = Field(default=50, ge=1, le=1_000_000)
    """How many unknown share links and wrong passwords may come from one address (IPv6: a /64) in the time below."""
    share_guesses_per_link: int = Field(default=20, ge=1, le=1_000_000)
    """How many of these may be about one share link, or about links whose addresses begin alike."""
    share_guess_window: Annotated[timedelta, seconds(1, 86_400)] = Field(
        default=timedelta(minutes=10), alias=f"{PREFIX}SHARE_GUESS_SECONDS"
    )
    """In what time that many failures are forgotten; 1 to 86400 (a day). Each process counts for itself."""
    file_session_lifetime: Annotated[timedelta, seconds(60, 86_400)] = Field(
        default=timedelta(hours=1), alias=f"{PREFIX}FILE_SESSION_SECONDS"
    )
    """Longest lifetime of the cookie for `/f/`; 60 to 86400 (a day). It never outlives the token it was made with."""

    scan: Literal["none", "clamd", "guardduty"] = "none"
    """Who must call an upload clean before it becomes a file: `none`, `clamd` or `guardduty`."""
    clamd_address: Annotated[str, AfterValidator(setting_values.clamd_address)] | None = None
    """Where clamd listens: `tcp://host:port` or `unix:///path`. Required if it scans."""
    scan_patience: Annotated[timedelta, seconds(60, 604_800)] = Field(
        default=timedelta(days=1), alias=f"{PREFIX}SCAN_PATIENCE_SECONDS"
    )
    """How long an upload waits for a verdict before it fails; 60 to 604800 (7 days)."""

    events_queue_url: Annotated[str, LocalOrEncrypted] | None = None
    """Address of the SQS queue to which the bucket's events go. `graphql-api worker` reads it."""
    events_endpoint_url: Origin | None = None
    """Where another queue service than Amazon's answers."""
    events_access_key_id: Text | None = None
    """Key id for the queue. Without a pair of keys, those for the store count."""
    events_secret_access_key: SecretStr | None = None
    """Secret of that key. *Secret.*"""

    rate_points_per_viewer: int = Field(default=300_000, ge=0, le=1_000_000_000)
    """How many points of cost a user may ask for in the time below; at most 1000000000, and 0 as many as they like."""
    rate_points_per_address: int = Field(default=100_000, ge=0, le=1_000_000_000)
    """How many may be asked for from one address (IPv6: a /64) without signing in; 0 as many as they like."""
    rate_window: Annotated[timedelta, seconds(1, 86_400)] = Field(
        default=timedelta(minutes=1), alias=f"{PREFIX}RATE_SECONDS"
    )
    """In what time that many points come back; 1 to 86400 (a day)."""
    rate_store: Literal["database", "memory"] = "database"
    """Where points are counted: in PostgreSQL for all processes together, or by each in its `memory`, as on SQLite."""

    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], CommaList] = ()
    """Address ranges whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`; comma list."""
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(setting_values.cors_origin)], ...], CommaList] = ()
    """Web origins whose pages may call the API, such as `https://app.example.com`; comma list."""
    operation_time_limit: Annotated[timedelta, seconds(1, 600)] = Field(
        default=timedelta(seconds=30), alias=f"{PREFIX}OPERATION_SECONDS"
    )
    """After how long a query, mutation or event is given up: 503, or an error over a socket or stream; 1 to 600."""
    graphql_http_edition: Literal["2025", "2026"] = "2025"
    """Which statuses GraphQL over HTTP has: those that clients know, or those of its first edition (September 2026)."""
    introspection: Literal["everybody", "signed-in", "administrators", "nobody"] = "signed-in"
    """Who may ask for the GraphQL schema: `everybody`, `signed-in`, `administrators` or `nobody`."""
    documents: Literal["any", "trusted"] = "any"
    """Which GraphQL documents are run: `any`, or none but those in the file below."""
    trusted_documents_file: Path | None = None
    """File with documents that clients name by id, as graphql-codegen, Relay or Apollo write it."""
    fast_lists: bool = True
    """Whether lists of objects are completed by column where that can be; it changes nothing but the time they take."""
    graphiql: bool = True
    """Whether a browser that opens the GraphQL address is shown GraphiQL."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)] = "INFO"
    """Least severity that is logged: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    log_format: Literal["text", "json"] = "text"
    """One line of `text` or of `json` for each event."""
    host: Text = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=1, le=65_535)
    """TCP port to listen on."""

    @property
    def process_secret(self) -> bytes:
        """What all processes know and nobody else; whatever is sealed uses a key derived from it."""
        return (self.shared_secret or self.cdn_private_key_pem).get_secret_value().encode()

    @property
    def cdn_private_key_pem(self) -> SecretStr:
        """The key that signs links, from wherever it is. Raises ConfigurationError if its file has gone bad since."""
        if self.cdn_private_key_file is None:
            assert self.cdn_private_key is not None  # `read` takes exactly one of the two
            return self.cdn_private_key
        try:
            return setting_values.read_pem(self.cdn_private_key_file)
        except ValueError as error:
            raise ConfigurationError(f"{PREFIX}CDN_PRIVATE_KEY_FILE: {error}") from None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Settings from ``environ``; an empty value counts as none, and a name of ours that we do not know is a fault.

        Raises: ConfigurationError: one line for every fault, in which no value is quoted.
        """
        return cls._validated(cls, _given(environ))

    @classmethod
    def read_some(cls, environ: Mapping[str, str], *names: str) -> Mapping[str, Any]:
        """The fields of these names only, for a command that needs no others: they need not be set, nor be right.

        Raises: ConfigurationError: as ``read`` does, also for a name of ours that no field has.
        """
        fields: dict[str, Any] = {
            name: (field.annotation, field) for name, field in cls.model_fields.items() if name in names
        }
        others = {field.alias for name, field in cls.model_fields.items() if name not in names}
        some = create_model("Some", __base__=_Some, **fields)
        given = {name: value for name, value in _given(environ).items() if name not in others}
        return dict(cls._validated(some, given))

    @classmethod
    def _validated(cls, model: type[M], given: Mapping[str, str]) -> M:
        try:
            return model.model_validate(given)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
        names = {name: field.alias or "" for name, field in cls.model_fields.items()}
        raise ConfigurationError(*(setting_values.fault_line(fault, names) for fault in faults))

    @field_validator("listen_database_url")
    @classmethod
    def _somebody_listens(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        urls = [secret, info.data.get("database_url")] if secret is not None else []
        if any(url and not url.get_secret_value().startswith("postgresql:") for url in urls):
            raise ValueError(f"is for PostgreSQL only, as {PREFIX}DATABASE_URL must be")
        return secret

    @field_validator(
        "s3_secret_access_key", "keys_secret_access_key", "edge_secret_access_key", "events_secret_access_key"
    )
    @classmethod
    def _key_pair_is_whole(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        key_id = str(info.field_name).replace("secret_access_key", "access_key_id")
        if (secret is None) != (info.data.get(key_id) is None):
            raise ValueError(f"goes together with {PREFIX}{key_id.upper()}: set both or neither")
        return secret

    @field_validator("shared_secret", "cdn_base_url", "cdn_key_id", "edge_store_arn", "link_max_lifetime")
    @classmethod
    def _goes_with_the_way_of_delivery(cls, value: T | None, info: ValidationInfo) -> T | None:
        fault = setting_values.fault_of_delivery(str(info.field_name), value, info.data.get("delivery"))
        if fault is not None:
            raise ValueError(fault)
        return value

    @field_validator("cookie_domain")
    @classmethod
    def _cookies_reach_the_cdn(cls, domain: str | None, info: ValidationInfo) -> str | None:
        return setting_values.cookie_domain(domain, info.data.get("cdn_base_url"))

    @field_validator("cdn_private_key_file")
    @classmethod
    def _key_stands_in_one_place(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if info.data.get("delivery") == "store" and (path is None or info.data.get("cdn_private_key") is None):
            return path
        if "cdn_private_key" in info.data and (path is None) == (info.data["cdn_private_key"] is None):
            raise ValueError(f"set either this or {PREFIX}CDN_PRIVATE_KEY")
        return path

    @field_validator("auth_jwks_url")
    @classmethod
    def _tokens_can_be_verified(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None and info.data.get("auth_hs256_secret", ...) is None:
            raise ValueError(f"is required, or {PREFIX}AUTH_HS256_SECRET")
        return url

    @field_validator("clamd_address", "trusted_documents_file")
    @classmethod
    def _is_there_if_needed(cls, value: T | None, info: ValidationInfo) -> T | None:
        other, needs_it = setting_values.NEEDED_WITH[str(info.field_name)]
        if value is None and info.data.get(other) == needs_it:
            raise ValueError(f"is required with {PREFIX}{other.upper()}={needs_it}")
        return value

    @field_validator("upload_lifetime", "upload_longest_lifetime")
    @classmethod
    def _upload_outlives_its_target(cls, lifetime: timedelta, info: ValidationInfo) -> timedelta:
        shorter = "upload_target_lifetime" if info.field_name == "upload_lifetime" else "upload_lifetime"
        if lifetime < info.data.get(shorter, lifetime):
            raise ValueError(f"should be no shorter than {cls.model_fields[shorter].alias}")
        return lifetime
