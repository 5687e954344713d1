"""One signature opens a bundle and nothing else, and there is none where it could not be what it has to be."""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

import pytest

from graphql_api.edge.function import revocation_function
from graphql_api.errors import Conflict, InvalidInput, NotFound
from graphql_api.localcloud.function import EdgeFunction
from graphql_api.localcloud.refusal import Refusal
from graphql_api.localcloud.signature import SignatureVerifier, ViewerRequest
from graphql_api.model.bundle import bundle_of, may_be_entry_key
from graphql_api.model.delivery import BundleLink, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import bundle_prefix
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.revocation import Mark
from graphql_api.model.rule import ANYONE, Obligations, Scope
from graphql_api.model.share import ShareWish
from graphql_api.services.link_signing import RemoteSigner
from graphql_api.services.upload_wishes import UploadWish
from graphql_api.signing.cloudfront import CloudFrontWriter
from graphql_api.signing.keyring import HashAlgorithm
from tests.localcloud.viewer import Signer, request
from tests.services.bundled import PATHS, bundled
from tests.services.revoking import Edge
from tests.services.stories import filed, foldered, ruled
from tests.world import CDN, KEY, World

HOUR = LinkWish(timedelta(hours=1))
VERIFIER = SignatureVerifier({KEY.key_id: Signer(KEY.key_id, KEY.private_key).public_pem})


def opens(world: World, url: str, cookie: str = "", address: str = "192.0.2.7") -> bool:
    try:
        VERIFIER.verify(request(url, cookie=cookie, address=address), world.clock.now)
    except Refusal:
        return False
    return True


def cookie_of(link: BundleLink) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in link.cookies)


def policy_of(link: BundleLink) -> object:
    [policy] = [cookie.value for cookie in link.cookies if cookie.name == "CloudFront-Policy"]
    return json.loads(b64decode(policy.replace("-", "+").replace("_", "=").replace("~", "/")))


def check_opens_this_only(world: World, link: BundleLink, file: File, others: list[str]) -> None:
    cookie = cookie_of(link)
    for path in (*PATHS, "what/is/not/there"):
        assert opens(world, f"{link.base_url}{path}?{link.query}")
        assert opens(world, link.base_url + path, cookie)
        assert opens(world, f"{link.base_url}{path}?_HLS_msn=3", cookie)
    prefix = bundle_prefix(bundle_of(file.id))
    for path in (*others, prefix.removesuffix("/"), prefix.upper(), f"{prefix[:-2]}?/index.m3u8", "b/", "b/*", ""):
        assert not opens(world, f"{CDN}/{path}?{link.query}")
        assert not opens(world, f"{CDN}/{path}", cookie)


async def test_links_and_cookies_open_all_entries_and_nothing_else(sqlite_world: World) -> None:
    world = sqlite_world
    alice, sign = await world.principal("alice"), world.services.bundle_links.sign
    file, other = await bundled(world, alice), await bundled(world, alice, name="other")
    plain = await filed(world, alice)
    _, link = await sign(alice, file.id, HOUR)
    prefix = f"{CDN}/{bundle_prefix(bundle_of(file.id))}"
    assert (link.base_url, link.url) == (prefix, f"{prefix}index.m3u8?{link.query}")
    expires = int(link.expires_at.timestamp())
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    assert policy_of(link) == {"Statement": [{"Resource": prefix + "*", "Condition": condition}]}
    others = [other.object_key, plain.object_key]
    check_opens_this_only(world, link, file, others)

    assert (await sign(alice, file.id, HOUR))[1] == link  # for a window
    [url] = world.services.delivery.sign([_grant(world, file)], HOUR)
    assert url.url == link.url
    [shown] = world.services.delivery.sign([_grant(world, file)], replace(HOUR, filename="x.html"))
    assert shown.url.partition("?")[2].startswith("Policy=")  # a name cannot be bound, so none is told

    _, bound = await sign(alice, file.id, replace(HOUR, ip_range="198.51.100.7"))
    assert opens(world, link.base_url + "low/0.ts", cookie_of(bound), "198.51.100.7")
    assert not opens(world, link.base_url + "low/0.ts", cookie_of(bound))
    world.clock.now = link.expires_at
    assert not opens(world, link.base_url + "low/0.ts", cookie_of(link))


