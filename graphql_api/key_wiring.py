"""From settings to what signs links: the part of ``bootstrap`` that knows where keys are kept, and for whose CDN, or
that there is none.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from graphql_api.db.engine import Database
from graphql_api.edge.cloudfront import CloudFrontEdge
from graphql_api.errors import ConfigurationError
from graphql_api.keys import KeySource, PrivatePem, RemoteKey
from graphql_api.keys.aws import AwsAccess
from graphql_api.keys.here import ConfiguredKey, KeyFiles, KeyVariables
from graphql_api.keys.kms import KmsKeys
from graphql_api.keys.secrets_manager import Secrets
from graphql_api.model.signing_key import HashAlgorithm, KeyPlace
from graphql_api.services.canary import Canary
from graphql_api.services.clock import Clock
from graphql_api.services.key_loading import KeyLoader, LoadedKey, SignerOf
from graphql_api.services.keyring import ConfiguredId, Keyring
from graphql_api.services.link_signing import RemoteSigner, SignerInUse
from graphql_api.services.signing_keys import SigningKeys
from graphql_api.services.standings import Standings
from graphql_api.services.store_links import StoreLinks
from graphql_api.settings import Settings
from graphql_api.signing import keyring as private_keys
from graphql_api.signing.cloudfront import CloudFrontSigner, CloudFrontWriter
from graphql_api.storage.s3 import S3Store

NO_CDN: Final = "without a CDN links are signed with the store's credentials, and signing keys sign nothing"


@dataclass(frozen=True)
class KeyParts:
    """``keyring`` has to be started before the first link. ``access`` is to be closed. ``link_origin``: scheme and host
    of every link. ``is_secret``: whether what cookies are sealed with is known to nobody else.
    """

    in_use: SignerInUse
    keyring: Keyring | StoreLinks
    link_origin: str
    is_secret: Callable[[], bool]
    signing_keys: SigningKeys
    access: AwsAccess


def wire_keys(settings: Settings, database: Database, standings: Standings, store: S3Store, clock: Clock) -> KeyParts:
    """Nothing is connected yet. Raises: ConfigurationError: the key of the settings, or an AWS profile."""
    if settings.cdn_base_url is None or settings.cdn_key_id is None or settings.delivery == "store":
        return _without_cdn(settings, database, standings, store, clock)
    pem = settings.cdn_private_key_pem.get_secret_value()
    signer_of = cloudfront_signer_of(settings.cdn_base_url)
    configured = ConfiguredId(settings.cdn_key_id, HashAlgorithm(settings.cdn_hash_algorithm))
    signer_of(configured.key_pair_id, configured.hash_algorithm, PrivatePem(pem))  # its faults are told at once
    access = _key_access(settings)
    loader = KeyLoader(_key_sources(pem, access), signer_of)
    in_use = SignerInUse()
    keyring = Keyring(database, clock, loader, in_use, configured, longest_lifetime=settings.link_max_lifetime)
    return KeyParts(
        in_use,
        keyring,
        settings.cdn_base_url,
        _is_secret if settings.shared_secret is not None else lambda: keyring.trusts_configured,
        SigningKeys(database, standings, clock, loader, Canary(database, CloudFrontEdge(), clock)),
        access,
    )


def _without_cdn(
    settings: Settings, database: Database, standings: Standings, store: S3Store, clock: Clock
) -> KeyParts:
    in_use, access, links = SignerInUse(), _key_access(settings), store.links(longest=settings.link_max_lifetime)
    loader = KeyLoader(_key_sources("", access), _nothing_to_sign_for)
    return KeyParts(
        in_use,
        StoreLinks(links, in_use, clock),
        links.origin,
        _is_secret,
        SigningKeys(database, standings, clock, loader, Canary(database, CloudFrontEdge(), clock)),
        access,
    )


def _is_secret() -> bool:
    """What the settings have for that purpose is changed there."""
    return True


def _nothing_to_sign_for(key_pair_id: str, hash_algorithm: HashAlgorithm, held: PrivatePem | RemoteKey) -> LoadedKey:
    raise ConfigurationError(NO_CDN)


def cloudfront_signer_of(base_url: str) -> SignerOf:
    """CloudFront's signers."""

    def signer_of(key_pair_id: str, hash_algorithm: HashAlgorithm, held: PrivatePem | RemoteKey) -> LoadedKey:
        if isinstance(held, PrivatePem):
            key = private_keys.SigningKey.from_pem(key_pair_id, held.text, hash_algorithm)
            return LoadedKey(key.public_pem(), CloudFrontSigner(base_url, private_keys.Keyring([key])))
        if hash_algorithm is not HashAlgorithm.SHA256:
            raise ConfigurationError(f"Signing key {key_pair_id} is kept where only SHA-256 can be signed.")
        return LoadedKey(held.public_pem, RemoteSigner(CloudFrontWriter(base_url, key_pair_id, hash_algorithm), held))

    return signer_of


def _key_access(settings: Settings) -> AwsAccess:
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.keys_access_key_id is not None:
        key_id, secret = settings.keys_access_key_id, settings.keys_secret_access_key
    return AwsAccess(
        endpoint_url=settings.keys_endpoint_url,
        access_key_id=key_id,
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )


def _key_sources(pem: str, access: AwsAccess) -> dict[KeyPlace, KeySource]:
    return {
        KeyPlace.SETTINGS: ConfiguredKey(pem),
        KeyPlace.FILE: KeyFiles(),
        KeyPlace.ENVIRONMENT: KeyVariables(os.environ),
        KeyPlace.SECRETS_MANAGER: Secrets(access),
        KeyPlace.KMS: KmsKeys(access),
    }
