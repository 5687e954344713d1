"""Changing the keyring: keys come, take over from each other, and go. For administrators, and for who runs commands
beside the database: there the principal is None, nobody is asked for permission, and to the audit log it is the system.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, idempotency, rules, signing_keys
from graphql_api.db.engine import Database
from graphql_api.errors import ConfigurationError, Conflict, InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.ids import SigningKeyId, new_signing_key_id
from graphql_api.model.principal import Principal
from graphql_api.model.signing_key import HashAlgorithm, KeyEntry, KeyReference, KeyStatus
from graphql_api.services.announcements import keys_changed
from graphql_api.services.canary import Canary
from graphql_api.services.clock import Clock
from graphql_api.services.key_loading import KeyLoader, LoadedKey
from graphql_api.services.keyring import last_end
from graphql_api.services.people import require_admin
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn

log = logging.getLogger(__name__)

MAX_REASON: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class Rotation:
    """``active`` signs; ``retiring`` did before. It is RETIRED already after an immediate rotation."""

    active: KeyEntry
    retiring: KeyEntry | None


class SigningKeys:
    """Every method raises ``Forbidden`` for a principal who is no administrator, and ``Unavailable``."""

    def __init__(
        self, database: Database, standings: Standings, clock: Clock, loader: KeyLoader, canary: Canary
    ) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock
        self._loader = loader
        self._canary = canary

    async def list(self, principal: Principal | None) -> Sequence[KeyEntry]:
        """All of them, the oldest first."""
        async with self._database.autocommit() as connection:
            await self._require_admin(connection, principal)
            return await signing_keys.list_keys(connection)

    async def find(self, principal: Principal, ids: Sequence[SigningKeyId]) -> Mapping[SigningKeyId, KeyEntry]:
        """Those of ``ids`` that there are; none for who is no administrator."""
        async with self._database.autocommit() as connection:
            if not (await self._standings.of(connection, principal)).is_admin:
                return {}
            return await signing_keys.find_keys(connection, ids)

    async def add(
        self, principal: Principal | None, key_pair_id: str, reference: KeyReference, hash_algorithm: HashAlgorithm
    ) -> KeyEntry:
        """A PENDING key, whose private part is at ``reference`` for every process.

        Raises: InvalidInput: no such place can be. ConfigurationError: what is there cannot sign. Conflict: the id is
        known.
        """
        if (fault := reference.fault()) is not None:
            raise InvalidInput(InputFault(fault))
        async with self._database.autocommit() as connection:
            await self._require_admin(connection, principal)
        loaded = await self._loader.load(key_pair_id, reference, hash_algorithm)
        now = self._clock()
        entry = KeyEntry(
            id=new_signing_key_id(now),
            key_pair_id=key_pair_id,
            reference=reference,
            hash_algorithm=hash_algorithm,
            public_pem=loaded.public_pem,
            status=KeyStatus.PENDING,
            longest_lifetime=0,
            created_at=now,
        )
        async with self._database.transaction() as connection:
            if not await signing_keys.insert_key(connection, entry):
                raise Conflict(f"a key {key_pair_id} has been added before")
            after = {"keyPairId": key_pair_id, "status": entry.status.value}
            await _record(connection, principal, AuditAction.KEY_ADDED, entry, now, after=after)
        return entry

    async def rotate(
        self,
        principal: Principal | None,
        key: SigningKeyId | str | None = None,
        *,
        reason: str,
        is_immediate: bool = False,
        idempotency_key: str | None = None,
    ) -> Rotation:
        """Let a PENDING key sign, once the edge has let it through; links of the one before live until they end, or,
        ``is_immediate``, as long as the edge knows it. ``key``: its id or key pair id; None: the only PENDING one.
        Nothing is done for a key that signs already.

        Raises: NotFound, InvalidInput. EdgeRefused: the edge does not know the key. Conflict: there is no such key, or
        more than one, or its private part cannot be had, or there is nothing to try it on; or others have just rotated;
        or, ``is_immediate``, it signs already while others are RETIRING, and which of these are to break is not known.
        """
        reason = _checked_reason(reason)
        asked = {"key": key, "isImmediate": is_immediate, "reason": reason}
        memory = _Memory(principal, idempotency_key, asked)
        async with self._database.autocommit() as connection:
            await self._require_admin(connection, principal)
            if (answer := await memory.recall(connection)) is not None:
                return answer
            entries = await signing_keys.list_keys(connection)
        wanted = _wanted(entries, key)
        before = next((entry for entry in entries if entry.status is KeyStatus.ACTIVE), None)
        if wanted.status is KeyStatus.ACTIVE:
            if is_immediate:
                _require_none_retiring(entries, wanted)
            return Rotation(wanted, None)
        if wanted.status is not KeyStatus.PENDING:
            raise Conflict(f"key {wanted.key_pair_id} is {wanted.status}, and does not come back")
        await self._canary.try_key(wanted.key_pair_id, await self._load(wanted))
        async with self._database.transaction() as connection:
            await rules.lock_version(connection)  # one after the other, so that the log tells them in order
            if (answer := await memory.recall(connection)) is not None:
                return answer
            now = self._clock()
            rotation = await _take_over(connection, before, wanted, now, is_immediate=is_immediate)
            await _record(
                connection,
                principal,
                AuditAction.KEY_ROTATED,
                rotation.active,
                now,
                before=None if rotation.retiring is None else {"keyPairId": rotation.retiring.key_pair_id},
                after={"keyPairId": wanted.key_pair_id, "isImmediate": is_immediate, "reason": reason},
            )
            await memory.keep(connection, rotation, now)
        return rotation

    async def retire(
        self, principal: Principal | None, key_pair_id: str, *, reason: str, is_immediate: bool = False
    ) -> KeyEntry:
        """Take a key out of use for good: a PENDING one at once, a RETIRING one when its last link has ended, or,
        ``is_immediate``, before. Then it may be taken from the edge, which breaks the links that have not ended.

        Raises: NotFound. InvalidInput. Conflict: it signs, or its links live and are not to be broken.
        """
        reason = _checked_reason(reason)
        now = self._clock()
        async with self._database.transaction() as connection:
            await self._require_admin(connection, principal)
            entry = await signing_keys.find_key(connection, key_pair_id)
            if entry is None:
                raise NotFound(f"there is no key {key_pair_id}")
            if entry.status is KeyStatus.RETIRED:
                return entry
            _require_retirable(entry, now, is_immediate=is_immediate)
            retired = await signing_keys.retire(
                connection, entry.id, come_from=entry.status, now=now, retires_at=entry.retires_at
            )
            if retired is None:
                raise Conflict(f"key {key_pair_id} has just been moved on by somebody else")
            await _record(
                connection,
                principal,
                AuditAction.KEY_RETIRED,
                retired,
                now,
                before={"status": entry.status.value},
                after={"keyPairId": key_pair_id, "isImmediate": is_immediate, "reason": reason},
            )
        return retired

    async def turn(self) -> Turn:
        """RETIRED become those whose last link has ended."""
        now = self._clock()
        async with self._database.transaction() as connection:
            retired = await signing_keys.retire_due(connection, now=now)
            for entry in retired:
                after = {"keyPairId": entry.key_pair_id, "isImmediate": False}
                before = {"status": KeyStatus.RETIRING.value}
                await _record(connection, None, AuditAction.KEY_RETIRED, entry, now, before=before, after=after)
        for entry in retired:
            log.warning("signing_key_retired key=%s", entry.key_pair_id)
        return Turn(len(retired), is_more=False)

    async def _load(self, entry: KeyEntry) -> LoadedKey:
        try:
            return await self._loader.load_entry(entry)
        except ConfigurationError as error:
            log.error("signing_key_unavailable key=%s error=%s", entry.key_pair_id, error.message)
            raise Conflict("the private part of this key cannot be had here; the log says why") from None

    async def _require_admin(self, connection: AsyncConnection, principal: Principal | None) -> None:
        if principal is not None:
            require_admin(await self._standings.of(connection, principal))


def _wanted(entries: Sequence[KeyEntry], key: str | None) -> KeyEntry:
    """Raises: NotFound, Conflict."""
    if key is not None:
        found = [entry for entry in entries if key in (entry.id, entry.key_pair_id)]
        if not found:
            raise NotFound("no such key", path=("signingKeyId",))
        return found[0]
    pending = [entry for entry in entries if entry.status is KeyStatus.PENDING]
    if len(pending) != 1:
        how_many = "more than one key is PENDING: say which" if pending else "no key is PENDING: add one first"
        raise Conflict(how_many, path=("signingKeyId",))
    return pending[0]


def _require_none_retiring(entries: Sequence[KeyEntry], active: KeyEntry) -> None:
    """Raises: Conflict: the rotation is over, so what is to break has to be said."""
    retiring = [entry.key_pair_id for entry in entries if entry.status is KeyStatus.RETIRING]
    if retiring:
        commands = ", ".join(f"`graphql-api keys retire {key_pair_id} --now`" for key_pair_id in retiring)
        raise Conflict(
            f"key {active.key_pair_id} signs already, and links of {' and '.join(retiring)} go on to open: "
            f"they are broken by {commands}",
            path=("isImmediate",),
        )


async def _take_over(
    connection: AsyncConnection, before: KeyEntry | None, wanted: KeyEntry, now: datetime, *, is_immediate: bool
) -> Rotation:
    """Raises: Conflict: another key than ``before`` signs, or ``wanted`` is PENDING no longer."""
    locked = await signing_keys.lock_active(connection)
    retiring = None
    if locked is not None and before is not None and locked.id == before.id:
        ends = last_end(locked, now)
        if is_immediate:
            retiring = await signing_keys.retire(
                connection, locked.id, come_from=KeyStatus.ACTIVE, now=now, retires_at=ends
            )
        else:
            retiring = await signing_keys.begin_to_retire(connection, locked.id, retires_at=ends)
    has_moved = (locked is None) != (before is None) or (locked is not None and retiring is None)
    active = None if has_moved else await signing_keys.activate(connection, wanted.id, now=now)
    if active is None:
        raise Conflict("somebody else has just changed the keys: look at them again")
    return Rotation(active, retiring)


def _require_retirable(entry: KeyEntry, now: datetime, *, is_immediate: bool) -> None:
    """Raises: Conflict."""
    if entry.status is KeyStatus.ACTIVE:
        raise Conflict(f"key {entry.key_pair_id} signs: let another take over first")
    if entry.retires_at is not None and now < entry.retires_at and not is_immediate:
        raise Conflict(
            f"links that {entry.key_pair_id} signed live until {entry.retires_at:%Y-%m-%dT%H:%M:%SZ}: "
            "it retires by itself then, or at once if they are to break"
        )


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise InvalidInput(InputFault(f"a reason is 1 to {MAX_REASON} printable characters", ("reason",)))
    return reason


async def _record(
    connection: AsyncConnection,
    principal: Principal | None,
    action: AuditAction,
    entry: KeyEntry,
    now: datetime,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
) -> None:
    """Part of the caller's transaction: the audit log and every process that signs are told."""
    ends = {} if entry.retires_at is None else {"retiresAt": entry.retires_at.isoformat()}
    event = audit_event(principal, action, entry.id, now=now, before=before, after={**after, **ends})
    await audit.insert_events(connection, [event])
    keys_changed(connection)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a principal was answered the first time it asked with ``key``; nothing without a key."""

    principal: Principal | None
    key: str | None
    asked: Mapping[str, Any]

    async def recall(self, connection: AsyncConnection) -> Rotation | None:
        """Raises: InvalidInput: what is no key. Conflict: it was used for another request."""
        if self.key is None or self.principal is None or self.principal.user_id is None:
            return None
        idempotency.require_key(self.key)
        fingerprint = idempotency.fingerprint_of("keys", self.asked)
        said = await idempotency.remembered(connection, self.principal.user_id, self.key, fingerprint)
        if said is None:
            return None
        found = await signing_keys.find_keys(connection, [id_ for id_ in said if id_ is not None])
        active, retiring = said
        return Rotation(found[active], None if retiring is None else found[retiring])

    async def keep(self, connection: AsyncConnection, rotation: Rotation, now: datetime) -> None:
        if self.key is None or self.principal is None or self.principal.user_id is None:
            return
        fingerprint = idempotency.fingerprint_of("keys", self.asked)
        said = [rotation.active.id, None if rotation.retiring is None else rotation.retiring.id]
        await idempotency.remember(connection, self.principal.user_id, self.key, fingerprint, said, now)
