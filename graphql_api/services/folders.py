"""The one tree: its shape, and how each principal sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import (
    audit,
    bundles,
    files,
    folder_lists,
    folders,
    revocations,
    rules,
    scopes,
    share_links,
    uploads,
    usage,
    versions,
)
from graphql_api.db.engine import Database
from graphql_api.db.folders import PlacedFolder, scopes_of
from graphql_api.errors import Conflict, Forbidden, InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, new_folder_id
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import OnConflict
from graphql_api.services.admission import Admission
from graphql_api.services.announcements import (
    folder_created,
    folder_deleted,
    folder_moved,
    folder_renamed,
    upload_changed,
)
from graphql_api.services.clock import Clock
from graphql_api.services.naming import checked_name, claim
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.requirements import chains_in, require, require_to_refile
from graphql_api.services.rule_json import rules_gone
from graphql_api.services.share_links import links_gone
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep

MAX_DEPTH: Final = 64  # folders below the root
MAX_DELETED: Final = 10_000  # files, and folders, that one deletion takes along


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder stands as its viewer sees it: ``parent`` is None and ``path`` begins at the topmost folder
    that the viewer may see, so that a path never tells the name of a hidden folder.
    """

    path: str
    parent: Folder | None


class Folders:
    """Every method sees only what the principal may see: hidden and absent folders look alike."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        upkeep: Upkeep,
        clock: Clock,
        admission: Admission,
        copies: PublishedCopies,
    ) -> None:
        self._database = database
        self._standings = standings
        self._upkeep = upkeep
        self._clock = clock
        self._admission = admission
        self._copies = copies

    async def find(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, Folder]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await folders.find_folders(connection, await self._standings.of(connection, principal), ids)

    async def list_subfolders(self, principal: Principal, parent_id: FolderId, request: PageRequest) -> Page[Folder]:
        """Folders directly below, by name. Raises: InvalidInput for a foreign cursor, Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await folder_lists.list_subfolders(connection, standing, parent_id, request)

    async def list_top(self, principal: Principal, request: PageRequest) -> Page[Folder]:
        """The topmost folders that the principal may see, by name. Raises: InvalidInput, Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await folder_lists.list_top_folders(connection, standing, request)

    async def find_by_path(self, principal: Principal, names: Sequence[str]) -> Folder | None:
        """The folder at a path as the principal sees it; the root, if visible, for no names. Raises: Unavailable."""
        if len(names) > MAX_DEPTH:
            return None
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            root = await folders.find_folders(connection, standing, [ROOT_FOLDER_ID])
            if root:
                return await _descend(connection, standing, root[ROOT_FOLDER_ID], names)
            for top in await folder_lists.find_top_folders(connection, standing, name_key(names[0])) if names else ():
                found = await _descend(connection, standing, top, names[1:])
                if found is not None:
                    return found
        return None

    async def places(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, Place]:
        """Where each folder stands, for one page of files or folders in one statement. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            ancestry = await folders.list_ancestry(connection, ids)
        return {folder_id: _place(standing, chain) for folder_id, chain in ancestry.items()}

    async def create(self, principal: Principal, parent_id: FolderId, name: str) -> Folder:
        """A folder of the principal in ``parent_id``.

        Raises: InvalidInput: a bad name, or too deep. NotFound: no such parent. Forbidden: WRITE is missing there.
        Conflict: the name is taken. Unavailable.
        """
        name = _checked(name)
        now = self._clock()
        folder = Folder(new_folder_id(now), parent_id, principal.user_id, name, now, now)
        async with self._database.transaction() as connection:
            await rules.note_new_folder(connection)
            standing = await self._standings.of(connection, principal)
            parent = await folders.lock_folder(connection, standing, parent_id)
            if parent is None:
                raise NotFound("no such folder", path=("parentId",))
            require(standing, Permission.WRITE, parent.scopes, "parentId")
            if len(parent.chain) > MAX_DEPTH:
                raise InvalidInput(InputFault(f"folders can be at most {MAX_DEPTH} deep", ("parentId",)))
            await claim(connection, standing, parent_id, name, folder.id, OnConflict.FAIL, field="name")
            await folders.insert_folder(connection, folder)
            folder_created(connection, folder, parent_id)
        return folder

    async def rename(self, principal: Principal, folder_id: FolderId, name: str) -> Folder:
        """Raises: InvalidInput: a bad name, or the root. NotFound. Forbidden: WRITE is missing. Conflict: the name is
        taken. Unavailable.
        """
        name = _checked(name)
        async with self._database.transaction() as connection:
            await folders.lock_tree(connection)
            standing = await self._standings.of(connection, principal)
            found, parent_id = await self._changeable(connection, standing, folder_id, Permission.WRITE)
            await folders.release_names(connection, [folder_id])
            await claim(connection, standing, parent_id, name, folder_id, OnConflict.FAIL, field="name")
            folder_renamed(connection, found.folder, parent_id)
            return await folders.update_folder(connection, found.folder.id, now=self._clock(), name=name)

    async def move(self, principal: Principal, folder_id: FolderId, parent_id: FolderId) -> Folder:
        """Put a folder with all below into another. That is sharing: what others would gain is the principal's to give.

        Raises: InvalidInput: the root, into itself, too deep, or a gate there does not take what is below. NotFound:
        the folder or the parent. Forbidden: WRITE on the folder or the parent is missing, or SHARE. Conflict: the name
        is taken there. QuotaExceeded. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.bump_version(connection)  # remembered rules know the chains of folders
            await folders.lock_tree(connection)
            standing = await self._standings.of(connection, principal)
            found, old_parent_id = await self._changeable(connection, standing, folder_id, Permission.WRITE)
            parent = await folders.lock_folder(connection, standing, parent_id)
            if parent is None:
                raise NotFound("no such folder", path=("parentId",))
            require(standing, Permission.WRITE, parent.scopes, "parentId")
            if parent_id == old_parent_id:
                return found.folder
            if folder_id in parent.chain:
                raise InvalidInput(InputFault("a folder cannot be moved into itself", ("parentId",)))
            below = await folders.list_subtree(connection, found)
            if len(parent.chain) + max(each.depth for each in below.values()) > MAX_DEPTH:
                raise InvalidInput(InputFault(f"folders can be at most {MAX_DEPTH} deep", ("parentId",)))
            chain = (folder_id, *parent.chain)
            await require_to_refile(
                connection,
                standing,
                folder_id,
                before=frozenset(found.chain),  # its owner does not own what others keep inside
                after=frozenset(chain),
                chains=chains_in(found.chain),
                now=now,
                path="parentId",
            )
            await folders.release_names(connection, [folder_id])
            await claim(
                connection, standing, parent_id, found.folder.name, folder_id, OnConflict.FAIL, field="parentId"
            )
            moved = await folders.update_folder(connection, folder_id, now=now, parent_id=parent_id)
            await scopes.refile_below(connection, folder_id, found.chain, chain)
            await revocations.note_move(connection, folder_id, now=now)
            event = audit_event(
                principal,
                AuditAction.FOLDER_MOVED,
                folder_id,
                now=now,
                before={"parentId": old_parent_id},
                after={"parentId": parent_id},
            )
            await audit.insert_events(connection, [event])
            folder_moved(connection, found.folder, old_parent_id, parent_id)
            lost = await self._copies.review_below(connection, principal, folder_id, now)
            await self._admission.move_folder(connection, standing, found.chain, chain)
        await self._copies.remove(lost)
        return moved

    async def delete(self, principal: Principal, folder_id: FolderId, *, is_recursive: bool = False) -> FolderId:
        """Delete a folder with the rules about it; with ``is_recursive`` all below as well. Pending uploads into it are
        aborted.

        Raises: InvalidInput: the root. NotFound. Forbidden: DELETE is missing on the folder, or something below is
        hidden or may not be deleted. Conflict: not empty, or too much below. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            # Rules about what goes will go too, and nothing can be put in meanwhile.
            await rules.bump_version(connection)
            await folders.lock_tree(connection)
            standing = await self._standings.of(connection, principal)
            found, parent_id = await self._changeable(connection, standing, folder_id, Permission.DELETE)
            limit = MAX_DELETED + 1 if is_recursive else 1
            subtree = await folders.list_subtree(connection, found, limit=limit)
            ids = list(subtree)
            await folders.lock_folders(connection, ids)
            aborted = await uploads.abort_uploads_into(connection, ids, now=now)  # they may have names in it
            if not is_recursive and await folders.has_entries(connection, folder_id):
                raise Conflict("the folder is not empty", conflicting_id=folder_id, path=("isRecursive",))
            below = await files.lock_files_in(connection, ids, limit=MAX_DELETED + 1)
            if len(ids) > MAX_DELETED or len(below) > MAX_DELETED:
                raise Conflict(f"more than {MAX_DELETED} files or folders: delete in portions", path=("folderId",))
            for within in (*(each.scopes for each in subtree.values()), *(within for _, within in below)):
                if not (standing.may(Permission.READ, within) and standing.may(Permission.DELETE, within)):
                    raise Forbidden(
                        "something below may not be deleted", required_permission=Permission.DELETE, path=("folderId",)
                    )
            file_ids = [file_id for file_id, *_ in below]
            remains = [Remains(key) for key in await versions.list_keys(connection, file_ids)]
            aborted = {**aborted, **await uploads.abort_uploads_for(connection, file_ids, now=now)}
            remains += aborted.values()
            whole = await bundles.delete_bundles(connection, file_ids, now=now)
            less = [*await usage.of_ended(connection, aborted), *await usage.of_going(connection, file_ids)]
            await folders.release_names(connection, file_ids)
            links = await share_links.delete_links_on(connection, [*file_ids, *ids])
            gone = await files.delete_files(connection, file_ids)
            gone += await folders.delete_folders(connection, ids)
            before = {
                "name": found.folder.name,
                "parentId": parent_id,
                "ownerId": found.folder.owner_id,
                "folders": len(ids),
                "files": len(file_ids),
            }
            event = audit_event(principal, AuditAction.FOLDER_DELETED, folder_id, now=now, before=before)
            events = [event, *rules_gone(principal, gone, now), *links_gone(principal, links, now)]
            await audit.insert_events(connection, events)
            await self._upkeep.schedule_removal(connection, remains)
            remains += await self._copies.withdraw_all(connection, principal, file_ids, now)
            upload_changed(connection, *aborted)
            folder_deleted(connection, found.folder, parent_id, ids, gone)
            # The folders that counted it are gone as well, but those above this one are not.
            await usage.count_all(connection, [replace(change, folder_id=parent_id) for change in less])
        await self._upkeep.remove(remains, whole)
        return folder_id

    async def _changeable(
        self, connection: AsyncConnection, standing: Standing, folder_id: FolderId, permission: Permission
    ) -> tuple[PlacedFolder, FolderId]:
        """The folder and its parent. Raises: NotFound, InvalidInput for the root, Forbidden."""
        found = (await folders.find_placed(connection, standing, [folder_id])).get(folder_id)
        if found is None:
            raise NotFound("no such folder", path=("folderId",))
        if found.folder.parent_id is None:
            raise InvalidInput(InputFault("the root can be neither renamed, moved nor deleted", ("folderId",)))
        require(standing, permission, found.scopes, "folderId")
        return found, found.folder.parent_id


def _place(standing: Standing, chain: Sequence[Folder]) -> Place:
    visible: list[Folder] = []
    for height, folder in enumerate(chain):
        within = scopes_of((above.id for above in chain[height:]), folder.owner_id)
        if not standing.may(Permission.READ, within):
            break
        visible.append(folder)
    names = [folder.name for folder in reversed(visible) if folder.id != ROOT_FOLDER_ID]
    return Place("/" + "/".join(names), visible[1] if len(visible) > 1 else None)


async def _descend(
    connection: AsyncConnection, standing: Standing, folder: Folder, names: Sequence[str]
) -> Folder | None:
    here: Folder | None = folder
    for name in names:
        if here is None:
            return None
        here = await folders.find_child_folder(connection, standing, here.id, name_key(name))
    return here


def _checked(name: str) -> str:
    faults: list[InputFault] = []
    name = checked_name(name, "name", faults)
    if faults:
        raise InvalidInput(*faults)
    return name
