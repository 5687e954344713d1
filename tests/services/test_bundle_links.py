"""One signature opens a bundle and nothing else, and there is none where it could not be what it has to be."""

import json
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta

import pytest

from graphql_api.errors import Conflict, InvalidInput, NotFound
from graphql_api.localcloud.refusal import Refusal
from graphql_api.localcloud.signature import SignatureVerifier
from graphql_api.model.bundle import bundle_of
from graphql_api.model.delivery import BundleLink, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import bundle_prefix
from graphql_api.model.principal import ANONYMOUS, Permission
from graphql_api.model.revocation import mark_of
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


@pytest.mark.parametrize("by", ["file", "folder"])
async def test_a_revoked_bundle_has_no_links_until_the_old_ones_have_ended(sqlite_world: World, by: str) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice, revocations = await world.principal("alice"), world.services.revocations
    edge, above = Edge(world), await foldered(world, alice, "above")
    below = await foldered(world, alice, "below", above.id)
    file = await bundled(world, alice, folder_id=below.id)
    other = await bundled(world, alice, name="other")
    sign, mark = world.services.bundle_links.sign, mark_of(bundle_of(file.id))
    assert mark == file.id[-12:]
    await sign(alice, file.id, HOUR)
    if by == "file":
        _, revoked = await revocations.revoke_file(alice, file.id)
    else:
        _, revoked = await revocations.revoke_folder(alice, above.id)
    assert revoked is not None
    await edge.told()
    assert mark in edge.store.numbers
    assert mark_of(bundle_of(other.id)) not in edge.store.numbers
    with pytest.raises(Conflict, match="revoked; new ones can be made after 20"):
        await sign(alice, file.id, HOUR)
    await sign(alice, other.id, HOUR)
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on File { signedUrl { url } bundle { linkFault } } } }"
    dead, alive = (await world.data(query, {"ids": [file.id, other.id]}, as_=alice))["nodes"]
    assert dead["signedUrl"] is None
    assert "revoked" in dead["bundle"]["linkFault"]
    assert alive["signedUrl"] is not None
    assert alive["bundle"]["linkFault"] is None
    listed = (await world.data("{ files(first: 9) { nodes { id signedUrl { url } } } }", as_=alice))["files"]["nodes"]
    assert {each["id"]: each["signedUrl"] is None for each in listed} == {file.id: True, other.id: False}

    world.clock.now = revoked.links_end_by + timedelta(seconds=1)
    await edge.swept()
    assert mark not in edge.store.numbers
    await sign(alice, file.id, HOUR)


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
