"""Two processes on one PostgreSQL change their key together, without a restart, and an edge follows its key group."""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.localcloud.key_group import KeyGroupFolder
from graphql_api.localcloud.origin import S3Origin
from graphql_api.signing.keyring import SigningKey
from graphql_api.web.passes import Passes
from tests.cli.program import Outcome, outcome, wait_for
from tests.e2e.bundling import ENTRIES, bundled
from tests.e2e.client import Client
from tests.e2e.service import CDN_KEY_ID, Service, Surroundings, serving
from tests.localcloud.server import EdgeServer
from tests.postgres import PostgresCluster
from tests.signing.conftest import pem_of

PROGRAM = Path(sys.executable).with_name("graphql-api")


@dataclass(frozen=True)
class Site:
    """Two processes, their edge, and who works on them."""

    folder: Path
    environ: dict[str, str]
    services: tuple[Service, Service]
    users: tuple[Client, Client]

    @property
    def group(self) -> Path:
        return self.folder / "group"

    def keys(self, *arguments: str) -> Outcome:
        return outcome(["keys", *arguments], self.folder, environ=self.environ, command=[PROGRAM])

    def trust(self, key_pair_id: str, key: ec.EllipticCurvePrivateKey) -> None:
        (self.group / f"{key_pair_id}.pem").write_text(SigningKey(key_pair_id, key).public_pem())

    def new_key(self, key_pair_id: str) -> ec.EllipticCurvePrivateKey:
        """Added, and not yet trusted."""
        key = ec.generate_private_key(ec.SECP256R1())
        (self.folder / f"{key_pair_id}.pem").write_text(pem_of(key))
        added = self.keys("add", key_pair_id, "--file", f"{key_pair_id}.pem")
        assert added.status == 0, added.err
        return key


@pytest.fixture
def site(
    tmp_path: Path, surroundings: Surroundings, postgres: PostgresCluster, postgres_template: str
) -> Iterator[Site]:
    (tmp_path / "group").mkdir()
    database_url = postgres.create_database(template=postgres_template)
    store = surroundings.store
    with (
        closing(S3Origin(store.endpoint_url, store.bucket, store.edge)) as origin,
        EdgeServer(KeyGroupFolder(tmp_path / "group"), origin) as edge,
    ):
        environ = surroundings.environ(database_url, CDN_BASE_URL=edge.address, SWEEP_SECONDS="0", LOG_LEVEL="DEBUG")
        with (
            serving(PROGRAM, tmp_path, surroundings, environ) as one,
            serving(PROGRAM, tmp_path, surroundings, environ) as other,
            one.user("alice") as here,
            other.user("alice") as there,
        ):
            site = Site(tmp_path, environ, (one, other), (here, there))
            site.trust(CDN_KEY_ID, surroundings.cdn_key)
            yield site
    postgres.drop_database(database_url)


def opened(url: str) -> int:
    return httpx.get(url, trust_env=False).status_code


def test_two_processes_switch_and_old_links_live_as_long_as_the_edge_knows_their_key(site: Site) -> None:
    here, there = site.users
    file = here.upload("a.txt", "text/plain", b"hello")
    old = here.link(file["id"])
    assert there.link(file["id"]) == old
    assert opened(old) == 200

    key = site.new_key("KNEW")
    refused = site.keys("activate", "KNEW")
    assert refused.status == 1
    assert "403 InvalidKey" in refused.err
    assert f"Key-Pair-Id={CDN_KEY_ID}" in here.link(file["id"])
    site.trust("KNEW", key)
    activated = site.keys("activate", "KNEW")
    assert activated.status == 0, activated.err
    assert activated.out.startswith("KNEW is ACTIVE.\n")

    new = [wait_for(partial(switched, user, file["id"])) for user in site.users]
    assert new[0] == new[1], "equal requests give equal links, whichever process answers"
    assert [opened(url) for url in (old, new[0])] == [200, 200]
    (site.group / f"{CDN_KEY_ID}.pem").unlink()
    assert [opened(url) for url in (old, new[0])] == [403, 200]

    private = pem_of(key).splitlines()[1]
    for service in site.services:
        assert "signing_key_in_use key=KNEW" in service.program.err
        assert private not in service.program.err
        assert "PRIVATE KEY" not in service.program.err


