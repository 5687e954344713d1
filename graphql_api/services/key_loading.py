"""From an entry of the keyring to what signs with its private part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from graphql_api.errors import ConfigurationError
from graphql_api.keys import KeySource, PrivatePem, RemoteKey
from graphql_api.model.signing_key import FROM_SETTINGS, HashAlgorithm, KeyEntry, KeyPlace, KeyReference
from graphql_api.services.link_signing import LinkSigner


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """``public_pem``: what an edge verifies with."""

    public_pem: str
    signer: LinkSigner


class SignerOf(Protocol):
    """Makes what signs links for the CDN. Raises: ConfigurationError: the CDN could not use the key, or its id."""

    def __call__(self, key_pair_id: str, hash_algorithm: HashAlgorithm, held: PrivatePem | RemoteKey) -> LoadedKey: ...


class KeyLoader:
    """Asks the places that keep keys. Raises ``ConfigurationError`` and ``Unavailable`` as they do."""

    def __init__(self, sources: Mapping[KeyPlace, KeySource], signer_of: SignerOf) -> None:
        self._sources = sources
        self._signer_of = signer_of

    async def load(self, key_pair_id: str, reference: KeyReference, hash_algorithm: HashAlgorithm) -> LoadedKey:
        """What is kept at ``reference`` now."""
        held = await self._sources[reference.place].fetch(reference.name)
        return self._signer_of(key_pair_id, hash_algorithm, held)

    async def load_entry(self, entry: KeyEntry) -> LoadedKey:
        """What is kept for ``entry``. Raises: ConfigurationError: it is another key by now."""
        loaded = await self.load(entry.key_pair_id, entry.reference, entry.hash_algorithm)
        if loaded.public_pem != entry.public_pem:
            if entry.reference == FROM_SETTINGS:
                raise ConfigurationError(
                    f"the settings do not hold signing key {entry.key_pair_id} any more: put it back, or let another "
                    "take over with `graphql-api keys activate`"
                )
            raise ConfigurationError(f"what is kept at {entry.reference} is not signing key {entry.key_pair_id}")
        return loaded
