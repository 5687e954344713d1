"""The direct resolvers answer as strawberry's own do."""

from typing import Any

import pytest
import strawberry

from graphql_api.model.stored_object import PromisedObject
from graphql_api.schema import Context, build_schema, build_stock_schema
from tests.world import World

STOCK, SHORTENED = build_stock_schema(), build_schema()

CREATE = """mutation ($name: String!) {
  createUpload(input: {filename: $name, size: 3, contentType: "text/plain"}) {
    upload { id target { ... on PutUploadTarget { url } } }
  }
}"""
COMPLETE = "mutation ($id: ID!) { completeUpload(input: {uploadId: $id}) { file { id } } }"

EVERY_FIELD = """query ($ip: String, $seconds: Int!) {
  viewer {
    id displayName isAdmin permissions user { id displayName email hasSignedIn createdAt }
    homeFolder { id name path createdAt updatedAt parent { id } }
  }
  accessRules { tag nodes {
    __typename id version effect permissions startsAt endsAt ipRanges createdAt updatedAt
    obligations { maxLifetime bindsIp forcesDownload } madeBy { id }
    subject { __typename ... on User { id displayName } } resource { __typename ... on Folder { id name } }
  } }
  uploads { nodes { id status filename size contentType failure { code message } createdAt updatedAt expiresAt } }
  files {
    totalCount totalCountIsExact
    edges { cursor node { id } }
    nodes {
      __typename id name size contentType sha256 path createdAt updatedAt
      labels metadata { key value } visibility owner { displayName }
      access { permission isAllowed ground explanation linkFault linkTerms { maxLifetime ipRange until } }
      plain: signedUrl { url expiresAt refreshAfter cacheKey keyPairId hasCustomPolicy }
      bound: signedUrl(expiresIn: $seconds, ipAddress: $ip) { url }
      saved: signedUrl(disposition: ATTACHMENT, filename: "naïve \\"x\\".txt") { url }
      later: signedUrl(startsAt: "2026-11-22T12:00:01Z", filename: null) { url hasCustomPolicy }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


@pytest.mark.parametrize(
    "variables",
    [
        {"seconds": 60},
        {"seconds": -5, "ip": None},
        {"seconds": 2**31 - 1, "ip": "192.0.2.0/24"},
        {"seconds": 1, "ip": "2001:db8::1"},  # an error in both
        {"seconds": 1, "ip": "nonsense"},
        {"seconds": "60"},  # refused before anything is resolved
    ],
)
async def test_a_shortcut_answers_as_the_stock_resolver_does(world: World, variables: dict[str, Any]) -> None:
    alice = await world.principal("alice")
    for name in ("a.txt", "日本 語.txt"):
        created = (await world.data(CREATE, {"name": name}, as_=alice))["createUpload"]["upload"]
        key = created["target"]["url"].removeprefix("https://store.test/")
        world.store.put(PromisedObject(key, 3, "text/plain", None), b"abc")
        await world.data(COMPLETE, {"id": created["id"]}, as_=alice)

    async def ask(schema: strawberry.Schema) -> tuple[Any, Any]:
        context = Context(world.services, alice, client_address=None, request_id="req-1")
        result = await schema.execute(EVERY_FIELD, variables, context_value=context)
        assert isinstance(result, strawberry.types.ExecutionResult)
        return result.data, [error.formatted for error in result.errors or ()]

    assert await ask(SHORTENED) == await ask(STOCK)


async def test_the_comparison_compares_something(world: World) -> None:
    core = SHORTENED._schema.type_map["File"].fields["signedUrl"]  # type: ignore[attr-defined]  # an object type
    stock = STOCK._schema.type_map["File"].fields["signedUrl"]  # type: ignore[attr-defined]  # an object type
    assert core.resolve is not stock.resolve
    assert core.args.keys() == stock.args.keys()
