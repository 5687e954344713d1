"""``serve`` without a CDN: links lead to the bucket itself, and open there what they say and nothing else."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.client import Client
from tests.e2e.service import Service, Surroundings, serving
from tests.e2e.test_shares import shared

PROGRAM = Path(sys.executable).with_name("graphql-api")
NAME, PAGE = "日本語.html", b"<script>1</script>"
BEYOND = """query ($id: ID!) { file(by: {id: $id}) {
  address: signedUrl(ipAddress: "192.0.2.7") { url } start: signedUrl(startsAt: "2026-12-01T00:00:00Z") { url } } }"""


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, surroundings: Surroundings, sqlite_template: Path
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("without")
    shutil.copyfile(sqlite_template, folder / "files.db")
    given = surroundings.environ(
        f"sqlite:///{folder}/files.db", DELIVERY="store", SHARED_SECRET="of no importance behind the front door"
    )
    environ = {name: value for name, value in given.items() if not name.startswith("GRAPHQL_API_CDN_")}
    with serving(PROGRAM, folder, surroundings, environ) as running:
        yield running


@pytest.fixture
def alice(service: Service) -> Iterator[Client]:
    with service.user("alice") as client:
        yield client


@pytest.fixture
def file(alice: Client) -> dict[str, Any]:
    """A page that would run scripts if it were shown, with a Japanese name."""
    return alice.upload(NAME, "text/html", PAGE)


def test_a_link_opens_the_object_under_its_name_and_no_change_of_it_does(
    service: Service, alice: Client, file: dict[str, Any]
) -> None:
    url = file["signedUrl"]["url"]
    assert url.startswith(f"{service.around.store.endpoint_url}/{service.around.store.bucket}/o/")
    answer = alice.get(url)
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert f"filename*=UTF-8''{quote(NAME)}" in answer.headers["content-disposition"]
    part = alice.get(url, Range="bytes=0-3")
    assert (part.status_code, part.content) == (206, PAGE[:4])
    life = url.partition("X-Amz-Expires=")[2].partition("&")[0]
    for changed in (
        url.replace("attachment", "inline"),
        f"{url}&response-content-type=text/html",
        url.replace(f"X-Amz-Expires={life}", f"X-Amz-Expires={int(life) + 1}"),
    ):
        assert changed != url
        assert alice.get(changed).status_code == 403


@pytest.mark.parametrize(
    "wish", [{}, {"maxDownloads": 1}, {"password": "ink and paper"}], ids=["plain", "once", "locked"]
)
def test_a_share_link_leads_there(service: Service, alice: Client, file: dict[str, Any], wish: dict[str, Any]) -> None:
    address = f"{service.address}/s/{shared(alice, {'fileId': file['id']}, **wish)['token']}"
    looked = alice.plain.get(address)
    assert looked.status_code == (200 if wish else 302)
    sent_on = alice.plain.post(address, data={"password": "ink and paper"})
    assert sent_on.status_code == 303
    assert alice.get(sent_on.headers["location"]).content == PAGE
    again = alice.plain.post(address, data={"password": "ink and paper"})
    assert again.status_code == (404 if "maxDownloads" in wish else 303)
    form = alice.plain.get(address, headers={"Accept": "text/html"})
    if "password" in wish:  # a browser follows the redirect of a form only where the page lets it
        assert service.around.store.endpoint_url in form.headers["content-security-policy"]


def test_the_lasting_address_leads_there(service: Service, alice: Client, file: dict[str, Any]) -> None:
    sent_on = alice.api.get(f"{service.address}/f/{file['id']}")
    assert sent_on.status_code == 302
    assert httpx.get(sent_on.headers["location"], trust_env=False).content == PAGE


def test_what_the_store_cannot_bind_is_an_error_of_its_field(alice: Client, file: dict[str, Any]) -> None:
    body = alice.api.post(alice.graphql, json={"query": BEYOND, "variables": {"id": file["id"]}}).json()
    assert body["data"]["file"] == {"address": None, "start": None}
    errors = {tuple(error["path"]): error["extensions"]["code"] for error in body["errors"]}
    assert errors == {("file", "address"): "BAD_USER_INPUT", ("file", "start"): "BAD_USER_INPUT"}
