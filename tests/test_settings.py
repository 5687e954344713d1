"""Settings: what is read, every fault at once, no secret shown, and the documentation that agrees."""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from graphql_api.errors import ConfigurationError
from graphql_api.model.parts import MAX_OBJECT_SIZE
from graphql_api.setting_values import MAX_OBJECT_BYTES
from graphql_api.settings import OF_THE_CLIENT, PREFIX, Settings

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"

PEM = "-----BEGIN PRIVATE KEY-----\nTUlJRXZRSUJBREFOQmdr\n-----END PRIVATE KEY-----\n"
SECRETS = {
    "DATABASE_URL": "postgresql://api:pass-0a1b@db.internal:5432/files",
    "LISTEN_DATABASE_URL": "postgresql://api:pass-6a7b@db.internal:5433/files",
    "S3_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "S3_SECRET_ACCESS_KEY": "store-2c3d",
    "CDN_PRIVATE_KEY": PEM,
    "AUTH_HS256_SECRET": "token-4e5f" * 4,
}
NEEDED = {
    "DATABASE_URL": "sqlite:///files.db",
    "S3_BUCKET": "private-files",
    "CDN_BASE_URL": "https://cdn.example.com",
    "CDN_KEY_ID": "K2JCJMDEHXQW5F",
    "CDN_PRIVATE_KEY": PEM,
    "AUTH_HS256_SECRET": "0123456789abcdef0123456789abcdef",
    "AUTH_ISSUER": "https://login.example.com",
    "AUTH_AUDIENCE": "files",
}


def read(given: Mapping[str, str] = {}, *, without: str = "") -> Settings:
    """The needed settings, with ``given`` on top and ``without`` one; names come without their prefix."""
    return Settings.read({PREFIX + name: value for name, value in {**NEEDED, **given}.items() if name != without})


