"""Without a CDN: links lead to the store, on the same terms where it can bind them, and are refused where it cannot."""

import asyncio
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.bootstrap import assemble
from graphql_api.errors import ConfigurationError, Conflict, InvalidInput, Unavailable
from graphql_api.model.delivery import LinkWish
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, ReadTerms
from graphql_api.model.rule_change import DeleteRule
from graphql_api.model.signing_key import HashAlgorithm, KeyPlace, KeyReference
from graphql_api.services.delivery import Delivery
from graphql_api.services.link_signing import SignerInUse
from graphql_api.services.store_links import StoreLinks
from graphql_api.settings import Settings
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials
from graphql_api.signing.sigv4_links import StoreLinkSigner
from graphql_api.storage import HeldSigner
from tests.services.bundled import bundled
from tests.services.links_elsewhere import grant
from tests.services.rulings import ruled, wish
from tests.services.stories import filed
from tests.signing.conftest import pem_of
from tests.world import REDIRECT_LIFETIME, START, Clock, World

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
PRESIGNER = QueryPresigner("https://store.test/files", "us-east-1")
ENVIRON = {
    "GRAPHQL_API_S3_BUCKET": "files",
    "GRAPHQL_API_S3_ACCESS_KEY_ID": "AKID",
    "GRAPHQL_API_S3_SECRET_ACCESS_KEY": "secret",
    "GRAPHQL_API_DELIVERY": "store",
    "GRAPHQL_API_SHARED_SECRET": "of no importance behind the front door",
    "GRAPHQL_API_AUTH_HS256_SECRET": "of no importance behind the front door",
    "GRAPHQL_API_AUTH_ISSUER": "issuer",
    "GRAPHQL_API_AUTH_AUDIENCE": "audience",
}

pytestmark = pytest.mark.anyio


class Renewed:
    """A ``LinkSource`` with temporary credentials, or what it fails with, until it has none."""

    def __init__(self, *ends: datetime | Exception) -> None:
        self.ends = list(ends)
        self.is_spent = asyncio.Event()

    async def link_signer(self, now: datetime) -> HeldSigner:
        if not self.ends:
            self.is_spent.set()
            raise Unavailable("store")
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        credentials = StoreCredentials(f"ASIA{end:%d%H%M}", "secret", "token")
        return HeldSigner(StoreLinkSigner(PRESIGNER, credentials, longest=DAY), end)


def delivery(in_use: SignerInUse, clock: Clock) -> Delivery:
    return Delivery(
        in_use,
        clock,
        max_lifetime=DAY,
        redirect_lifetime=REDIRECT_LIFETIME,
        window=timedelta(minutes=30),
        memory=1024**2,
    )


def static() -> SignerInUse:
    return SignerInUse(StoreLinkSigner(PRESIGNER, StoreCredentials("AKID", "secret"), longest=DAY))


async def test_equal_requests_give_equal_links_from_any_process_and_never_from_the_time_to_come() -> None:
    clock = Clock()
    here = delivery(static(), clock)
    seen = set()
    for terms in (ReadTerms(), ReadTerms(max_lifetime=10 * MINUTE), ReadTerms(until=START + 50 * MINUTE)):
        urls = []
        for _ in range(40):
            (link,) = here.sign([grant(1, terms)], LinkWish(HOUR))
            (elsewhere,) = delivery(static(), clock).sign([grant(1, terms)], LinkWish(HOUR))
            assert link == elsewhere
            said = parse_qs(urlsplit(link.url).query)
            signed_at = datetime.strptime(said["X-Amz-Date"][0] + "+0000", "%Y%m%dT%H%M%SZ%z")
            assert signed_at <= clock.now
            assert signed_at + timedelta(seconds=int(said["X-Amz-Expires"][0])) == link.expires_at
            urls.append(link.url)
            clock.advance(minutes=1)
        clock.now = START
        assert len(set(urls)) < 20
        seen |= set(urls)
    assert len(seen) > 3


async def test_a_link_ends_with_the_credentials_and_new_ones_sign_the_next() -> None:
    clock, in_use = Clock(), SignerInUse()
    links = StoreLinks(Renewed(START + 20 * MINUTE, START + 3 * HOUR), in_use, clock)
    with pytest.raises(Unavailable):
        delivery(in_use, clock).sign([grant(1)], LinkWish(HOUR))
    await links.start()
    here = delivery(in_use, clock)
    (first,) = here.sign([grant(1)], LinkWish(HOUR))
    assert first.expires_at == START + 20 * MINUTE
    assert first.refresh_after == START + 10 * MINUTE  # others are held 15 minutes before the end
    clock.advance(minutes=10)
    (late,) = here.sign([grant(1)], LinkWish(HOUR))  # they are not: the same link, to be asked for again soon
    assert (late.url, late.refresh_after) == (first.url, START + 15 * MINUTE)
    await links.start()
    (second,) = here.sign([grant(1)], LinkWish(HOUR))
    assert second.expires_at > first.expires_at
    assert second.key_pair_id != first.key_pair_id
    assert second.cache_key == first.cache_key
    clock.advance(hours=3)
    with pytest.raises(Unavailable):  # none that can be renewed: nothing is signed that would not open
        await links.start()
    with pytest.raises(Unavailable):
        here.sign([grant(1)], LinkWish(HOUR))


async def test_looks_go_on_whatever_one_of_them_finds() -> None:
    clock, in_use = Clock(), SignerInUse()
    source = Renewed(START + 20 * MINUTE, Unavailable("store"), RuntimeError("a bug"), START + 3 * HOUR)
    looking = asyncio.create_task(StoreLinks(source, in_use, clock, every=0).run())
    async with asyncio.timeout(30):
        await source.is_spent.wait()
    (link,) = delivery(in_use, clock).sign([grant(1)], LinkWish(HOUR))
    assert link.expires_at > START + 20 * MINUTE
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


