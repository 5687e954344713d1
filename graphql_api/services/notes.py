"""What people note about files: labels, which rules can name, and metadata, which they cannot; checked and bounded."""

from collections.abc import Collection, Mapping, Sequence

from graphql_api.db import audit, files, notes, rules, scopes
from graphql_api.db.engine import Database
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import File
from graphql_api.model.ids import FileId
from graphql_api.model.labels import (
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_METADATA,
    metadata_key_fault,
    metadata_value_fault,
    normalized_label,
)
from graphql_api.model.principal import Principal
from graphql_api.model.rule import LABEL_PREFIX, is_label, label_scope
from graphql_api.services.announcements import file_updated
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.requirements import lock_writable, require_to_refile
from graphql_api.services.standings import Standings


class Notes:
    """Every method sees only files that the principal may see: hidden and absent files look alike."""

    def __init__(self, database: Database, standings: Standings, clock: Clock, copies: PublishedCopies) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock
        self._copies = copies

    async def change_labels(
        self, principal: Principal, file_id: FileId, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> File:
        """Put labels on a file and take others off. Rules can name labels, so that this is sharing, like a move.

        Raises: InvalidInput: what is no label, or too many. NotFound. Forbidden: WRITE is missing, or SHARE.
        Unavailable.
        """
        wanted, unwanted = _checked_labels(add, remove)
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.hold_version(connection)
            standing = await self._standings.of(connection, principal)
            locked = await lock_writable(connection, standing, file_id)
            old = frozenset(scope.removeprefix(LABEL_PREFIX) for scope in locked.scopes if is_label(scope))
            new = old - unwanted | wanted
            _require_room_for_labels(len(new))
            if new == old:
                return locked.file
            await require_to_refile(
                connection,
                standing,
                file_id,
                before=locked.scopes,
                after=locked.scopes.difference(map(label_scope, old - new)).union(map(label_scope, new)),
                chains={},
                now=now,
                path="fileId",
            )
            await scopes.change_labels(connection, locked.file, add=new - old, remove=old - new)
            event = audit_event(
                principal,
                AuditAction.LABELS_CHANGED,
                file_id,
                now=now,
                before={"labels": sorted(old)},
                after={"labels": sorted(new)},
            )
            await audit.insert_events(connection, [event])
            file_updated(connection, locked.file)
            lost = await self._copies.review(connection, principal, [file_id], now)
            changed = await files.update_file(connection, standing, file_id, now=now)
        await self._copies.remove(lost)
        return changed

    async def change_metadata(
        self, principal: Principal, file_id: FileId, set: Mapping[str, str], remove: Collection[str] = ()
    ) -> File:
        """Note ``set`` about a file and forget what is noted under the keys of ``remove``.

        Raises: InvalidInput: what is no key or value, or too many. NotFound. Forbidden: WRITE is missing. Unavailable.
        """
        _check_metadata(set, remove)
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            locked = await lock_writable(connection, standing, file_id)
            old = (await notes.metadata_of(connection, [file_id]))[file_id]
            new = {key: value for key, value in old.items() if key not in remove} | dict(set)
            _require_room_for_metadata(len(new))
            if new == old:
                return locked.file
            await notes.change_metadata(connection, file_id, set=set, remove=remove)
            file_updated(connection, locked.file)
            return await files.update_file(connection, standing, file_id, now=self._clock())

    async def labels(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, Sequence[str]]:
        """The labels, in order, of those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            found = await files.find_scopes(connection, await self._standings.of(connection, principal), ids)
        return {
            id_: tuple(sorted(scope.removeprefix(LABEL_PREFIX) for scope in within if is_label(scope)))
            for id_, within in found.items()
        }

    async def metadata(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, Mapping[str, str]]:
        """What is noted about those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            visible = await files.find_scopes(connection, await self._standings.of(connection, principal), ids)
            found = await notes.metadata_of(connection, ids)
        return {id_: found[id_] for id_ in visible}


def _checked_labels(add: Collection[str], remove: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Both as labels are kept. Raises: InvalidInput."""
    faults: list[InputFault] = []
    kept: dict[str, frozenset[str]] = {}
    for field, labels in (("add", add), ("remove", remove)):
        found = [normalized_label(label) for label in labels]
        fault = f"a label is 1 to {MAX_LABEL_LENGTH} letters and digits, with spaces and . : / + - _ between them"
        faults += [InputFault(fault, (field, str(index))) for index, label in enumerate(found) if label is None]
        kept[field] = frozenset(label for label in found if label is not None)
    if kept["add"] & kept["remove"]:
        faults.append(InputFault("a label cannot be both added and removed", ("remove",)))
    if faults:
        raise InvalidInput(*faults)
    return kept["add"], kept["remove"]


def _require_room_for_labels(number: int) -> None:
    """Raises: InvalidInput when a file cannot have that many."""
    if number > MAX_LABELS:
        raise InvalidInput(InputFault(f"a file has at most {MAX_LABELS} labels", ("add",)))


def _check_metadata(set_: Mapping[str, str], remove: Collection[str]) -> None:
    """Raises: InvalidInput."""
    faults = [(metadata_key_fault(key) or metadata_value_fault(value), "set") for key, value in set_.items()]
    faults += [(metadata_key_fault(key), "remove") for key in remove]
    if not set_.keys().isdisjoint(remove):
        faults.append(("a key cannot be both set and removed", "remove"))
    found = [InputFault(fault, (field,)) for fault, field in faults if fault is not None]
    if found:
        raise InvalidInput(*found)


def _require_room_for_metadata(number: int) -> None:
    """Raises: InvalidInput when a file cannot have that many pairs."""
    if number > MAX_METADATA:
        raise InvalidInput(InputFault(f"a file has at most {MAX_METADATA} pairs of metadata", ("set",)))
