"""Signing keys as administrators see them, and links by a key that is elsewhere."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.ids import new_signing_key_id
from graphql_api.model.signing_key import HashAlgorithm, KeyPlace, KeyReference
from graphql_api.schema import Context, build_schema, build_stock_schema
from graphql_api.services.keyring import ConfiguredId, Keyring
from graphql_api.services.link_signing import RemoteSigner
from graphql_api.signing import keyring
from graphql_api.signing.cloudfront import CloudFrontSigner, CloudFrontWriter
from tests.services.stories import filed
from tests.world import CDN, START, World

ROTATE = """mutation ($input: RotateSigningKeyInput!) { rotateSigningKey(input: $input) {
  activeKey { keyPairId status activatedAt } retiringKey { keyPairId status retiresAt retiredAt }
  userErrors { __typename code path message ... on EdgeRefusedError { status edgeCode } } } }"""
KEYS = "{ signingKeys { id keyPairId status createdAt retiresAt } }"
PAGE = "{ files(first: 50) { nodes { signedUrl { url keyPairId hasCustomPolicy } } } }"


@pytest.fixture
async def world(sqlite_world: World) -> World:
    """With the key K1 of the settings, a file, and K2 in its place."""
    world = sqlite_world
    world.key_places.put("")
    world.key_places.put("/K2.pem")
    configured = ConfiguredId("K1", HashAlgorithm.SHA256)
    started = Keyring(
        world.database, world.clock, world.loader, world.in_use, configured, longest_lifetime=timedelta(days=1)
    )
    await started.start()
    await filed(world, await world.principal("alice"), "a.txt")
    await world.services.signing_keys.add(None, "K2", KeyReference(KeyPlace.FILE, "/K2.pem"), HashAlgorithm.SHA256)
    return world


async def rotate(world: World, **input: object) -> dict[str, Any]:
    admin = await world.principal("root", is_admin=True)
    data = await world.data(ROTATE, {"input": {"reason": "the yearly rotation", **input}}, as_=admin)
    rotated: dict[str, Any] = data["rotateSigningKey"]
    return rotated


async def test_an_administrator_rotates_and_sees_how_keys_stand(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    refused = await rotate(world)
    assert refused["activeKey"] is None
    [error] = refused["userErrors"]
    assert (error["__typename"], error["code"]) == ("EdgeRefusedError", "EDGE_REFUSED")
    assert (error["status"], error["edgeCode"]) == (403, "InvalidKey")
    world.edge.group["K2"] = world.key_places.public_pem("/K2.pem")
    done = await rotate(world)
    assert done["userErrors"] == []
    assert (done["activeKey"]["keyPairId"], done["activeKey"]["status"]) == ("K2", "ACTIVE")
    assert (done["retiringKey"]["keyPairId"], done["retiringKey"]["status"]) == ("K1", "RETIRING")
    assert done["retiringKey"]["retiresAt"] == "2026-11-23T12:02:00Z"
    shown = (await world.data(KEYS, as_=admin))["signingKeys"]
    shown.sort(key=lambda key: str(key["keyPairId"]))  # both are of the same instant
    assert [(key["keyPairId"], key["status"]) for key in shown] == [("K1", "RETIRING"), ("K2", "ACTIVE")]
    node = "query ($id: ID!) { node(id: $id) { __typename ... on SigningKey { keyPairId } } }"
    found = await world.data(node, {"id": shown[0]["id"]}, as_=admin)
    assert found["node"] == {"__typename": "SigningKey", "keyPairId": "K1"}
    alice = await world.principal("alice")
    assert (await world.data(node, {"id": shown[0]["id"]}, as_=alice))["node"] is None


async def test_others_see_no_keys(world: World) -> None:
    result = await world.ask(KEYS, as_=await world.principal("alice"))
    assert result.data == {"signingKeys": None}
    assert [error.extensions["code"] for error in result.errors or () if error.extensions] == ["FORBIDDEN"]


@pytest.mark.parametrize(
    ("input", "code", "path"),
    [
        ({"reason": ""}, "INVALID", ["input", "reason"]),
        ({"signingKeyId": new_signing_key_id(START)}, "NOT_FOUND", ["input", "signingKeyId"]),
        ({"signingKeyId": "K2"}, "NOT_FOUND", ["input", "signingKeyId"]),
        ({"idempotencyKey": ""}, "INVALID", ["input", "idempotencyKey"]),
    ],
)
async def test_what_is_wrong_with_a_wish_is_said_in_place(
    world: World, input: dict[str, object], code: str, path: list[str]
) -> None:
    [error] = (await rotate(world, **input))["userErrors"]
    assert (error["code"], error["path"]) == (code, path)


async def test_a_key_that_cannot_be_had_is_no_internal_error_and_names_no_place(world: World) -> None:
    del world.key_places.kept["/K2.pem"]
    [error] = (await rotate(world))["userErrors"]
    assert error["code"] == "CONFLICT"
    assert "/K2.pem" not in error["message"]


@dataclass
class Elsewhere:
    """A ``RemoteKey`` that counts how many wait for it at once."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65_537, 2048))
    fault: Exception | None = None
    lost: tuple[int, ...] = ()  # the fourth, say
    hangs: int | None = None
    is_hanging: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    most: int = 0
    signatures: int = 0

    @property
    def held(self) -> keyring.SigningKey:
        return keyring.SigningKey("KR", self.key)

    @property
    def public_pem(self) -> str:
        return self.held.public_pem()

    async def sign(self, message: bytes) -> bytes:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.signatures += 1
        number = self.signatures
        if number == self.hangs:
            self.is_hanging.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.waiting -= 1
        if self.fault is not None:
            raise self.fault
        if number in self.lost:
            raise Unavailable("key source")
        return self.held.sign(message)


