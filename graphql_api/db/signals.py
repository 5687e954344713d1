"""Signals from the transaction that changes something to those who watch it, told only if it commits.

On PostgreSQL they travel as NOTIFY, inside the transaction, to every process that listens (``db.listener``). SQLite has
no such thing: there they reach those who watch in the same process.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.model.ids import FolderId, UploadId
from graphql_api.model.signal import (
    Departed,
    EntryChanged,
    FolderChange,
    FolderGone,
    KeysChanged,
    Signal,
    UploadChanged,
)

CHANNEL: Final = "graphql_api_signals"
MAX_PAYLOAD: Final = 7_900  # bytes; PostgreSQL manual, "NOTIFY": a payload must be shorter than 8000 bytes
MAX_WAITING: Final = 200  # signals that wait for one watcher; with more, they are told to read everything again
ANNOUNCED: Final = "announced"  # execution option of a connection: what its transaction has announced so far

_NOTIFY: Final = text("SELECT pg_notify(:channel, payload) FROM unnest(:payloads) AS payload").bindparams(
    bindparam("payloads", type_=ARRAY(Text))
)


def announce(connection: AsyncConnection, *signals: Signal) -> None:
    """Part of the caller's transaction: nobody is told unless it commits."""
    announced: list[Signal] = connection.sync_connection.get_execution_options()[ANNOUNCED]  # type: ignore[union-attr]  # it is connected
    announced.extend(signals)


async def notify(connection: AsyncConnection, signals: Sequence[Signal]) -> None:
    """On PostgreSQL, at the end of the transaction."""
    await connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": encoded(signals)})


def encoded(signals: Iterable[Signal]) -> list[str]:
    """As few payloads as they fit into, in order."""
    payloads: list[str] = []
    here: list[str] = []
    size = 2
    for entry in (orjson.dumps(_entry(signal)).decode() for signal in signals):
        if here and size + len(entry) + 1 > MAX_PAYLOAD:
            payloads.append(f"[{','.join(here)}]")
            here, size = [], 2
        here.append(entry)
        size += len(entry) + 1
    return [*payloads, f"[{','.join(here)}]"] if here else payloads


def decoded(payload: str) -> list[Signal]:
    """Raises: ValueError: it was not written by this version."""
    try:
        signals = [_signal(*entry) for entry in orjson.loads(payload)]
        if not all(isinstance(id_, str) for signal in signals for id_ in (signal.topic, signal.subject)):
            raise TypeError
        return signals
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("not a payload of ours") from error


def _entry(signal: Signal) -> list[object]:
    match signal:
        case UploadChanged(upload_id):
            return ["upload", upload_id]
        case FolderGone(folder_id):
            return ["gone", folder_id]
        case KeysChanged():
            return ["keys"]
        case EntryChanged(change, folder_id, entry_id, departed):
            entry: list[object] = ["entry", change, folder_id, entry_id]
            if departed is not None:
                named = (departed.labels, departed.allowed_to, departed.denied_to)
                entry += [departed.owner_id, *map(sorted, named)]
            return entry


def _signal(kind: str, *values: Any) -> Signal:
    match kind, values:
        case "upload", (upload_id,):
            return UploadChanged(UploadId(upload_id))
        case "gone", (folder_id,):
            return FolderGone(FolderId(folder_id))
        case "keys", ():
            return KeysChanged()
        case "entry", (change, folder_id, entry_id):
            return EntryChanged(FolderChange(change), FolderId(folder_id), entry_id)
        case "entry", (change, folder_id, entry_id, owner_id, *named):
            departed = Departed(owner_id, *map(frozenset, named))
            return EntryChanged(FolderChange(change), FolderId(folder_id), entry_id, departed)
    raise ValueError(f"no signal of kind {kind!r}")


@dataclass(frozen=True, slots=True)
class Told:
    """What has come since the last look. ``is_all`` is False when there was more."""

    signals: Collection[Signal]
    is_all: bool


class Mailbox:
    """What waits for one watcher. A slow one finds the last signal about each subject, and never more than a bounded
    number of them.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Signal] = {}
        self._is_all = True
        self._has_something = asyncio.Event()

    def put(self, signal: Signal) -> None:
        earlier = self._waiting.pop(signal.subject, None)
        self._waiting[signal.subject] = signal if earlier is None else _together(earlier, signal)
        if len(self._waiting) > MAX_WAITING:
            self.miss()
        self._has_something.set()

    def miss(self) -> None:
        """Something may have happened that was not told."""
        self._waiting.clear()
        self._is_all = False
        self._has_something.set()

    async def take(self) -> Told:
        """Waits until there is something."""
        await self._has_something.wait()
        told = Told(tuple(self._waiting.values()), self._is_all)
        self._waiting.clear()
        self._is_all = True
        self._has_something.clear()
        return told


def _together(earlier: Signal, later: Signal) -> Signal:
    """Who has not been told of a thing yet is told that it came, not that it changed."""
    has_come = isinstance(earlier, EntryChanged) and earlier.change in (FolderChange.CREATED, FolderChange.MOVED_IN)
    is_change = isinstance(later, EntryChanged) and later.change is FolderChange.UPDATED
    return earlier if has_come and is_change and earlier.topic == later.topic else later


class Signals:
    """Hands signals to those who watch in this process. Everything happens in its event loop."""

    def __init__(self) -> None:
        self._watching: dict[str, set[Mailbox]] = {}

    @property
    def watched(self) -> int:
        """How many topics somebody watches."""
        return len(self._watching)

    @contextmanager
    def watch(self, topic: str) -> Iterator[Mailbox]:
        """From here on, what is told about ``topic`` is in the mailbox."""
        box = Mailbox()
        self._watching.setdefault(topic, set()).add(box)
        try:
            yield box
        finally:
            boxes = self._watching[topic]
            boxes.discard(box)
            if not boxes:
                del self._watching[topic]

    def deliver(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            for box in self._watching.get(signal.topic, ()):
                box.put(signal)

    @contextmanager
    def delivered_after(self, signals: Sequence[Signal]) -> Iterator[None]:
        """``signals`` are delivered when the block has ended. If it was cut off, perhaps in the middle of a commit,
        whom they concern has to look.
        """
        try:
            yield
        except asyncio.CancelledError:
            for topic in {signal.topic for signal in signals}:
                for box in self._watching.get(topic, ()):
                    box.miss()
            raise
        self.deliver(signals)

    def miss(self) -> None:
        """Signals may have been lost: all who watch have to look for themselves."""
        for boxes in self._watching.values():
            for box in boxes:
                box.miss()
