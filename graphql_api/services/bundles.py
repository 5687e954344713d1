"""Bundles: many objects that are one file. They are promised together; each entry is an upload, and the last that is in
makes the file (``Settling``). If one of them cannot be, none is (``Upkeep.end``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import bundles, files, folders, idempotency, reservations, rules, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Forbidden, NotFound
from graphql_api.model.bundle import Bundle, BundleEntry, BundleStatus, bundle_of, entry_key
from graphql_api.model.ids import (
    ROOT_FOLDER_ID,
    BundleId,
    FileId,
    FolderId,
    UserId,
    new_bundle_id,
    new_file_id,
    new_upload_id,
)
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import OnConflict, Upload, UploadStatus, file_of
from graphql_api.services.accounts import Accounts
from graphql_api.services.admission import Admission
from graphql_api.services.bundle_wishes import BundleWish, CheckedBundle, checked_bundle
from graphql_api.services.clock import Clock
from graphql_api.services.naming import taken
from graphql_api.services.requirements import no_file, require
from graphql_api.services.standings import Standings
from graphql_api.services.upload_wishes import UploadLimits
from graphql_api.services.uploads import FIRST_LOOK


class Bundles:
    """Use cases of bundles, promised or whole. A whole one is moved, ruled and deleted as the file that it is."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        accounts: Accounts,
        clock: Clock,
        limits: UploadLimits,
        admission: Admission,
    ) -> None:
        self._database = database
        self._standings = standings
        self._accounts = accounts
        self._clock = clock
        self._limits = limits
        self._admission = admission

    async def create(self, principal: Principal, wish: BundleWish) -> tuple[BundleId, Sequence[Upload]]:
        """Promise a bundle: an upload for each entry, in the order of the wish. Room for all is reserved. Of a wish
        that is made again with the same idempotency key, the bundle and its uploads as they are by now.

        Raises: InvalidInput: also what a gate does not take. Forbidden: nobody is signed in, or WRITE is missing on the
        folder. NotFound: no such folder for ``principal``. Conflict: the name is taken, or the key was used for another
        wish. QuotaExceeded. Unavailable.
        """
        checked = checked_bundle(wish, self._limits)
        if wish.idempotency_key is not None:
            idempotency.require_key(wish.idempotency_key)
        if principal.user_id is None:
            raise Forbidden("sign in to upload", required_permission=Permission.WRITE)
        owner_id = principal.user_id
        folder_id = wish.folder_id or await self._accounts.find_home(principal) or ROOT_FOLDER_ID
        bundle = self._promised(wish, checked, owner_id, folder_id)
        async with self._database.transaction() as connection:
            if wish.idempotency_key is not None:
                known = await self._known(connection, bundle, wish, wish.idempotency_key)
                if known is not None:
                    found = {each.filename: each for each in await uploads.find_entry_uploads(connection, known)}
                    return known, [found[each.path] for each in wish.entries]
            await rules.hold_version(connection)  # so that the folder stays where it is
            standing = await self._standings.of(connection, principal)
            await self._require_place(connection, standing, bundle, folder_id)
            await bundles.insert_bundle(connection, bundle)
            promised = self._uploads(bundle, checked, is_admin=principal.is_admin)
            await reservations.insert_uploads(connection, promised, look_at=bundle.created_at + FIRST_LOOK)
            await self._admission.reserve_bundle(connection, standing, bundle, promised)
        return bundle.id, promised

    def _promised(self, wish: BundleWish, checked: CheckedBundle, owner_id: UserId, folder_id: FolderId) -> Bundle:
        now = self._clock()
        return Bundle(
            id=new_bundle_id(now),
            owner_id=owner_id,
            folder_id=folder_id,
            name=checked.name,
            main_path=wish.main_path,
            size=checked.size,
            content_type=checked.content_type,
            on_conflict=wish.on_conflict,
            entry_count=len(checked.entries),
            missing=len(checked.entries),
            status=BundleStatus.PENDING,
            created_at=now,
        )

    async def _known(self, connection: AsyncConnection, bundle: Bundle, wish: BundleWish, key: str) -> BundleId | None:
        """What was promised with this key before; else ``bundle`` will be found by it. Two that ask at once wait for
        each other here.
        """
        asked = idempotency.fingerprint_of("createBundle", asdict(replace(wish, idempotency_key=None)))
        owner_id, now = bundle.owner_id, bundle.created_at
        while not await idempotency.claim(connection, owner_id, key, asked, bundle.id, now):
            promised = await idempotency.remembered(connection, owner_id, key, asked)
            if promised is not None:  # else it has just been swept
                return BundleId(promised)
        return None

    async def _require_place(
        self, connection: AsyncConnection, standing: Standing, bundle: Bundle, folder_id: FolderId
    ) -> None:
        """Like that of an upload, its name is not taken before it is a file. Raises: NotFound, Forbidden, Conflict."""
        place = await folders.lock_folder(connection, standing, folder_id)
        if place is None:
            raise NotFound("no such folder", path=("folderId",))
        require(standing, Permission.WRITE, place.scopes, "folderId")
        if bundle.on_conflict is OnConflict.FAIL and await folders.find_entry(connection, folder_id, bundle.name):
            raise await taken(connection, standing, folder_id, bundle.name, "name")

    def _uploads(self, bundle: Bundle, checked: CheckedBundle, *, is_admin: bool) -> Sequence[Upload]:
        now = bundle.created_at
        return [
            Upload(
                id=new_upload_id(now),
                owner_id=bundle.owner_id,
                folder_id=bundle.folder_id,
                file_id=new_file_id(now),
                filename=each.wish.filename,
                size=each.wish.size,
                content_type=each.wish.content_type,
                sha256=each.wish.sha256,
                crc64nvme=each.wish.crc64nvme,
                method=each.method,
                part_size=each.part_size,
                store_upload_id=None,
                object_key=entry_key(bundle.id, each.wish.filename),
                on_conflict=bundle.on_conflict,
                replaces=None,
                by_admin=is_admin,
                status=UploadStatus.PENDING,
                failure=None,
                created_at=now,
                updated_at=now,
                expires_at=now + self._limits.upload_lifetime,
                bundle_id=bundle.id,
            )
            for each in checked.entries
        ]

    async def find(self, principal: Principal, file_ids: Sequence[FileId]) -> Mapping[FileId, Bundle]:
        """Those of these files that are bundles and that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            seen = await files.find_scopes(connection, await self._standings.of(connection, principal), file_ids)
            return await bundles.find_bundles(connection, list(seen))

    async def list_entries(self, principal: Principal, bundle_id: BundleId, request: PageRequest) -> Page[BundleEntry]:
        """The entries of a whole bundle, in order of path.

        Raises: NotFound: no such bundle for ``principal``. InvalidInput: a foreign cursor. Unavailable.
        """
        file_id = file_of(bundle_id)
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            if file_id not in await files.find_files(connection, standing, [file_id]):
                raise no_file()
            return await bundles.list_entries(connection, bundle_of(file_id), request)
