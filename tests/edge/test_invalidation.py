"""CloudFront's cache drops what it is told to, once for each reference."""

from collections.abc import Iterator

import pytest

from graphql_api.edge import EdgeCache
from graphql_api.edge.invalidation import CloudFrontCache
from graphql_api.errors import Unavailable
from graphql_api.localcloud.cache import Cache, CacheKey
from graphql_api.localcloud.invalidation import create_invalidation_api
from graphql_api.localcloud.origin import OriginResponse
from tests.localcloud.viewer import NOW
from tests.served import serving

DISTRIBUTION, KEY_ID = "EDFDVBD6EXAMPLE", "AKIDEXAMPLE"
KEPT, OTHER = CacheKey("/pub/1", ()), CacheKey("/pub/2", ())

pytestmark = pytest.mark.anyio


@pytest.fixture
def cache() -> Cache:
    kept = Cache()
    for key in (KEPT, OTHER):
        kept.put(key, OriginResponse(200, ()), b"a", NOW)
    return kept


@pytest.fixture
def url(cache: Cache) -> Iterator[str]:
    with serving(create_invalidation_api(cache, DISTRIBUTION, KEY_ID, lambda: NOW)) as address:
        yield address


def edge(url: str, key_id: str = KEY_ID) -> CloudFrontCache:
    return CloudFrontCache(
        distribution_id=DISTRIBUTION, endpoint_url=url, access_key_id=key_id, secret_access_key="a secret of this test"
    )


async def test_what_is_named_is_dropped_and_asking_again_is_harmless(cache: Cache, url: str) -> None:
    ours = edge(url)
    promised: EdgeCache = ours
    for _ in range(2):
        await promised.invalidate("/pub/1", reference="pub/1")
    ours.close()
    assert cache.find(KEPT, "GET", {}, NOW) is None
    assert cache.find(OTHER, "GET", {}, NOW) is not None


async def test_who_refuses_is_unavailable(url: str) -> None:
    stranger = edge(url, "another")
    with pytest.raises(Unavailable) as caught:
        await stranger.invalidate("/pub/1", reference="pub/1")
    stranger.close()
    assert caught.value.part == "edge"