@pytest.fixture
async def elsewhere(world: World) -> Elsewhere:
    """In use, and trusted by the edge; there are ten files."""
    key = Elsewhere()
    world.in_use.use(RemoteSigner(CloudFrontWriter(CDN, "KR", HashAlgorithm.SHA256), key), until=None)
    world.edge.group["KR"] = key.public_pem
    for number in range(9):
        await filed(world, await world.principal("alice"), f"{number}.txt")
    return key


async def test_a_page_of_links_by_a_key_elsewhere_takes_one_step(world: World, elsewhere: Elsewhere) -> None:
    alice = await world.principal("alice")
    first = (await world.data(PAGE, as_=alice))["files"]["nodes"]
    assert (elsewhere.most, elsewhere.signatures) == (10, 10), "all of them wait at once"
    for node in first:
        assert node["signedUrl"]["keyPairId"] == "KR"
        assert world.edge.judge(node["signedUrl"]["url"]).is_let_through
    assert (await world.data(PAGE, as_=alice))["files"]["nodes"] == first
    assert elsewhere.signatures == 10, "what was signed is remembered"


async def test_equal_wishes_on_one_page_are_signed_once(world: World, elsewhere: Elsewhere) -> None:
    alice = await world.principal("alice")
    twice = "{ files { nodes { a: signedUrl { url } b: signedUrl { url } c: signedUrl(expiresIn: 60) { url } } } }"
    for node in (await world.data(twice, as_=alice))["files"]["nodes"]:
        assert node["a"] == node["b"] != node["c"]
    assert elsewhere.signatures == 20


async def test_a_bad_wish_spoils_no_other(world: World, elsewhere: Elsewhere) -> None:
    alice = await world.principal("alice")
    both = '{ files(first: 1) { nodes { good: signedUrl { url } bad: signedUrl(ipAddress: "nonsense") { url } } } }'
    result = await world.ask(both, as_=alice)
    assert result.data is not None
    [node] = result.data["files"]["nodes"]
    assert node["good"]["url"]
    assert node["bad"] is None
    assert [error.extensions["code"] for error in result.errors or () if error.extensions] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("fault", [Unavailable("key source"), ConfigurationError("the key /K is gone")])
async def test_a_key_that_does_not_answer_is_unavailable(world: World, elsewhere: Elsewhere, fault: Exception) -> None:
    elsewhere.fault = fault
    result = await world.ask(PAGE, as_=await world.principal("alice"))
    assert {error.extensions["code"] for error in result.errors or () if error.extensions} == {"SERVICE_UNAVAILABLE"}
    assert "/K" not in str(result.errors)
    elsewhere.fault = None
    assert (await world.ask(PAGE, as_=await world.principal("alice"))).errors is None


async def test_a_signature_that_is_not_to_be_had_is_missing_alone_and_asked_for_alone(
    world: World, elsewhere: Elsewhere
) -> None:
    alice = await world.principal("alice")
    elsewhere.lost = (4, 8)
    missing = []
    for _ in range(2):
        result = await world.ask(PAGE, as_=alice)
        assert result.data is not None
        links = [node["signedUrl"] for node in result.data["files"]["nodes"]]
        lost = [["files", "nodes", number, "signedUrl"] for number, link in enumerate(links) if link is None]
        assert [error.path for error in result.errors or ()] == lost
        missing.append(len(lost))
    assert missing == [2, 0]
    assert elsewhere.signatures == 10 + 2, "those that were had are remembered"


async def test_what_was_signed_for_an_operation_that_was_given_up_is_remembered(
    world: World, elsewhere: Elsewhere
) -> None:
    alice = await world.principal("alice")
    elsewhere.hangs = 10
    asked = asyncio.create_task(world.ask(PAGE, as_=alice))
    async with asyncio.timeout(30):
        await elsewhere.is_hanging.wait()  # nine others were before it
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await world.ask(PAGE, as_=alice)).errors is None
    assert elsewhere.signatures == 10 + 1


async def test_a_version_s_link_comes_from_there_too(world: World, elsewhere: Elsewhere) -> None:
    document = "{ files(first: 1) { nodes { versions { nodes { signedUrl { url } } } } } }"
    data = await world.data(document, as_=await world.principal("alice"))
    [version] = data["files"]["nodes"][0]["versions"]["nodes"]
    assert world.edge.judge(version["signedUrl"]["url"]).is_let_through


async def test_it_says_what_a_key_here_would_say_on_both_ways_to_resolve(world: World, elsewhere: Elsewhere) -> None:
    alice = await world.principal("alice")

    async def ask(schema: Any) -> Any:
        context = Context(world.services, alice, client_address=None, request_id="req-1")
        return (await schema.execute(PAGE, context_value=context)).data

    by_remote = [await ask(build_schema()), await ask(build_stock_schema())]
    fresh = World(world.database, clock=world.clock)
    fresh.in_use.use(CloudFrontSigner(CDN, keyring.Keyring([elsewhere.held])), until=None)
    context = Context(fresh.services, alice, client_address=None, request_id="req-1")
    here: Any = await build_schema().execute(PAGE, context_value=context)
    assert by_remote == [here.data, here.data]
