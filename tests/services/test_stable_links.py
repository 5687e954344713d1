"""Equal requests give equal links, byte for byte, whoever asks and whichever process; unequal ones never do."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.errors import InvalidInput
from graphql_api.localcloud.refusal import AccessDenied
from graphql_api.localcloud.signature import SignatureVerifier, ViewerRequest
from graphql_api.model.delivery import ContentDisposition, Link, LinkWish, ReadGrant, SignedUrl
from graphql_api.model.file import File
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import PLAIN, ReadTerms
from graphql_api.services.delivery import Delivery
from graphql_api.services.link_signing import RemoteSigner, SignerInUse
from graphql_api.settings import Settings
from graphql_api.signing.cloudfront import CloudFrontSigner, CloudFrontWriter
from graphql_api.signing.keyring import HashAlgorithm, Keyring, SigningKey
from tests.schema.test_signing_keys import Elsewhere
from tests.services.links_elsewhere import grant, page
from tests.services.rulings import ruled, wish
from tests.services.stories import filed
from tests.signing.conftest import pem_of
from tests.world import KEY, REDIRECT_LIFETIME, START, Clock, World

ROOT = Path(__file__).parents[2]
READ = Permission.READ
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
PLAINLY = LinkWish(HOUR)
MIB = 1024**2


class Counting:
    """Signs, and counts."""

    def __init__(self, key: SigningKey = KEY) -> None:
        self._signer = CloudFrontSigner("https://cdn.test", Keyring([key]))
        self.signatures = 0

    @property
    def key_pair_id(self) -> str:
        return self._signer.key_pair_id

    def sign(self, path: str, query: Sequence[tuple[str, str]] = (), **bounds: Any) -> SignedUrl:
        self.signatures += 1
        return self._signer.sign(path, query, **bounds)


def delivery(signer: Counting, clock: Clock, memory: int = MIB) -> Delivery:
    return delivered_by(SignerInUse(signer), clock, memory)


def delivered_by(in_use: SignerInUse, clock: Clock, memory: int = MIB) -> Delivery:
    return Delivery(
        in_use,
        clock,
        max_lifetime=DAY,
        redirect_lifetime=REDIRECT_LIFETIME,
        window=timedelta(minutes=30),
        memory=memory,
    )


def test_what_was_signed_is_not_signed_again_until_its_window_is_over() -> None:
    signer, clock = Counting(), Clock()
    signing, grants = delivery(signer, clock), [grant(number) for number in range(100)]
    cold = signing.sign(grants, PLAINLY)
    assert signer.signatures == 100
    for _ in range(3):
        assert signing.sign(grants, PLAINLY) == cold
        assert [link for each in grants for link in signing.sign([each], LinkWish(HOUR))] == cold
    assert signer.signatures == 100
    clock.advance(minutes=10)
    partly = signing.sign(grants, PLAINLY)
    changed = [number for number in range(100) if partly[number] != cold[number]]
    assert signer.signatures == 100 + len(changed)
    assert 10 < len(changed) < 60  # about a third of the window
    clock.advance(minutes=20)
    later = signing.sign(grants, PLAINLY)
    assert all(new.expires_at - old.expires_at == timedelta(minutes=30) for new, old in zip(later, cold, strict=True))
    assert len({link.url for link in (*cold, *later)}) == 200


def test_a_remembered_link_opens_at_the_edge_for_as_long_as_was_wished() -> None:
    signer, clock = Counting(), Clock()
    signing, verifier = delivery(signer, clock), SignatureVerifier({KEY.key_id: KEY.public_pem()})
    for minute in range(0, 90, 7):
        clock.now = START + minute * MINUTE
        [link] = signing.sign([grant(1)], PLAINLY)
        assert is_open(verifier, link, clock.now)
        assert is_open(verifier, link, clock.now + HOUR)
        assert is_open(verifier, link, link.expires_at - timedelta(seconds=1))
        assert not is_open(verifier, link, link.expires_at)
    assert signer.signatures <= 4


@pytest.mark.parametrize("is_here", [True, False])
async def test_what_an_outage_has_cut_short_is_not_given_when_it_is_over(is_here: bool) -> None:
    """The key may be taken away at ``until``, which stands still while the keyring cannot be read."""
    clock, in_use = Clock(), SignerInUse()
    here, elsewhere = Counting(), Elsewhere()
    remote = RemoteSigner(CloudFrontWriter("https://cdn.test", "KR", HashAlgorithm.SHA256), elsewhere)

    def read_keyring() -> None:
        in_use.use(here if is_here else remote, until=int((clock.now + DAY + MINUTE).timestamp()))

    async def signed(by: Delivery) -> Link:
        if by.signs_here:
            [link] = by.sign([grant(1)], LinkWish(HOUR))
            return link
        [result] = await by.sign_page([(grant(1), LinkWish(HOUR))])
        assert isinstance(result, Link)
        return result

    read_keyring()
    signing = delivered_by(in_use, clock)
    clock.advance(hours=23, minutes=30)
    cut = await signed(signing)
    assert cut.expires_at - clock.now == 31 * MINUTE
    clock.advance(minutes=10)
    assert await signed(signing) == cut
    assert in_use.until == int(cut.expires_at.timestamp())
    read_keyring()
    whole = await signed(signing)
    assert whole.expires_at - clock.now > HOUR
    assert whole == await signed(delivered_by(in_use, clock)), "another process gives the same"
    signatures = here.signatures + elsewhere.signatures
    clock.advance(seconds=2)
    read_keyring()
    assert await signed(signing) == whole
    assert here.signatures + elsewhere.signatures == signatures, "what nothing has cut is remembered"


def is_open(verifier: SignatureVerifier, link: Link, now: datetime) -> bool:
    parts = urlsplit(link.url)
    try:
        verifier.verify(ViewerRequest(parts.scheme, parts.netloc, parts.path, parts.query, "", None), now)
    except AccessDenied:
        return False
    return True


WISHES = [
    PLAINLY,
    LinkWish(HOUR, disposition=ContentDisposition.ATTACHMENT),
    LinkWish(HOUR, filename="None"),
    LinkWish(HOUR, filename="'' None"),
    LinkWish(HOUR, filename=""),
    LinkWish(HOUR, ip_range="192.0.2.7"),
    LinkWish(HOUR, starts_at=START + 5 * MINUTE),
    LinkWish(HOUR, starts_at=START + 6 * MINUTE),
    LinkWish(2 * HOUR),
    LinkWish(timedelta(0)),
    LinkWish(20 * DAY),
    LinkWish(HOUR, ip_range="nonsense"),
]
TERMS = [
    PLAIN,
    ReadTerms(max_lifetime=10 * MINUTE),
    ReadTerms(max_lifetime=20 * MINUTE),
    ReadTerms(until=START + 10 * MINUTE),
    ReadTerms(until=START + 11 * MINUTE),
    ReadTerms(ip_range="192.0.2.0/24"),
    ReadTerms(ip_range="192.0.2.0/25"),
    ReadTerms(forces_download=True),
    ReadTerms(10 * MINUTE, "192.0.2.0/24", True, START + 10 * MINUTE),
]
NAMES = ["cat.jpg", "None", "'cat.jpg'"]
TYPES = ["application/pdf", "text/plain"]


def named(number: int, terms: ReadTerms, name: str, content_type: str) -> ReadGrant:
    return ReadGrant(replace(grant(number, terms).file, name=name, content_type=content_type), terms)


def attempt(signing: Delivery, grants: Sequence[ReadGrant], wished: LinkWish) -> object:
    try:
        return signing.sign(grants, wished)
    except InvalidInput as error:
        return error.path


asked_for = st.builds(named, st.integers(0, 3), st.sampled_from(TERMS), st.sampled_from(NAMES), st.sampled_from(TYPES))
steps = st.tuples(
    st.lists(asked_for, max_size=4),
    st.sampled_from(WISHES),
    st.integers(-120, 600) | st.integers(-7200, 7200),  # seconds; a clock may be put back
    st.booleans(),
)


@given(st.lists(steps, max_size=12), st.sampled_from([0, 5000, MIB]))
def test_who_remembers_says_what_who_does_not_would_say(
    history: list[tuple[list[ReadGrant], LinkWish, int, bool]], memory: int
) -> None:
    signers, clock = cycle([Counting(SigningKey("K2", OTHER)), Counting()]), Clock()
    in_use = SignerInUse(Counting())
    remembering, forgetful = (delivered_by(in_use, clock, room) for room in (memory, 0))
    for grants, wished, seconds, rotates in history:
        clock.advance(seconds=seconds)
        if rotates:
            in_use.use(next(signers), until=None)
        for _ in range(2):
            assert attempt(remembering, grants, wished) == attempt(forgetful, grants, wished)


OTHER = ec.generate_private_key(ec.SECP256R1())


def test_each_obligation_and_each_wish_makes_another_link() -> None:
    signing = delivery(Counting(), Clock())
    plain = signing.sign([grant(1)], PLAINLY)[0].url
    by_terms = [signing.sign([grant(1, terms)], PLAINLY)[0].url for terms in TERMS]
    by_wish = [signing.sign([grant(1)], each)[0].url for each in WISHES[:-1]]
    assert by_terms[0] == by_wish[0] == plain
    assert len(set(by_terms)) == len(TERMS)
    assert len(set(by_wish)) == len(WISHES) - 2  # without a name, it is the file's own
    by_file = [signing.sign([named(1, PLAIN, name, type_)], PLAINLY)[0].url for name in NAMES for type_ in TYPES]
    assert len(set(by_file)) == len(NAMES) * len(TYPES)


def test_a_key_that_signs_no_more_gives_no_more_links() -> None:
    in_use = SignerInUse(Counting())
    signing = delivered_by(in_use, Clock())
    [old] = signing.sign([grant(1)], PLAINLY)
    in_use.use(Counting(SigningKey("K2", OTHER)), until=None)
    [new] = signing.sign([grant(1)], PLAINLY)
    assert (old.key_pair_id, new.key_pair_id) == (KEY.key_id, "K2")
    assert "&Key-Pair-Id=K2&" in new.url
    assert (old.expires_at, old.cache_key) == (new.expires_at, new.cache_key)


async def found(world: World, viewer: Principal, file: File, wished: LinkWish = PLAINLY) -> Link:
    """The link that somebody gets."""
    files = await world.services.files.find(viewer, [file.id])
    granted = world.services.delivery.grant(files[file.id])
    assert granted is not None
    [link] = world.services.delivery.sign([granted], wished)
    return link


async def test_two_people_with_the_same_obligations_get_the_same_link(sqlite_world: World) -> None:
    world = sqlite_world
    alice, bob, carol, dave = [await world.principal(name) for name in ("alice", "bob", "carol", "dave")]
    file = await filed(world, alice)
    for each in (bob, carol):
        await ruled(world, alice, wish(each, file.id, max_lifetime=10 * MINUTE))
    await ruled(world, alice, wish(dave, file.id, binds_ip=True))
    of_bob, of_carol, own = [await found(world, each, file) for each in (bob, carol, alice)]
    world.clock.advance(seconds=1)
    assert of_bob == of_carol == await found(world, bob, file)
    assert of_bob.url != own.url
    here = [await found(world, replace(dave, address=ip_address(f"192.0.2.{n}")), file) for n in (1, 2, 1)]
    assert here[0] == here[2]
    assert here[0].url != here[1].url


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"max_lifetime": 5 * MINUTE}),
        ({"max_lifetime": HOUR}, {"max_lifetime": MINUTE}),
        ({"ends_at": START + DAY}, {"ends_at": START + 20 * MINUTE}),
        ({}, {"forces_download": True}),
        ({}, {"binds_ip": True}),
        ({"ip_ranges": ("192.0.2.0/24",)}, {"ip_ranges": ("192.0.2.0/25",)}),
    ],
)
async def test_a_changed_rule_gives_no_link_of_before(
    sqlite_world: World, before: dict[str, Any], after: dict[str, Any]
) -> None:
    world = sqlite_world
    alice, bob = await world.principal("alice"), await world.principal("bob")
    bob = replace(bob, address=ip_address("192.0.2.7"))
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id, **before))
    old = await found(world, bob, file)
    changed = (await world.services.policies.update(alice, rule.id, rule.version, after)).rule
    assert changed is not None
    new = await found(world, bob, file)
    assert new.url != old.url
    longest, end = changed.terms.obligations.max_lifetime, changed.terms.ends_at
    assert longest is None or new.expires_at <= world.clock.now + longest
    assert end is None or new.expires_at <= end
    assert new.has_custom_policy == bool(changed.terms.obligations.binds_ip or changed.terms.ip_ranges)


async def test_a_renamed_and_a_replaced_file_have_links_of_their_own(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    file = await filed(world, alice, "old.txt")
    old = await found(world, alice, file)
    await world.services.files.update(alice, file.id, name="new.txt")
    renamed = await found(world, alice, file)
    await filed(world, alice, "any", replaces=file.id)
    replaced = await found(world, alice, file)
    assert len({old.url, renamed.url, replaced.url}) == 3
    assert old.cache_key == renamed.cache_key != replaced.cache_key


async def opened(assembly: Assembly) -> None:
    """As it is when its server has started; what it needs a database for is done."""
    await assembly.keys.keyring.start()
    await assembly.close()


def test_processes_agree_on_every_byte(tmp_path: Path, sqlite_template: Path) -> None:
    pems = [pem_of(OTHER), pem_of(rsa.generate_private_key(65_537, 2048))]
    now = START + timedelta(seconds=1234, microseconds=999_999)
    described = [
        {"pem": pem, "now": moment.isoformat(), "window": 600, "longest": 7200, "files": 3}
        for pem in pems
        for moment in (now, now + timedelta(microseconds=1))
    ]
    elsewhere = []
    for seed in ("1", "2"):  # what ``hash`` gives differs
        command = [sys.executable, "-m", "tests.services.links_elsewhere"]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            input=json.dumps(described),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        elsewhere.append(json.loads(done.stdout))
    assert elsewhere[0] == elsewhere[1]
    for number, (each, urls) in enumerate(zip(described, elsewhere[0], strict=True)):
        shutil.copyfile(sqlite_template, tmp_path / f"{number}.db")
        clock = Clock()
        clock.now = datetime.fromisoformat(str(each["now"]))
        assembly = assemble(
            Settings.read(
                {
                    "GRAPHQL_API_DATABASE_URL": f"sqlite:///{tmp_path}/{number}.db",
                    "GRAPHQL_API_S3_BUCKET": "files",
                    "GRAPHQL_API_S3_ACCESS_KEY_ID": "a",
                    "GRAPHQL_API_S3_SECRET_ACCESS_KEY": "b",
                    "GRAPHQL_API_CDN_BASE_URL": "https://cdn.test",
                    "GRAPHQL_API_CDN_KEY_ID": "K1",
                    "GRAPHQL_API_CDN_PRIVATE_KEY": str(each["pem"]),
                    "GRAPHQL_API_AUTH_HS256_SECRET": "of no importance behind the front door",
                    "GRAPHQL_API_AUTH_ISSUER": "issuer",
                    "GRAPHQL_API_AUTH_AUDIENCE": "audience",
                    "GRAPHQL_API_LINK_MAX_SECONDS": "7200",
                    "GRAPHQL_API_LINK_WINDOW_SECONDS": "600",
                }
            ),
            clock=clock,
        )
        asyncio.run(opened(assembly))
        assert [link.url for link in page(assembly.services.delivery, 3)] == urls
