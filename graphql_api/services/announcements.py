"""What changes tell those who watch: one call inside the transaction that makes the change."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.files import LockedFile
from graphql_api.db.signals import announce
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId, UploadId, UserId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, AccessRule, Effect, is_label
from graphql_api.model.signal import (
    Departed,
    EntryChanged,
    FolderChange,
    FolderGone,
    KeysChanged,
    UploadChanged,
    label_tag,
)

MAX_NAMED: Final = 100  # subjects that were allowed, and that were denied, in one signal; it has to fit into a NOTIFY


def upload_changed(connection: AsyncConnection, *upload_ids: UploadId) -> None:
    """These uploads have another status."""
    announce(connection, *map(UploadChanged, upload_ids))


def file_created(connection: AsyncConnection, file: File) -> None:
    announce(connection, EntryChanged(FolderChange.CREATED, file.folder_id, file.id))


def file_updated(connection: AsyncConnection, file: File) -> None:
    """Its name, type, labels, metadata or bytes are others."""
    announce(connection, EntryChanged(FolderChange.UPDATED, file.folder_id, file.id))


def bytes_withheld(connection: AsyncConnection, file_id: FileId, folder_id: FolderId) -> None:
    """Nobody gets a link to those that the file has, or to those of one of its versions, any more; or they do again."""
    announce(connection, EntryChanged(FolderChange.UPDATED, folder_id, file_id))


def publication_changed(connection: AsyncConnection, file_id: FileId, folder_id: FolderId) -> None:
    """Its address for everybody has come or gone."""
    announce(connection, EntryChanged(FolderChange.UPDATED, folder_id, file_id))


def file_moved(connection: AsyncConnection, locked: LockedFile, folder_id: FolderId) -> None:
    """``locked``: as it was before."""
    file = locked.file
    _announce_move(connection, file.id, file.folder_id, folder_id, Departed(file.owner_id, _labels(locked)))


def files_deleted(connection: AsyncConnection, going: Iterable[LockedFile], gone: Iterable[AccessRule]) -> None:
    """``gone``: the rules about these files, which went with them."""
    rules: dict[str, list[AccessRule]] = {}
    for rule in gone:
        rules.setdefault(rule.terms.resource, []).append(rule)
    for locked in going:
        file = locked.file
        departed = _departed(file.owner_id, rules.get(file.id, ()), _labels(locked))
        announce(connection, EntryChanged(FolderChange.DELETED, file.folder_id, file.id, departed))


def folder_created(connection: AsyncConnection, folder: Folder, parent_id: FolderId) -> None:
    announce(connection, EntryChanged(FolderChange.CREATED, parent_id, folder.id))


def folder_renamed(connection: AsyncConnection, folder: Folder, parent_id: FolderId) -> None:
    announce(connection, EntryChanged(FolderChange.UPDATED, parent_id, folder.id))


def folder_moved(connection: AsyncConnection, folder: Folder, old_parent_id: FolderId, parent_id: FolderId) -> None:
    _announce_move(connection, folder.id, old_parent_id, parent_id, Departed(folder.owner_id))


def folder_deleted(
    connection: AsyncConnection,
    folder: Folder,
    parent_id: FolderId,
    below: Iterable[FolderId],
    gone: Iterable[AccessRule],
) -> None:
    """With all that was in it, which nobody is told one by one. ``below``: all folders that went, itself among them;
    ``gone``: the rules that went with them.
    """
    departed = _departed(folder.owner_id, [rule for rule in gone if rule.terms.resource == str(folder.id)])
    announce(connection, EntryChanged(FolderChange.DELETED, parent_id, folder.id, departed), *map(FolderGone, below))


def keys_changed(connection: AsyncConnection) -> None:
    """The keyring is another: every process that signs looks at it."""
    announce(connection, KeysChanged())


def _announce_move(
    connection: AsyncConnection,
    entry_id: FileId | FolderId,
    old_folder_id: FolderId,
    folder_id: FolderId,
    departed: Departed,
) -> None:
    """The rules about the thing go on, and so are not told."""
    announce(
        connection,
        EntryChanged(FolderChange.MOVED_OUT, old_folder_id, entry_id, departed),
        EntryChanged(FolderChange.MOVED_IN, folder_id, entry_id),
    )


def _departed(owner_id: UserId | None, gone: Iterable[AccessRule], labels: frozenset[str] = frozenset()) -> Departed:
    about_reading = [rule.terms for rule in gone if Permission.READ in rule.terms.permissions]
    denied = frozenset(terms.subject for terms in about_reading if terms.effect is Effect.DENY)
    allowed = frozenset(
        terms.subject
        for terms in about_reading
        if terms.effect is Effect.ALLOW and terms.starts_at is None and terms.ends_at is None and not terms.ip_ranges
    )
    if len(denied) > MAX_NAMED:
        denied = frozenset({ANYONE})
    return Departed(owner_id, labels, allowed if len(allowed) <= MAX_NAMED else frozenset(), denied)


def _labels(locked: LockedFile) -> frozenset[str]:
    return frozenset(label_tag(scope) for scope in locked.scopes if is_label(scope))
