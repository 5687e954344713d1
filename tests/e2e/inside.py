"""The services of a running stack with another clock: for what would take hours to happen."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from graphql_api.bootstrap import Assembly, assemble
from graphql_api.cli.dev import BUCKET
from graphql_api.model.principal import Identity, Principal
from graphql_api.settings import Settings
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring, SigningKey
from tests.cli.program import DevStack


@asynccontextmanager
async def inside(stack: DevStack, *, shift: timedelta) -> AsyncIterator[Assembly]:
    """On the stack's own database, store and key, at a time that differs by ``shift`` from now."""
    identities = json.loads((stack.data / "store" / "run" / "s3.json").read_text())["identities"]
    [api] = [identity["credentials"][0] for identity in identities if identity["name"] == "localcloud-api"]
    settings = Settings.read(
        {
            "GRAPHQL_API_DATABASE_URL": f"sqlite:///{stack.data / 'api.db'}",
            "GRAPHQL_API_S3_BUCKET": BUCKET,
            "GRAPHQL_API_S3_ENDPOINT_URL": stack.store,
            "GRAPHQL_API_S3_ADDRESSING_STYLE": "path",
            "GRAPHQL_API_S3_ACCESS_KEY_ID": api["accessKey"],
            "GRAPHQL_API_S3_SECRET_ACCESS_KEY": api["secretKey"],
            "GRAPHQL_API_CDN_BASE_URL": stack.edge,
            "GRAPHQL_API_CDN_KEY_ID": stack.line["keyPairId"],
            "GRAPHQL_API_CDN_PRIVATE_KEY_FILE": str(stack.data / "signing-key.pem"),
            "GRAPHQL_API_AUTH_HS256_SECRET": "of no importance behind the front door",
            "GRAPHQL_API_AUTH_ISSUER": "graphql-api-dev",
            "GRAPHQL_API_AUTH_AUDIENCE": "graphql-api-dev",
        }
    )
    assembly = assemble(settings, clock=lambda: datetime.now(UTC) + shift)
    try:
        yield assembly
    finally:
        await assembly.close()


async def principal(assembly: Assembly, user: str) -> Principal:
    """The demo user as the front door would bring them in."""
    return await assembly.services.accounts.principal_of(Identity("graphql-api-dev", user, user.capitalize()))


def signer(stack: DevStack) -> CloudFrontSigner:
    """Signs links as the stack does."""
    key = SigningKey.from_pem(stack.line["keyPairId"], (stack.data / "signing-key.pem").read_text())
    return CloudFrontSigner(stack.edge, Keyring([key]))
