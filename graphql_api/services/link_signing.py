"""Which key signs links in this process now. ``Keyring`` says it, ``Delivery`` asks for each link."""

import logging
from dataclasses import dataclass

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.keys import RemoteKey
from graphql_api.signing import UnsignedUrl, UrlSigner, UrlWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """A key that is elsewhere, so that each signature is a request."""

    writer: UrlWriter
    key: RemoteKey

    async def signature(self, unsigned: UnsignedUrl) -> bytes:
        """Any number may be asked for at once. Raises: Unavailable: it is not to be had."""
        try:
            return await self.key.sign(unsigned.message)
        except ConfigurationError as error:  # a right or the key was taken away
            log.error("signing_key_refused key=%s error=%s", self.writer.key_pair_id, error.message)
            raise Unavailable("signing key") from None


LinkSigner = UrlSigner | RemoteSigner


class SignerInUse:
    """Looked at for each link, so it costs an attribute. Everything happens in one event loop."""

    def __init__(self, signer: LinkSigner | None = None, *, until: int | None = None) -> None:
        """``signer`` None: not known yet. ``until`` (seconds since 1970): no link may live longer, because the key may
        be taken away then; None for a key that is not.
        """
        self.here: UrlSigner | None = None
        self.elsewhere: RemoteSigner | None = None
        self.key_pair_id = ""
        self.until = until
        if signer is not None:
            self.use(signer, until=until)

    def use(self, signer: LinkSigner, *, until: int | None) -> None:
        """From now on."""
        if isinstance(signer, RemoteSigner):
            self.here, self.elsewhere, self.key_pair_id = None, signer, signer.writer.key_pair_id
        else:
            self.here, self.elsewhere, self.key_pair_id = signer, None, signer.key_pair_id
        self.until = until

    def stop(self) -> None:
        """No key signs from now on, until another is used."""
        self.here, self.elsewhere, self.key_pair_id, self.until = None, None, "", None

    def signer(self) -> UrlSigner:
        """That of a key that is here. Raises: Unavailable: there is none."""
        if self.here is None:
            raise Unavailable("signing key")
        return self.here
