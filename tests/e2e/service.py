"""``graphql-api serve`` as an operator runs it: from a wheel, on PostgreSQL, a bucket and an issuer's keys."""

import json
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from graphql_api.localcloud.store import SeaweedStore
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from tests.cli import program as programs
from tests.cli.program import REPOSITORY, Program, clean_environment
from tests.e2e.client import Client
from tests.postgres import PostgresCluster
from tests.store import free_port
from tests.web.conftest import missing

CDN = "https://cdn.example.com"
AUDIENCE = "files"
CDN_KEY_ID = "K2JCJMDEHXQW5F"


class Issuer:
    """Whom the service believes: publishes a key, and signs tokens with it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = {**ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True), "kid": "1", "alg": "ES256", "use": "sig"}
        published = json.dumps({"keys": [jwk]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(published)))
                self.end_headers()
                self.wfile.write(published)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def token(self, subject: str, **changes: Any) -> str:
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "name": subject.capitalize(),
            "exp": datetime.now(UTC) + timedelta(minutes=10),
        }
        return jwt.encode(claims | changes, self._key, algorithm="ES256", headers={"kid": "1"})

    def __enter__(self) -> "Issuer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Surroundings:
    """What a service needs besides a database, and the settings that say so."""

    store: SeaweedStore
    issuer: Issuer
    cdn_key: ec.EllipticCurvePrivateKey

    def environ(self, database_url: str, **changes: str) -> dict[str, str]:
        pem = self.cdn_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        settings = {
            "DATABASE_URL": database_url,
            "S3_BUCKET": self.store.bucket,
            "S3_ENDPOINT_URL": self.store.endpoint_url,
            "S3_ADDRESSING_STYLE": "path",
            "S3_ACCESS_KEY_ID": self.store.api.access_key_id,
            "S3_SECRET_ACCESS_KEY": self.store.api.secret_access_key,
            "CDN_BASE_URL": CDN,
            "CDN_KEY_ID": CDN_KEY_ID,
            "CDN_PRIVATE_KEY": pem.replace("\n", "\\n"),
            "AUTH_JWKS_URL": f"{self.issuer.url}/keys",
            "AUTH_ISSUER": self.issuer.url,
            "AUTH_AUDIENCE": AUDIENCE,
            "ADMIN_SUBJECTS": "root",
            "LOG_FORMAT": "json",
            **changes,
        }
        return clean_environment(**{f"GRAPHQL_API_{name}": value for name, value in settings.items()})


@dataclass(frozen=True)
class Service:
    """A running ``serve``."""

    program: Program
    address: str
    around: Surroundings

    @contextmanager
    def user(self, subject: str, **claims: Any) -> Iterator[Client]:
        client = Client(f"{self.address}/graphql", self.around.issuer.token(subject, **claims))
        try:
            yield client
        finally:
            client.close()


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """A store that tests may stop, if they start it again."""
    with (
        Issuer() as issuer,
        SeaweedStore(tmp_path_factory.mktemp("bucket"), port=free_port(), bucket="the-real-one") as store,
    ):
        store.create_bucket([upload_cors_rule(["https://app.example.com"])], lifecycle_rules())
        yield Surroundings(store, issuer, ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, with a build environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY)]
    if subprocess.run(build, check=False).returncode != 0:
        missing("what pip needs to build a wheel")
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The program ``graphql-api`` in an environment that has the wheel, and of this checkout the dependencies only."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel], check=True
    )
    [site_packages] = folder.glob("lib/python*/site-packages")
    # Added last, so that the wheel's modules are found first; a .pth below, which brings in the checkout, is not read.
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "dependencies.pth").write_text("\n".join(dependencies))
    where = subprocess.check_output([python, "-c", "import graphql_api; print(graphql_api.__file__)"], cwd=folder)
    assert Path(where.decode().strip()).is_relative_to(folder)
    return folder / "bin" / "graphql-api"


@contextmanager
def serving(
    program: Path, folder: Path, around: Surroundings, environ: Mapping[str, str], *arguments: str
) -> Iterator[Service]:
    """``serve`` in ``folder``, once it answers."""
    with programs.serving([program], folder, environ, *arguments) as (running, address):
        yield Service(running, address, around)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    installed: Path,
    surroundings: Surroundings,
    postgres: PostgresCluster,
    postgres_template: str,
) -> Iterator[Service]:
    """On PostgreSQL, logging all it can."""
    database_url = postgres.create_database(template=postgres_template)
    environ = surroundings.environ(database_url, LOG_LEVEL="DEBUG")
    with serving(installed, tmp_path_factory.mktemp("empty"), surroundings, environ) as running:
        yield running
    postgres.drop_database(database_url)