def faults(given: Mapping[str, str] = {}, *, without: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(given, without=without)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # a traceback would print the library's own error, too
    return caught.value.faults


def test_only_what_has_no_default_is_needed() -> None:
    settings = read()
    assert settings.s3_bucket == "private-files"
    assert settings.s3_region == "us-east-1"
    assert settings.upload_target_lifetime == timedelta(hours=1)
    assert settings.auth_algorithms == ("RS256", "ES256", "EdDSA")


def test_an_empty_environment_names_everything_that_is_needed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.read({})
    assert caught.value.faults == (
        "GRAPHQL_API_DATABASE_URL: is required",
        "GRAPHQL_API_S3_BUCKET: is required",
        "GRAPHQL_API_CDN_BASE_URL: is required",
        "GRAPHQL_API_CDN_KEY_ID: is required",
        "GRAPHQL_API_CDN_PRIVATE_KEY_FILE: set either this or GRAPHQL_API_CDN_PRIVATE_KEY",
        "GRAPHQL_API_AUTH_JWKS_URL: is required, or GRAPHQL_API_AUTH_HS256_SECRET",
        "GRAPHQL_API_AUTH_ISSUER: is required",
        "GRAPHQL_API_AUTH_AUDIENCE: is required",
    )


def test_faults_of_every_kind_are_reported_at_once() -> None:
    bad = {
        "S3_BUCKET": "No",
        "S3_ACCESS_KEY_ID": "half",
        "PORT": "http",
        "CORS_ORIGINS": "https://a.example,*",
        "X": "y",
    }
    found = faults(bad | {"UPLOAD_TARGET_SECONDS": "172800"}, without="AUTH_ISSUER")
    assert sorted(line.split(":")[0].removeprefix(PREFIX) for line in found) == [
        "AUTH_ISSUER",
        "CORS_ORIGINS",
        "PORT",
        "S3_BUCKET",
        "S3_SECRET_ACCESS_KEY",
        "UPLOAD_EXPIRY_SECONDS",
        "X",
    ]
    assert all("\n" not in line for line in found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/files"),
        ("DATABASE_URL", "postgresql:files"),
        ("DATABASE_URL", "postgresql://db:port/files"),
        ("DATABASE_URL", "postgresql+asyncpg://db/files"),
        ("DATABASE_URL", "sqlite://files.db"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("S3_BUCKET", "ab"),
        ("S3_BUCKET", "a" * 64),
        ("S3_BUCKET", "Upper"),
        ("S3_BUCKET", "-edge"),
        ("S3_BUCKET", "two..dots"),
        ("S3_BUCKET", "192.168.0.1"),
        ("S3_REGION", "us east"),
        ("S3_ENDPOINT_URL", "ftp://store.example"),
        ("S3_ENDPOINT_URL", "https://store.example/prefix"),
        ("S3_ENDPOINT_URL", "https://store.example:99999"),
        ("S3_ADDRESSING_STYLE", "auto"),
        ("LINK_WINDOW_SECONDS", "1801"),
        ("LINK_WINDOW_SECONDS", "3607"),
        ("LINK_WINDOW_SECONDS", "3960"),  # 360 times 11
        ("LINK_WINDOW_SECONDS", "0"),
        ("CDN_BASE_URL", "http://cdn.example.com"),
        ("CDN_BASE_URL", "https://cdn.example.com/files"),
        ("CDN_BASE_URL", "https://cdn.example.com?a=b"),
        ("CDN_BASE_URL", "https://cdn.example.com#top"),
        ("CDN_BASE_URL", "https://user@cdn.example.com"),
        ("CDN_BASE_URL", "https://cdn example.com"),
        ("CDN_BASE_URL", "https://"),
        ("CDN_BASE_URL", "https://[::1"),
        ("CDN_BASE_URL", "cdn.example.com"),
        ("CDN_PRIVATE_KEY", "-----BEGIN PUBLIC KEY-----\nTUlJ\n-----END PUBLIC KEY-----"),
        ("CDN_PRIVATE_KEY", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nTUlJ\n-----END ENCRYPTED PRIVATE KEY-----"),
        ("CDN_HASH_ALGORITHM", "MD5"),
        ("AUTH_HS256_SECRET", "x" * 31),
        ("AUTH_JWKS_URL", "http://login.example.com/jwks"),
        ("AUTH_ALGORITHMS", "none"),
        ("AUTH_ALGORITHMS", ","),
        ("AUTH_LEEWAY_SECONDS", "301"),
        ("AUTH_LEEWAY_SECONDS", "-1"),
        ("AUTH_LEEWAY_SECONDS", "1.5"),
        ("HOME_FOLDERS", "maybe"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_UPLOAD_BYTES", "53687091200001"),
        ("MULTIPART_ABOVE_BYTES", "5368709121"),
        ("PART_BYTES", "5242879"),
        ("PART_BYTES", "5368709121"),
        ("UPLOAD_MAX_SECONDS", "86399"),
        ("UPLOAD_TARGET_SECONDS", "59"),
        ("UPLOAD_TARGET_SECONDS", "604801"),
        ("UPLOAD_EXPIRY_SECONDS", "3599"),
        ("UPLOAD_EXPIRY_SECONDS", "2592001"),
        ("TRANSFER_GRACE_SECONDS", "soon"),
        ("SWEEP_SECONDS", "86401"),
        ("AUDIT_RETENTION_DAYS", "3651"),
        ("AUDIT_RETENTION_DAYS", "-1"),
        ("AUTH_TRUST_EMAIL", "some"),
        ("LINK_MAX_SECONDS", "0"),
        ("LINK_MAX_SECONDS", "31536001"),
        ("SCAN", "virustotal"),
        ("CLAMD_ADDRESS", "clamd:3310"),
        ("CLAMD_ADDRESS", "tcp://clamd"),
        ("CLAMD_ADDRESS", "tcp://clamd:0"),
        ("CLAMD_ADDRESS", "tcp://clamd:99999"),
        ("CLAMD_ADDRESS", "tcp://:3310"),
        ("CLAMD_ADDRESS", "tcp://clamd..internal:3310"),
        ("CLAMD_ADDRESS", "tcp://" + "x" * 64 + ":3310"),
        ("CLAMD_ADDRESS", "tcp://clamd:3310/path"),
        ("CLAMD_ADDRESS", "tcp://user@clamd:3310"),
        ("CLAMD_ADDRESS", "unix://clamd.sock"),
        ("CLAMD_ADDRESS", "unix:///"),
        ("CLAMD_ADDRESS", "unix:///run/clamd.sock?x=1"),
        ("CLAMD_ADDRESS", "http://clamd:3310"),
        ("SCAN_PATIENCE_SECONDS", "59"),
        ("SCAN_PATIENCE_SECONDS", "604801"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://app.example.com/page"),
        ("CORS_ORIGINS", "app.example.com"),
        ("DOCUMENTS", "some"),
        ("GRAPHIQL", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("PORT", "0"),
        ("PORT", "65536"),
    ],
)
def test_a_bad_value_is_one_fault_under_its_own_name(name: str, value: str) -> None:
    (line,) = faults({name: value})
    assert line.startswith(f"{PREFIX}{name}: ")


def test_a_symmetric_algorithm_cannot_be_accepted_with_public_keys() -> None:
    (line,) = faults({"AUTH_ALGORITHMS": "RS256,HS256"})
    assert line.startswith("GRAPHQL_API_AUTH_ALGORITHMS: entry 2 ")


def test_a_misspelt_name_is_a_fault_that_suggests_the_right_one() -> None:
    assert faults({"S3_REGOIN": "eu-west-1"}) == (
        "GRAPHQL_API_S3_REGOIN: is not a setting; did you mean GRAPHQL_API_S3_REGION?",
    )


def test_names_without_our_prefix_are_none_of_our_business() -> None:
    environ = {PREFIX + name: value for name, value in NEEDED.items()} | {"S3_BUKCET": "x"}
    assert Settings.read(environ).s3_bucket == "private-files"


def test_the_process_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHQL_API_PORT", "9000")
    assert read().port == 8000


def test_an_empty_value_counts_as_none() -> None:
    assert read({"S3_ENDPOINT_URL": "", "PORT": " "}).port == 8000
    assert faults({"S3_BUCKET": ""}) == ("GRAPHQL_API_S3_BUCKET: is required",)


@pytest.mark.parametrize("part", ["S3", "EVENTS"])
@pytest.mark.parametrize("half", ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"])
def test_half_a_pair_of_keys_is_a_fault(part: str, half: str) -> None:
    name = f"GRAPHQL_API_{part}"
    assert faults({f"{part}_{half}": "AKIDEXAMPLE"}) == (
        f"{name}_SECRET_ACCESS_KEY: goes together with {name}_ACCESS_KEY_ID: set both or neither",
    )


def test_the_signing_key_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    inline = read({"CDN_PRIVATE_KEY": PEM.strip().replace("\n", "\\n")})
    from_file = read({"CDN_PRIVATE_KEY_FILE": str(file)}, without="CDN_PRIVATE_KEY")
    assert inline.cdn_private_key_pem.get_secret_value() == PEM
    assert from_file.cdn_private_key_pem.get_secret_value() == PEM


def test_the_signing_key_has_one_place(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    expected = ("GRAPHQL_API_CDN_PRIVATE_KEY_FILE: set either this or GRAPHQL_API_CDN_PRIVATE_KEY",)
    assert faults({"CDN_PRIVATE_KEY_FILE": str(file)}) == expected
    assert faults(without="CDN_PRIVATE_KEY") == expected


def test_a_bad_key_file_is_found_when_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_bytes(b"\x30\x82\xff")
    for name in ("absent.pem", "certificate.pem", "."):
        (line,) = faults({"CDN_PRIVATE_KEY_FILE": str(tmp_path / name)}, without="CDN_PRIVATE_KEY")
        assert line.startswith("GRAPHQL_API_CDN_PRIVATE_KEY_FILE: ")


def test_a_key_file_that_went_away_is_a_configuration_error(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    settings = read({"CDN_PRIVATE_KEY_FILE": str(file)}, without="CDN_PRIVATE_KEY")
    file.unlink()
    with pytest.raises(ConfigurationError, match="GRAPHQL_API_CDN_PRIVATE_KEY_FILE: cannot be read"):
        _ = settings.cdn_private_key_pem


def test_published_keys_can_stand_in_for_a_shared_secret() -> None:
    url = "https://login.example.com/.well-known/jwks.json?v=1"
    assert read({"AUTH_JWKS_URL": url}, without="AUTH_HS256_SECRET").auth_jwks_url == url
    assert read({"AUTH_JWKS_URL": "http://127.0.0.1:9000/jwks"}).auth_hs256_secret is not None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_a_cdn_on_this_machine_may_speak_plain_http(url: str) -> None:
    assert read({"CDN_BASE_URL": url + "/"}).cdn_base_url == url


@pytest.mark.parametrize(
    ("domain", "cdn"),
    [
        ("other.org", "https://files.example.net"),
        ("example.net", "https://files.badexample.net"),
        ("files.example.net", "https://example.net"),
        ("cloudfront.net", "https://d111111abcdef8.cloudfront.net"),
        ("d111111abcdef8.cloudfront.net", "https://d111111abcdef8.cloudfront.net"),
    ],
)
def test_a_domain_whose_cookies_do_not_reach_the_cdn_is_a_fault(domain: str, cdn: str) -> None:
    (line,) = faults({"COOKIE_DOMAIN": domain, "CDN_BASE_URL": cdn})
    assert line.startswith("GRAPHQL_API_COOKIE_DOMAIN: should be ")


@pytest.mark.parametrize("cdn", ["https://files.example.net", "https://a.b.example.net:8443", "https://EXAMPLE.net"])
def test_cookies_are_set_for_a_domain_that_holds_the_cdn(cdn: str) -> None:
    assert read({"CDN_BASE_URL": cdn, "COOKIE_DOMAIN": "example.net"}).cookie_domain == "example.net"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///files.db",
        "sqlite:////var/lib/files.db",
        "postgresql://u:p@db:5432/files",
        "postgresql://postgres@/test?host=/tmp/pg",
    ],
)
def test_a_database_is_a_file_or_a_server(url: str) -> None:
    assert read({"DATABASE_URL": url}).database_url.get_secret_value() == url


def test_what_listens_does_so_on_the_same_kind_of_database() -> None:
    file, server = "sqlite:///files.db", "postgresql://u:p@db:5432/files"
    assert read({"DATABASE_URL": server, "LISTEN_DATABASE_URL": server}).listen_database_url
    assert read({"DATABASE_URL": server}).listen_database_url is None
    for one, other in ((file, server), (server, file), (file, file)):
        [fault] = faults({"DATABASE_URL": one, "LISTEN_DATABASE_URL": other})
        assert fault == "GRAPHQL_API_LISTEN_DATABASE_URL: is for PostgreSQL only, as GRAPHQL_API_DATABASE_URL must be"


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:3310", "tcp://[::1]:3310", "tcp://clam_av.internal:3310", "unix:///run/clamav/clamd.ctl"],
)
def test_clamd_listens_on_tcp_or_a_unix_socket(address: str) -> None:
    assert read({"SCAN": "clamd", "CLAMD_ADDRESS": address}).clamd_address == address


def test_only_clamd_needs_an_address() -> None:
    assert faults({"SCAN": "clamd"}) == ("GRAPHQL_API_CLAMD_ADDRESS: is required with GRAPHQL_API_SCAN=clamd",)
    assert read({"SCAN": "guardduty"}).clamd_address is None
    assert read().scan == "none"


def test_trusting_only_some_documents_needs_a_file_with_them() -> None:
    expected = ("GRAPHQL_API_TRUSTED_DOCUMENTS_FILE: is required with GRAPHQL_API_DOCUMENTS=trusted",)
    assert faults({"DOCUMENTS": "trusted"}) == expected
    assert read({"DOCUMENTS": "trusted", "TRUSTED_DOCUMENTS_FILE": "documents.json"}).documents == "trusted"
    assert read({"TRUSTED_DOCUMENTS_FILE": "documents.json"}).documents == "any"


def test_comma_lists_take_blanks_and_drop_empty_entries() -> None:
    settings = read(
        {
            "ADMIN_SUBJECTS": "ann, ben,,",
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1/128",
            "CORS_ORIGINS": "https://App.example.com/,http://localhost:5173",
            "AUTH_ALGORITHMS": " ES256 ",
        }
    )
    assert settings.admin_subjects == ("ann", "ben")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.cors_origins == ("https://app.example.com", "http://localhost:5173")
    assert settings.auth_algorithms == ("ES256",)


def test_seconds_become_durations_and_zero_stops_the_sweep() -> None:
    settings = read({"AUTH_LEEWAY_SECONDS": "0", "LINK_MAX_SECONDS": "900", "SWEEP_SECONDS": "0"})
    assert settings.link_max_lifetime == timedelta(minutes=15)
    assert not settings.sweep_interval


def test_days_become_durations_and_zero_keeps_the_audit_log() -> None:
    assert read().audit_retention == timedelta(days=400)
    assert read({"AUDIT_RETENTION_DAYS": "30"}).audit_retention == timedelta(days=30)
    assert not read({"AUDIT_RETENTION_DAYS": "0"}).audit_retention


def test_settings_cannot_be_changed() -> None:
    settings = read()
    with pytest.raises(ValidationError):
        setattr(settings, "port", 1)  # noqa: B010 - mypy refuses the plain assignment, which is half of the promise


def test_secrets_show_in_no_form() -> None:
    settings = read(SECRETS)
    for shown in (repr(settings), str(settings), f"{settings.model_dump()}", settings.model_dump_json()):
        assert not [word for word in ("pass-0a1b", "store-2c3d", "token-4e5f", "TUlJRXZR") if word in shown]


def test_faults_quote_no_value() -> None:
    given = dict.fromkeys((name.removeprefix(PREFIX) for name in names()), "hush-6a7b:") | {"UNKNOWN": "hush-6a7b"}
    lines = faults(given)
    assert len(lines) > 20
    assert not [line for line in lines if "hush" in line]


def names() -> list[str]:
    return [field.alias or "" for field in Settings.model_fields.values()]


def shown_default(value: object, name: str) -> str:
    """As one would write it in the environment."""
    match value:
        case _ if value is PydanticUndefined:
            return "required"
        case None | ():
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{value // (timedelta(days=1) if name.endswith('_DAYS') else timedelta(seconds=1))}`"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"


def test_the_document_has_a_row_for_every_setting_and_no_other() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{field.alias}` | {shown_default(field.default, field.alias or '')} | {field.description} |"
        for field in Settings.model_fields.values()
    ]


def test_the_document_names_no_setting_that_does_not_exist() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", DOCUMENT.read_text(encoding="utf-8")))
    assert named == set(names()) | OF_THE_CLIENT


def test_the_largest_file_that_can_be_set_is_the_largest_that_parts_can_make() -> None:
    assert MAX_OBJECT_BYTES == MAX_OBJECT_SIZE  # settings know no model


def test_what_the_client_reads_is_no_fault() -> None:
    read({"URL": "https://api.example.com/graphql", "TOKEN": "eyJ"})


def test_a_command_that_needs_few_settings_looks_at_no_others() -> None:
    given = {
        "GRAPHQL_API_DATABASE_URL": "sqlite:///api.db",
        "GRAPHQL_API_PORT": "none",
        "GRAPHQL_API_LINK_MAX_SECONDS": "60",
    }
    found = Settings.read_some(given, "database_url", "link_max_lifetime", "log_level")
    assert found["database_url"].get_secret_value() == "sqlite:///api.db"
    assert (found["link_max_lifetime"], found["log_level"]) == (timedelta(minutes=1), "INFO")
    assert len(found) == 3


def test_what_a_command_does_need_is_checked_as_ever() -> None:
    given = {"GRAPHQL_API_DATABASE_URL": "mysql://secret", "GRAPHQL_API_DATABASE_URI": "x"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.read_some(given, "database_url", "auth_issuer")
    assert sorted(caught.value.faults) == [
        "GRAPHQL_API_AUTH_ISSUER: is required",
        "GRAPHQL_API_DATABASE_URI: is not a setting; did you mean GRAPHQL_API_DATABASE_URL?",
        "GRAPHQL_API_DATABASE_URL: should be sqlite:///path or postgresql://user:password@host:port/name",
    ]


OF_A_CDN = [name for name in NEEDED if name.startswith("CDN_")]
WITHOUT_CDN = {"DELIVERY": "store", "SHARED_SECRET": "shared-8c9d" * 4}


def without_cdn(given: Mapping[str, str] = {}) -> Settings:
    needed = {name: value for name, value in NEEDED.items() if name not in OF_A_CDN}
    return Settings.read({PREFIX + name: value for name, value in {**needed, **WITHOUT_CDN, **given}.items()})


def test_without_a_cdn_none_of_its_settings_is_needed_and_what_is_left_of_them_does_no_harm() -> None:
    assert without_cdn().cdn_base_url is None
    assert without_cdn().process_secret == b"shared-8c9d" * 4
    assert read(WITHOUT_CDN).delivery == "store"
    assert read().process_secret == PEM.encode()


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("SHARED_SECRET", "", "is required without a CDN"),
        ("SHARED_SECRET", "short", "at least 32 bytes"),
        ("LINK_MAX_SECONDS", "604801", "at most 604800"),
        ("EDGE_STORE_ARN", "arn:aws:cloudfront::123456789012:key-value-store/a", "is of no use without a CDN"),
    ],
)
def test_what_a_store_cannot_do_is_refused_at_the_start(name: str, value: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        without_cdn({name: value})
    (line,) = caught.value.faults
    assert line.startswith(f"{PREFIX}{name}: ")
    assert fault in line