def _grant(world: World, file: File) -> ReadGrant:
    grant = world.services.delivery.grant(file)
    assert grant is not None
    return grant


class Elsewhere:
    """A ``RemoteKey`` that is the key of the world."""

    public_pem = Signer(KEY.key_id, KEY.private_key).public_pem

    async def sign(self, message: bytes) -> bytes:
        return KEY.sign(message)


async def test_a_key_elsewhere_opens_the_same(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    file, other = await bundled(world, alice), await bundled(world, alice, name="other")

    writer = CloudFrontWriter(CDN, KEY.key_id, HashAlgorithm.SHA256)
    world.in_use.use(RemoteSigner(writer, Elsewhere()), until=None)
    _, link = await world.services.bundle_links.sign(alice, file.id, HOUR)
    check_opens_this_only(world, link, file, [other.object_key])
    with pytest.raises(InvalidInput):
        await world.services.bundle_links.sign(alice, file.id, replace(HOUR, ip_range="::1"))


async def test_who_gets_no_link_is_told_as_much_as_they_may_know(sqlite_world: World) -> None:
    world = sqlite_world
    alice, bob = await world.principal("alice"), await world.principal("bob")
    links, file, plain = world.services.bundle_links, await bundled(world, alice), await filed(world, alice)
    for stranger in (bob, ANONYMOUS):
        with pytest.raises(NotFound):
            await links.sign(stranger, file.id, HOUR)
    with pytest.raises(InvalidInput):
        await links.sign(alice, plain.id, HOUR)
    with pytest.raises(InvalidInput):
        await links.sign(alice, file.id, replace(HOUR, ip_range="no address"))
    rule = await ruled(world, bob, file.id, Permission.READ, obligations=Obligations(max_lifetime=timedelta(minutes=5)))
    _, short = await links.sign(bob, file.id, HOUR)
    assert short.expires_at <= world.clock.now + timedelta(minutes=5)
    assert rule is not None


@pytest.mark.parametrize("by", ["file", "folder"])
async def test_a_revoked_bundle_has_new_links_at_once(sqlite_world: World, by: str) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice, revocations = await world.principal("alice"), world.services.revocations
    edge, above = Edge(world), await foldered(world, alice, "above")
    below = await foldered(world, alice, "below", above.id)
    file = await bundled(world, alice, folder_id=below.id)
    other = await bundled(world, alice, name="other")
    before, kept = await signed(world, alice, file), await signed(world, alice, other)
    assert passes(world, edge, before)
    if by == "file":
        _, revoked = await revocations.revoke_file(alice, file.id)
    else:
        _, revoked = await revocations.revoke_folder(alice, above.id)
    assert revoked is not None
    await edge.told()
    after = await signed(world, alice, file)
    assert (passes(world, edge, before), passes(world, edge, after), passes(world, edge, kept)) == (False, True, True)
    assert after.path != before.path  # so a browser that has the old cookies sends them no more
    assert (await signed(world, alice, other)) == kept
    _, again = await revocations.revoke_file(alice, file.id)
    await edge.told()
    newest = await signed(world, alice, file)
    assert (passes(world, edge, after), passes(world, edge, newest)) == (False, True)

    assert again is not None
    world.clock.now = again.links_end_by + timedelta(seconds=1)
    await edge.swept()
    assert edge.store.numbers == {}
    assert passes(world, edge, await signed(world, alice, file))


async def test_a_link_to_a_bundle_ends_with_the_folder_that_it_was_signed_in(sqlite_world: World) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice, services = await world.principal("alice"), world.services
    edge, old, new = Edge(world), await foldered(world, alice, "old"), await foldered(world, alice, "new")
    file = await bundled(world, alice, folder_id=old.id)
    before = await signed(world, alice, file)
    await services.files.move(alice, file.id, new.id)
    after = await signed(world, alice, file)
    await services.revocations.revoke_folder(alice, old.id)
    await edge.told()
    assert (passes(world, edge, before), passes(world, edge, after)) == (False, True)
    other = await bundled(world, alice, name="other", folder_id=(await foldered(world, alice, "third")).id)
    elsewhere = await signed(world, alice, other)
    await services.files.move(alice, other.id, new.id)
    await services.revocations.revoke_folder(alice, new.id)  # with what was moved in lately
    await edge.told()
    assert (passes(world, edge, after), passes(world, edge, elsewhere)) == (False, False)


async def test_a_link_that_says_nothing_ends_with_its_bundle(sqlite_world: World) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice, edge = await world.principal("alice"), Edge(world)
    file, other = await bundled(world, alice), await bundled(world, alice, name="other")
    plain = [(await signed(sqlite_world, alice, each)) for each in (file, other)]
    assert [link.path for link in plain] == [f"/{bundle_prefix(bundle_of(each.id))}" for each in (file, other)]
    assert [passes(world, edge, link) for link in plain] == [True, True]
    await world.services.revocations.revoke_file(alice, file.id)
    await edge.told()
    assert [passes(world, edge, link) for link in plain] == [False, True]


async def test_where_links_can_be_revoked_one_to_a_bundle_can_be_personal(sqlite_world: World) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    edge, file = Edge(world), await bundled(world, alice)
    for each in (bob, carol):
        await ruled(world, each, file.id, Permission.READ, obligations=Obligations(personal_links=True))
    links = [await signed(world, each, file) for each in (bob, carol, alice)]
    assert len({link.path for link in links}) == 3
    assert bob.user_id is not None
    await world.services.revocations.revoke_user(bob, bob.user_id)
    await edge.told()
    assert [passes(world, edge, link) for link in links] == [False, True, True]
    assert passes(world, edge, await signed(world, bob, file))


TAMPERED: Final[Mapping[str, Callable[[str, str], str]]] = {
    "as it is": lambda mine, other: mine,
    "without what it says": lambda mine, other: re.sub(r"\.[^/]+/", "/", mine),
    "a larger number": lambda mine, other: mine.replace(".1.", ".2."),
    "a smaller number": lambda mine, other: mine.replace(".1.", ".0."),
    "what another bundle says": lambda mine, other: mine[:29] + other[29:],
    "another bundle": lambda mine, other: other[:29] + mine[29:],
    "another bundle's path": lambda mine, other: other,
    "one mark less": lambda mine, other: re.sub(r"\.[^./]+/", "/", mine),
    "one mark more": lambda mine, other: mine.removesuffix("/") + "." + 12 * "a" + "/",
    "a mark in capitals": lambda mine, other: mine[:31] + mine[31:].swapcase(),
    "an escaped dot": lambda mine, other: mine.replace(".", "%2E", 1),
    "the end escaped": lambda mine, other: mine.removesuffix("/") + "%2F",
    "a tilde": lambda mine, other: mine.replace(".", "~", 1),
    "an escaped tilde": lambda mine, other: mine.replace(".", "%7E", 1),
    "twice": lambda mine, other: mine.removesuffix("/") + mine[29:],
    "up and down": lambda mine, other: f"{mine}../{other.removeprefix('/b/')}",
    "up and down, escaped": lambda mine, other: f"{mine}%2e%2e/{other.removeprefix('/b/')}",
    "down and up": lambda mine, other: f"{mine}low/../",
    "an empty segment": lambda mine, other: f"{mine}/",
    "a parameter of the path": lambda mine, other: mine.removesuffix("/") + ";x/",
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_changed_path_opens_nothing(changed: "Changed", how: str) -> None:
    path = TAMPERED[how](changed.mine.path, changed.other.path)
    assert (path == changed.mine.path) is (how == "as it is")
    for entry in PATHS:
        assert passes(changed.world, changed.edge, changed.mine, path + entry) is (how == "as it is")


class Changed(NamedTuple):
    """What a tampered path is tried with: a bundle that was revoked once, and another in the same folder."""

    world: World
    edge: Edge
    mine: BundleLink
    other: BundleLink


@pytest.fixture
async def changed(sqlite_world: World) -> Changed:
    world = World(sqlite_world.database, revokes=True)
    alice, edge = await world.principal("alice"), Edge(world)
    file, other = await bundled(world, alice), await bundled(world, alice, name="other")
    await world.services.revocations.revoke_file(alice, file.id)
    await edge.told()
    return Changed(world, edge, await signed(world, alice, file), await signed(world, alice, other))


async def signed(world: World, principal: Principal, file: File) -> BundleLink:
    _, link = await world.services.bundle_links.sign(principal, file.id, HOUR)
    return link


def passes(world: World, edge: Edge, link: BundleLink, path: str | None = None) -> bool:
    """Whether the edge lets an entry through, in the link's address and with its cookies, and what it then asks for is
    an entry's object.
    """
    url = f"{CDN}{link.path}low/1.ts" if path is None else CDN + path
    function = EdgeFunction(revocation_function(failure="refuse"), Told(edge))
    outcomes = set()
    for asked in (request(f"{url}?{link.query}"), request(url, cookie=cookie_of(link))):
        try:
            VERIFIER.verify(asked, world.clock.now)
        except Refusal:
            outcomes.add(False)
            continue
        outcome = function(asked, "GET", {})
        outcomes.add(isinstance(outcome, ViewerRequest) and may_be_entry_key(outcome.path.removeprefix("/")))
    [is_open] = outcomes
    return is_open


class Told:
    """The edge's store, as its function reads it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def find(self, key: str) -> str | None:
        number = self._edge.store.numbers.get(Mark(key))
        return None if number is None else str(number)


@pytest.mark.parametrize(
    "obligations", [Obligations(forces_download=True), Obligations(personal_links=True)], ids=["download", "personal"]
)
async def test_what_no_wildcard_can_keep_gives_no_link(sqlite_world: World, obligations: Obligations) -> None:
    world = sqlite_world
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await bundled(world, alice)
    await ruled(world, bob, file.id, Permission.READ, obligations=obligations)
    seen = (await world.services.files.find(bob, [file.id]))[file.id]
    assert world.services.delivery.grant(seen) is None
    with pytest.raises(Conflict, match="obligation"):
        await world.services.bundle_links.sign(bob, file.id, HOUR)
    data = await world.data(
        "query($id: ID!) { node(id: $id) { ... on File { signedUrl { url } bundle { linkFault signedPrefix { query } "
        "} } } }",
        {"id": file.id},
        as_=bob,
    )
    assert data["node"]["signedUrl"] is None
    assert data["node"]["bundle"]["signedPrefix"] is None
    assert "obligation" in data["node"]["bundle"]["linkFault"]


async def test_what_a_bundle_cannot_do_is_refused(sqlite_world: World) -> None:
    world = sqlite_world
    alice, services = await world.principal("alice"), world.services
    folder = await foldered(world, alice, "films")
    file = await bundled(world, alice, folder_id=folder.id)
    with pytest.raises(Conflict, match="share link"):
        await services.share_links.create(alice, ShareWish(Scope(file.id)))
    with pytest.raises(Conflict, match="types"):
        await services.files.update(alice, file.id, content_type="text/plain")
    with pytest.raises(Conflict, match="replaced"):
        await services.uploads.create(alice, UploadWish("film", 1, "text/plain", replaces=file.id))
    assert (await services.files.update(alice, file.id, name="renamed")).name == "renamed"
    shared = await services.share_links.create(alice, ShareWish(Scope(folder.id)))
    visit = await services.visits.begin(ANONYMOUS, shared.token)
    with pytest.raises(NotFound):
        await services.visits.fetch(visit, await services.visits.get_file(visit, file.id))
    await ruled(world, ANYONE, file.id, Permission.READ)
    _, link = await services.bundle_links.sign(ANONYMOUS, file.id, HOUR)
    assert opens(world, link.url)
