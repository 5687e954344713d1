"""What changes tell those who watch: one call inside the transaction that makes the change."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.files import LockedFile
from graphql_api.db.signals import announce
from graphql_api.model.file import File
from graphql_api.model.ids import FolderId, UploadId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, AccessRule, Effect, is_label
from graphql_api.model.signal import Departed, FileChanged, FolderChange, FolderGone, UploadChanged, label_tag

MAX_DENIED: Final = 100  # subjects that one signal names; it has to fit into a NOTIFY


def upload_changed(connection: AsyncConnection, *upload_ids: UploadId) -> None:
    """These uploads have another status."""
    announce(connection, *map(UploadChanged, upload_ids))


def file_created(connection: AsyncConnection, file: File) -> None:
    announce(connection, FileChanged(FolderChange.CREATED, file.folder_id, file.id))


def file_updated(connection: AsyncConnection, file: File) -> None:
    """Its name, type, labels, metadata or bytes are others."""
    announce(connection, FileChanged(FolderChange.UPDATED, file.folder_id, file.id))


def file_moved(connection: AsyncConnection, locked: LockedFile, folder_id: FolderId) -> None:
    """``locked``: as it was before."""
    file = locked.file
    announce(
        connection,
        FileChanged(FolderChange.MOVED_OUT, file.folder_id, file.id, _departed(locked, ())),
        FileChanged(FolderChange.MOVED_IN, folder_id, file.id),
    )


def files_deleted(connection: AsyncConnection, going: Iterable[LockedFile], gone: Iterable[AccessRule]) -> None:
    """``gone``: the rules about these files, which went with them."""
    denials: dict[str, set[str]] = {}
    for rule in gone:
        if rule.terms.effect is Effect.DENY and Permission.READ in rule.terms.permissions:
            denials.setdefault(rule.terms.resource, set()).add(rule.terms.subject)
    announce(
        connection,
        *(
            FileChanged(
                FolderChange.DELETED,
                locked.file.folder_id,
                locked.file.id,
                _departed(locked, denials.get(locked.file.id, ())),
            )
            for locked in going
        ),
    )


def folders_deleted(connection: AsyncConnection, folder_ids: Iterable[FolderId]) -> None:
    """With all that was in them, which nobody is told one by one."""
    announce(connection, *map(FolderGone, folder_ids))


def _departed(locked: LockedFile, denied_to: Iterable[str]) -> Departed:
    labels = frozenset(label_tag(scope) for scope in locked.scopes if is_label(scope))
    denied = frozenset(denied_to)
    return Departed(locked.file.owner_id, labels, denied if len(denied) <= MAX_DENIED else frozenset({ANYONE}))