def test_a_wish_that_a_store_cannot_bind_is_an_error_at_its_argument() -> None:
    for name, refused in {
        "startsAt": LinkWish(HOUR, starts_at=START + MINUTE),
        "ipAddress": LinkWish(HOUR, ip_range="192.0.2.7"),
    }.items():
        with pytest.raises(InvalidInput) as caught:
            delivery(static(), Clock()).sign([grant(1)], refused)
        assert caught.value.path == (name,)


@pytest.mark.parametrize(
    ("terms", "opens"),
    [
        ({}, True),
        ({"max_lifetime": 10 * MINUTE}, True),
        ({"forces_download": True}, True),
        ({"ends_at": START + HOUR}, True),
        ({"binds_ip": True}, False),
        ({"ip_ranges": ("192.0.2.0/24",)}, False),
        ({"personal_links": True}, False),
    ],
    ids=["plain", "brief", "saved", "ending", "binding", "ranged", "personal"],
)
async def test_what_a_rule_demands_is_bound_or_refused_with_the_reason(
    sqlite_world: World, terms: dict[str, Any], opens: bool
) -> None:
    world = World(sqlite_world.database, binds_links=False)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    bob = replace(bob, address=ip_address("192.0.2.7"))
    file = await filed(world, alice)
    await ruled(world, alice, wish(bob, file.id, **terms))
    found = (await world.services.files.find(bob, [file.id]))[file.id]
    assert (world.services.delivery.grant(found) is not None) == opens
    decision = (await world.services.policies.explain_own(bob, [(file.id, Permission.READ)]))[file.id, Permission.READ]
    assert decision.is_allowed
    assert (decision.link_fault is None) == opens
    asked = await world.services.policies.explain(bob, file.id, Permission.READ)
    assert asked is not None
    assert asked.link_fault == decision.link_fault
    assert decision.link_fault is None or "without a CDN" in decision.explanation


async def test_a_more_generous_rule_wins_where_one_cannot_be_bound(sqlite_world: World) -> None:
    world = World(sqlite_world.database, binds_links=False)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, alice, wish(bob, file.id, personal_links=True))
    await ruled(world, alice, wish(bob, file.id, max_lifetime=MINUTE))
    found = (await world.services.files.find(bob, [file.id]))[file.id]
    assert found.terms is not None
    assert found.terms.max_lifetime == MINUTE
    assert not found.terms.personal_links


async def test_a_service_without_a_cdn_needs_none_of_its_settings_and_knows_what_it_lacks(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "files.db")
    settings = Settings.read(ENVIRON | {"GRAPHQL_API_DATABASE_URL": f"sqlite:///{tmp_path}/files.db"})
    assembly = assemble(settings, clock=Clock())
    try:
        world, services = World(assembly.database), assembly.services
        alice, bob = await world.principal("alice"), await world.principal("bob")
        file, film = await filed(world, alice), await bundled(world, alice)
        await ruled(world, alice, wish(bob, file.id, personal_links=True))
        await ruled(world, alice, wish(ANYONE, film.id))
        found = (await services.files.find(bob, [file.id, film.id])).values()
        assert [services.delivery.grant(each) for each in found] == [None, None]
        assert {each.id: each.terms is None for each in found} == {file.id: True, film.id: False}
        assert (
            services.bundle_links.fault(film)
            == "No CDN is in use, and the store has no link that opens all of a bundle."
        )
        with pytest.raises(Conflict, match="without a CDN"):
            await services.publications.publish(alice, file.id)
        assert assembly.keys.link_origin == "https://files.s3.us-east-1.amazonaws.com"
        await assembly.keys.keyring.start()
        (link,) = assembly.services.delivery.sign([grant(1)], LinkWish(HOUR))
        assert link.url.startswith("https://files.s3.us-east-1.amazonaws.com/o/1?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
        assert assembly.services.delivery.signs_here
        assert not assembly.services.revocations.is_on
    finally:
        await assembly.close()


async def test_without_a_cdn_no_key_is_added(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "files.db")
    settings = Settings.read(ENVIRON | {"GRAPHQL_API_DATABASE_URL": f"sqlite:///{tmp_path}/files.db"})
    (tmp_path / "key.pem").write_text(pem_of(ec.generate_private_key(ec.SECP256R1())))
    assembly = assemble(settings)
    try:
        kept = KeyReference(KeyPlace.FILE, str(tmp_path / "key.pem"))
        with pytest.raises(ConfigurationError, match="without a CDN"):
            await assembly.services.signing_keys.add(None, "K1", kept, HashAlgorithm.SHA256)
    finally:
        await assembly.close()


@pytest.mark.parametrize("binds_links", [True, False], ids=["with a CDN", "without"])
async def test_a_rehearsal_tells_of_old_links_only_where_there_can_be_any(
    sqlite_world: World, binds_links: bool
) -> None:
    world = World(sqlite_world.database, binds_links=binds_links)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id, ip_ranges=("192.0.2.0/24",)))
    admin = await world.principal("root", is_admin=True)
    expected = world.clock() + DAY if binds_links else None
    preview = await world.services.policies.preview(admin, [DeleteRule(rule.id, rule.version)])
    assert (len(preview.lines), preview.old_links_expire_by) == (1, expected)
    assert (await world.services.policies.delete(alice, rule.id, rule.version)).old_links_expire_by == expected