def switched(user: Client, file_id: str) -> str | None:
    url = user.link(file_id)
    return url if "Key-Pair-Id=KNEW" in url else None


def test_who_restarts_after_a_rotation_signs_with_the_new_key(site: Site) -> None:
    here, _ = site.users
    file = here.upload("b.txt", "text/plain", b"hello")
    site.trust("KNEW", site.new_key("KNEW"))
    assert site.keys("activate", "KNEW", "--now", "--reason", "it leaked").status == 0
    with serving(PROGRAM, site.folder, site.services[0].around, site.environ) as third, third.user("alice") as user:
        assert "Key-Pair-Id=KNEW" in user.link(file["id"])


def test_who_has_a_leaked_key_is_nobody_once_another_has_taken_over_at_once(site: Site) -> None:
    """Cookies are sealed with the key of the settings where no secret is set."""
    here, _ = site.users
    file = here.upload("d.txt", "text/plain", b"hello")
    alice = here.ask("{ viewer { id } }")["viewer"]["id"]
    leaked = Passes(pem_of(site.services[0].around.cdn_key).encode())
    forged = leaked.issue("files", alice, expires_at=datetime.now(UTC) + timedelta(days=3650))
    key = site.new_key("KNEW")
    site.trust("KNEW", key)

    def visit(service: Service) -> httpx.Response:
        url = f"{service.address}/f/{file['id']}"
        return httpx.get(url, headers={"cookie": f"file_session={forged}"}, trust_env=False)

    def begin(service: Service) -> httpx.Response:
        headers = {"authorization": here.api.headers["authorization"]}
        return httpx.post(f"{service.address}/f/session", headers=headers, trust_env=False)

    def is_refused(service: Service) -> bool:
        return visit(service).status_code == 401

    assert [visit(service).status_code for service in site.services] == [302, 302], "this is what a leak means"
    said = site.keys("activate", "KNEW", "--now", "--reason", "it leaked")
    assert "Cookies of /f/ and of shared folders were sealed with it" in said.out
    for service in site.services:
        assert wait_for(partial(is_refused, service))
        assert begin(service).status_code == 503
        assert f"signing_key_distrusted key={CDN_KEY_ID}" in service.program.err
    private = pem_of(key).replace("\n", "\\n")
    for change in ({"SHARED_SECRET": "s" * 32}, {"CDN_KEY_ID": "KNEW", "CDN_PRIVATE_KEY": private}):
        environ = site.environ | {f"GRAPHQL_API_{name}": value for name, value in change.items()}
        with serving(PROGRAM, site.folder, site.services[0].around, environ) as changed:
            assert visit(changed).status_code == 401
            assert begin(changed).status_code == 200


def test_where_there_are_only_bundles_a_key_is_tried_on_one(site: Site) -> None:
    bundled(site.users[0], "film", ENTRIES)
    key = site.new_key("KNEW")
    refused = site.keys("activate", "KNEW")
    assert (refused.status, "403 InvalidKey" in refused.err) == (1, True)
    site.trust("KNEW", key)
    activated = site.keys("activate", "KNEW")
    assert activated.status == 0, activated.err


def test_a_key_that_is_nowhere_keeps_a_process_from_starting(site: Site) -> None:
    here, _ = site.users
    here.upload("c.txt", "text/plain", b"hello")
    site.trust("KNEW", site.new_key("KNEW"))
    assert site.keys("activate", "KNEW").status == 0
    (site.folder / "KNEW.pem").unlink()
    ended = outcome(["serve"], site.folder, environ=site.environ, command=[PROGRAM])
    assert ended.status == 1
    assert f"graphql-api: the signing key in {site.folder}/KNEW.pem cannot be read: No such file" in ended.err
