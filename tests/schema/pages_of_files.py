"""Documents that ask for pages, and a world in which many kinds of files are on them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

from sqlalchemy import update

from graphql_api.db.tables import FileRow
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, Obligations
from graphql_api.model.signing_key import HashAlgorithm
from graphql_api.services.link_signing import RemoteSigner
from graphql_api.signing.cloudfront import CloudFrontWriter
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials
from graphql_api.signing.sigv4_links import StoreLinkSigner
from tests.services.bundled import bundled
from tests.services.stories import denied, filed, foldered, ruled
from tests.world import CDN, KEY, World

ADDRESS: Final = ip_address("192.0.2.7")

FIELDS: Final = "id name size contentType sha256 createdAt updatedAt alteredAt infectedAt"
LINK: Final = "url expiresAt refreshAfter cacheKey keyPairId hasCustomPolicy"

PLAIN: Final = {
    "nodes": f"{{ files {{ nodes {{ {FIELDS} signedUrl {{ {LINK} }} }} pageInfo {{ endCursor hasNextPage }} }} }}",
    "edges": f"""{{ files(last: 7) {{
        edges {{ cursor node {{ {FIELDS} signedUrl {{ url }} }} }} pageInfo {{ startCursor }} }} }}""",
    "both, and the total": "{ files { totalCount edges { cursor node { id } } nodes { name } totalCountIsExact } }",
    "aliases": "{ a: files { x: nodes { y: id id z: signedUrl { u: url v: url } } } b: files { nodes { id } } }",
    "typenames": """{ files { __typename
        nodes { __typename t: __typename signedUrl { __typename } } edges { __typename } } }""",
    "merged": """{ files { nodes { id signedUrl { url } } nodes { name signedUrl { expiresAt url } id } }
        files { nodes { size } } }""",
    "fragments": """query { files { ...Page nodes { ...Linked } edges { node { ...Linked ... on File { size } } } } }
        fragment Page on FileConnection { nodes { ...Linked ... { updatedAt } ... on Node { nodeId: id } } }
        fragment Linked on File { ... on Timestamped { createdAt } ...Link name }
        fragment Link on File { signedUrl { ...All } }
        fragment All on SignedUrl { url ... on SignedUrl { expiresAt } }""",
    "in folders": """{ viewer { homeFolder {
        files { nodes { name signedUrl { url } } } subfolders { nodes { id name } } } } }""",
    "wishes": """query (
        $ip: String, $name: String = "default.txt", $seconds: Int! = 60, $how: ContentDisposition! = INLINE
      ) { files { nodes {
        a: signedUrl(expiresIn: $seconds, filename: $name) { url }
        b: signedUrl(disposition: $how, ipAddress: $ip) { url }
        c: signedUrl(expiresIn: -1, startsAt: null, filename: null) { expiresAt }
        d: signedUrl { url }
      } } }""",
    "other lists": """{ uploads { nodes { id status filename size contentType createdAt expiresAt } }
        accessRules { edges { cursor node {
          id effect permissions ipRanges startsAt obligations { maxLifetime bindsIp } } } }
        viewer { topFolders { nodes { id name createdAt } } permissions } }""",
}
"""Of which every list is laid out."""

MIXED: Final = {
    "a loader": "{ files { nodes { id path signedUrl { url } } edges { cursor node { id folder { name } } } } }",
    "lists in lists": """{ files(first: 5) { nodes {
        id versions { nodes { number size isCurrent integrity { value } } } metadata { key } } } }""",
    "ids": "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on File { name signedUrl { url } } } }",
}
"""Of which some are."""

SWITCHES: Final = """query ($a: Boolean!, $b: Boolean = true, $c: Boolean! = false) { files {
  nodes @skip(if: $a) {
    id ... @include(if: $b) { name signedUrl { url @skip(if: $b) expiresAt } } ...More @include(if: $a)
  }
  edges @include(if: $a) { cursor @skip(if: $b) node { id @include(if: $b) } }
  nodes { size @skip(if: $a) updatedAt @include(if: $c) }
} } fragment More on File { contentType createdAt @skip(if: $b) }"""


async def peopled(world: World) -> list[Principal]:
    """Who may see what: an owner of files, of which some are not to be had, and those to whom rules show them."""
    owner = replace(await world.principal("owner"), address=ADDRESS)
    folder, hidden = await foldered(world, owner, "shown"), await foldered(world, owner, "hidden")
    for number in range(4):
        await filed(world, owner, f"{number} é日.txt", folder_id=folder.id)
    page = await filed(world, owner, "page.html", folder_id=folder.id, content_type="text/html")
    infected, altered = (
        await filed(world, owner, "infected.txt"),
        await filed(world, owner, "altered.txt", folder_id=folder.id),
    )
    denied_file, brief, own = [
        await filed(world, owner, name, folder_id=folder.id) for name in ("denied", "brief", "own")
    ]
    await filed(world, owner, "hidden.txt", folder_id=hidden.id)
    await bundled(world, owner, folder_id=folder.id)
    async with world.database.transaction() as connection:
        at = world.clock()
        await connection.execute(update(FileRow).where(FileRow.id == infected.id).values(infected_at=at))
        await connection.execute(update(FileRow).where(FileRow.id == altered.id).values(altered_at=at))
    bob, carol = replace(await world.principal("bob"), address=ADDRESS), await world.principal("carol")
    for each, obligations in (
        (bob, Obligations(binds_ip=True)),
        (carol, Obligations(max_lifetime=timedelta(minutes=5), forces_download=True)),
    ):
        await ruled(world, each, folder.id, Permission.READ, obligations=obligations)
    for reader in (bob, carol):
        await denied(world, reader, denied_file.id, Permission.READ)
    await ruled(world, carol, brief.id, Permission.READ, ends_at=world.clock() + timedelta(minutes=1))
    await ruled(world, SIGNED_IN, own.id, Permission.READ, obligations=Obligations(personal_links=True))
    await ruled(world, ANYONE, page.id, Permission.READ, ip_ranges=("192.0.2.0/24",))
    admin = await world.principal("admin", is_admin=True)
    return [owner, bob, carol, replace(ANONYMOUS, address=ADDRESS), admin, await world.principal("nobody")]


def without_cdn(world: World) -> None:
    presigner, credentials = QueryPresigner("https://store.test/files", "us-east-1"), StoreCredentials("AKID", "secret")
    world.in_use.use(StoreLinkSigner(presigner, credentials, longest=timedelta(days=1)), until=None)


class Elsewhere:
    """A ``RemoteKey``."""

    public_pem = KEY.public_pem()

    async def sign(self, message: bytes) -> bytes:
        await asyncio.sleep(0)
        return KEY.sign(message)


def key_elsewhere(world: World) -> None:
    world.in_use.use(RemoteSigner(CloudFrontWriter(CDN, KEY.key_id, HashAlgorithm.SHA256), Elsewhere()), until=None)


def no_key(world: World) -> None:
    world.in_use.stop()


PLACES: Final[dict[str, Callable[[World], None]]] = {
    "a CDN": lambda _world: None,
    "no CDN": without_cdn,
    "a key elsewhere": key_elsewhere,
    "no key": no_key,
}
