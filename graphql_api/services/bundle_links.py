"""Links to a bundle: one signature that opens all of its entries, as an address, as parameters or as cookies."""

from urllib.parse import urlsplit

from graphql_api.errors import Conflict, Forbidden, InputFault, InvalidInput
from graphql_api.model.bundle import bundle_of, is_bundle_key
from graphql_api.model.delivery import BundleLink, CookieScope, Link, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, bundle_prefix
from graphql_api.model.principal import Permission, Principal
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.requirements import no_file
from graphql_api.services.revocations import Revocations


class BundleLinks:
    """``cookies``: where and how browsers keep the cookies."""

    def __init__(self, files: Files, delivery: Delivery, revocations: Revocations, *, cookies: CookieScope) -> None:
        self._files = files
        self._delivery = delivery
        self._revocations = revocations
        self.cookies = cookies

    async def sign(self, principal: Principal, file_id: FileId, wish: LinkWish) -> tuple[File, BundleLink]:
        """The bundle, and what opens all of its entries.

        Raises: InvalidInput: the file is no bundle, or the wish cannot be bound. NotFound. Forbidden: it may not be
        downloaded. Conflict: no link to it can be made on these terms. Unavailable.
        """
        file = (await self._files.find(principal, [file_id])).get(file_id)
        if file is None:
            raise no_file()
        if not is_bundle_key(file.object_key):
            raise InvalidInput(InputFault("this file is no bundle: it has links of its own", ("fileId",)))
        if (fault := self.fault(file)) is not None:
            raise Conflict(fault, path=("fileId",))
        grant = self._delivery.grant(file)
        if grant is None:
            raise Forbidden("this bundle may not be downloaded", required_permission=Permission.READ, path=("fileId",))
        return file, await self._signed(principal, grant, wish)

    async def _signed(self, principal: Principal, grant: ReadGrant, wish: LinkWish) -> BundleLink:
        grant = await self._revocations.named(principal, grant)
        if self._delivery.signs_here:
            return bundle_link(grant.file, self._delivery.sign([grant], wish)[0])
        [result] = await self._delivery.sign_page([(grant, wish)])
        if isinstance(result, BaseException):
            raise result
        return bundle_link(grant.file, result)

    def fault(self, file: File) -> str | None:
        """Why the one for whom it was found gets no link to a bundle although they may read it."""
        return None if file.terms is None else self._delivery.bundle_fault(file.terms, file)


def bundle_link(file: File, link: Link) -> BundleLink:
    """``link``: signed for ``file``, which is a bundle."""
    address, _, query = link.url.partition("?")
    base_url = address.removesuffix(file.object_key.removeprefix(bundle_prefix(bundle_of(file.id))))
    return BundleLink(base_url, urlsplit(base_url).path, link.url, query, link.expires_at, link.refresh_after)
