"""Links of seconds, to which visitors are redirected, by a key that is elsewhere."""

import pytest

from graphql_api.errors import Unavailable
from graphql_api.model.signing_key import HashAlgorithm
from graphql_api.services.link_signing import RemoteSigner
from graphql_api.signing.cloudfront import CloudFrontWriter
from tests.schema.test_signing_keys import Elsewhere
from tests.services.sharing import fetched, now_of, opens, shared
from tests.services.stories import filed
from tests.world import CDN, REDIRECT_LIFETIME, START, World


@pytest.fixture
def elsewhere(world: World) -> Elsewhere:
    """In use, and trusted by the edge."""
    key = Elsewhere()
    world.in_use.use(RemoteSigner(CloudFrontWriter(CDN, "KR", HashAlgorithm.SHA256), key), until=None)
    world.edge.group["KR"] = key.public_pem
    return key


async def test_a_share_link_leads_to_a_link_by_that_key(world: World, elsewhere: Elsewhere) -> None:
    file = await filed(world, await world.principal("alice"))
    made = await shared(world, await world.principal("alice"), file, max_downloads=2)
    link = await fetched(world, made.token)
    assert link.key_pair_id == "KR"
    assert link.url.startswith(f"{CDN}/{file.object_key}?")
    assert world.edge.judge(link.url).is_let_through
    assert START < link.expires_at <= START + REDIRECT_LIFETIME
    assert await fetched(world, made.token) == link
    assert elsewhere.signatures == 1, "what was signed is remembered"
    assert (await now_of(world, made.link)).downloads == 2


async def test_while_that_key_does_not_answer_no_download_is_used_up(world: World, elsewhere: Elsewhere) -> None:
    alice = await world.principal("alice")
    made = await shared(world, alice, await filed(world, alice), max_downloads=1)
    elsewhere.fault = Unavailable("key source")
    with pytest.raises(Unavailable):
        await fetched(world, made.token)
    elsewhere.fault = None
    assert await opens(world, made.token)
    assert not await opens(world, made.token)
