"""The keyring as one process knows it: which key signs, with its private part. Read every few seconds, and at once
when another process tells of a change; a link costs no look.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from graphql_api.db import audit, signing_keys
from graphql_api.db.engine import Database
from graphql_api.errors import ConfigurationError, DeliveryError, Unavailable
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.ids import SigningKeyId, new_signing_key_id
from graphql_api.model.signal import KEYS_TOPIC
from graphql_api.model.signing_key import FROM_SETTINGS, HashAlgorithm, KeyEntry, KeyStatus
from graphql_api.services.announcements import keys_changed
from graphql_api.services.clock import Clock
from graphql_api.services.key_loading import KeyLoader, LoadedKey
from graphql_api.services.link_signing import SignerInUse

log = logging.getLogger(__name__)

EVERY: Final = 2.0  # seconds between two looks
TRUST: Final = timedelta(minutes=1)
"""How long what was read is taken for true. A process that cannot read the keyring goes on signing, but after this its
links get shorter, so that none outlives the key.
"""
CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""By how much the clocks of two of our machines may: one signs, another says that the key retires."""
LOAD_AGAIN_AFTER: Final = timedelta(seconds=30)  # when a private part could not be had


def last_end(entry: KeyEntry, now: datetime) -> datetime:
    """When the last link has ended that any process signs with the ACTIVE key ``entry`` if it is told at ``now`` that
    it should not.
    """
    return now + timedelta(seconds=entry.longest_lifetime) + TRUST + CLOCKS_DIFFER


@dataclass(frozen=True, slots=True)
class ConfiguredId:
    """The key of the settings, whose private part they have."""

    key_pair_id: str
    hash_algorithm: HashAlgorithm


