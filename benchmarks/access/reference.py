"""What everybody must see, found out by asking of each file; shares nothing with the product."""

from collections.abc import Sequence

from benchmarks.access.archive import Archive
from benchmarks.access.viewers import Viewer
from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.rule import Effect

ROOT = -1


def visible(archive: Archive, viewer: Viewer) -> Sequence[int]:
    """The files that the viewer may read, newest first: one pass over all there are."""
    if viewer.is_admin:
        return archive.newest_first
    allowed, denied = viewer.named(Effect.ALLOW), viewer.named(Effect.DENY)
    in_allowed, in_denied = _below(archive, allowed), _below(archive, denied)
    found = []
    for number in archive.newest_first:
        folder = archive.folder_of[number]
        names = (archive.file_ids[number], *archive.labels_of.get(number, ()))
        if in_denied[folder] or not denied.isdisjoint(names):
            continue
        if archive.owner_of[number] == viewer.user or in_allowed[folder] or not allowed.isdisjoint(names):
            found.append(number)
    return found


def _below(archive: Archive, named: frozenset[str]) -> Sequence[bool]:
    """For each folder: whether it or one above it is among ``named``. A folder comes after its parent."""
    found: list[bool] = []
    at_root = ROOT_FOLDER_ID in named
    for folder in archive.folders:
        above = at_root if folder.parent == ROOT else found[folder.parent]
        found.append(above or folder.id in named)
    return found