class Keyring:
    """One for each process that signs. ``longest_lifetime``: of any link that it signs."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        loader: KeyLoader,
        in_use: SignerInUse,
        configured: ConfiguredId,
        *,
        longest_lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._loader = loader
        self._in_use = in_use
        self._configured = configured
        self._longest = -(-longest_lifetime // timedelta(seconds=1))
        self._loaded: dict[SigningKeyId, LoadedKey] = {}
        self._load_at: dict[SigningKeyId, datetime] = {}
        self.trusts_configured = True
        """Whether the key of the settings is in no other hands, as far as the keyring knows."""

    async def start(self) -> None:
        """To be done before the first link: from here on there is a key that signs.

        Raises: ConfigurationError: the private part of the key that signs cannot be had. Unavailable.
        """
        await self.take_in()
        await self._read(is_first=True)

    async def take_in(self) -> None:
        """Enter the key of the settings, if the keyring does not know it: it is the first, and signs, or it is PENDING.

        Raises: ConfigurationError: the settings hold no key that the CDN could use. Unavailable.
        """
        async with self._database.autocommit() as connection:
            known = await signing_keys.find_key(connection, self._configured.key_pair_id)
        if known is not None:
            if known.hash_algorithm is not self._configured.hash_algorithm:
                log.warning("signing_key_hash_kept key=%s hash=%s", known.key_pair_id, known.hash_algorithm)
            return
        key_pair_id, hash_algorithm = self._configured.key_pair_id, self._configured.hash_algorithm
        loaded = await self._loader.load(key_pair_id, FROM_SETTINGS, hash_algorithm)
        now = self._clock()
        async with self._database.transaction() as connection:
            is_first = not await signing_keys.list_keys(connection)
            entry = KeyEntry(
                id=new_signing_key_id(now),
                key_pair_id=key_pair_id,
                reference=FROM_SETTINGS,
                hash_algorithm=hash_algorithm,
                public_pem=loaded.public_pem,
                status=KeyStatus.ACTIVE if is_first else KeyStatus.PENDING,
                longest_lifetime=self._longest if is_first else 0,
                created_at=now,
                activated_at=now if is_first else None,
            )
            is_new = await signing_keys.insert_key(connection, entry)
            if is_new:
                after = {"keyPairId": key_pair_id, "status": entry.status.value}
                event = audit_event(None, AuditAction.KEY_ADDED, entry.id, now=now, after=after)
                await audit.insert_events(connection, [event])
                keys_changed(connection)
        if not is_new and is_first:  # another process was first, perhaps with another key
            await self.take_in()
        elif is_new and not is_first:
            log.warning("signing_key_pending key=%s", key_pair_id)

    async def run(self) -> None:
        """Until cancelled."""
        with self._database.signals.watch(KEYS_TOPIC) as box:
            while True:
                try:
                    await self.refresh()
                except Unavailable:
                    pass  # the log has it, and the next look is soon
                except Exception:  # it must outlive a bug, and the log must show it
                    log.exception("keyring_failed")
                with suppress(TimeoutError):
                    await asyncio.wait_for(box.take(), EVERY)

    async def refresh(self) -> None:
        """Sign with the key that is ACTIVE now, if its private part can be had. Raises: Unavailable: the database."""
        await self._read(is_first=False)

    async def _read(self, *, is_first: bool) -> None:
        read_at = self._clock()
        async with self._database.autocommit() as connection:
            known = await signing_keys.list_keys(connection)
            entries = [entry for entry in known if entry.status is not KeyStatus.RETIRED]
            active = next((entry for entry in entries if entry.status is KeyStatus.ACTIVE), None)
            is_true = True
            if active is not None and active.longest_lifetime < self._longest:
                is_true = await signing_keys.lengthen(connection, active.id, self._longest)
        if not is_true:  # another has taken over meanwhile
            return await self._read(is_first=is_first)
        self._judge_configured(known)
        self._forget_all_but(entries)
        if active is not None and (loaded := await self._load(active, read_at, is_first=is_first)) is not None:
            if self._in_use.key_pair_id != active.key_pair_id:
                log.info("signing_key_in_use key=%s", active.key_pair_id)
            until = int(read_at.timestamp()) + self._longest + int(TRUST.total_seconds())
            self._in_use.use(loaded.signer, until=until)
        elif self._in_use.key_pair_id not in {entry.key_pair_id for entry in entries}:
            self._in_use.stop()  # it may have leaked, and what it signs does not open any more
        for entry in entries:
            if entry.status is KeyStatus.PENDING:  # so that the log tells before it has to sign
                await self._load(entry, read_at, is_first=False)
        return None

    def _judge_configured(self, known: Sequence[KeyEntry]) -> None:
        configured = next((entry for entry in known if entry.key_pair_id == self._configured.key_pair_id), None)
        is_trusted = configured is None or not configured.is_distrusted
        if self.trusts_configured and not is_trusted:
            log.error("signing_key_distrusted key=%s", self._configured.key_pair_id)
        self.trusts_configured = is_trusted

    async def _load(self, entry: KeyEntry, now: datetime, *, is_first: bool) -> LoadedKey | None:
        """From memory, or from its place; None if it cannot be had. Raises, if ``is_first``, why not."""
        if entry.id not in self._loaded:
            if now < self._load_at.get(entry.id, now):
                return None
            try:
                self._loaded[entry.id] = await self._loader.load_entry(entry)
            except (ConfigurationError, Unavailable) as error:
                if is_first:
                    raise
                self._load_at[entry.id] = now + LOAD_AGAIN_AFTER
                log.error(
                    "signing_key_unavailable key=%s status=%s error=%s", entry.key_pair_id, entry.status, _line(error)
                )
                return None
        return self._loaded[entry.id]

    def _forget_all_but(self, entries: Sequence[KeyEntry]) -> None:
        kept = {entry.id for entry in entries}
        for gone in self._loaded.keys() - kept:
            del self._loaded[gone]


def _line(error: DeliveryError) -> str:
    return error.message.replace("\n", "; ")
