"""What is told by others, what runs by itself, and time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from graphql_api.model.store_event import ObjectArrived, ScanResult, ScanVerdict, StoreEvent
from tests.stateful.blobs import BLOBS, INFECTED, UNSCANNABLE, Blob
from tests.stateful.model import Model
from tests.stateful.pick import Pick
from tests.stateful.stage import Stage, etag_of


@dataclass(frozen=True)
class Told:
    """``number`` None: about nothing of ours. Without a ``verdict`` it tells that the object has arrived."""

    number: int | None
    verdict: str | None = None
    content: Blob = BLOBS["empty"]

    def event(self, stage: Stage) -> StoreEvent:
        key = "o/unknown" if self.number is None else stage.key(self.number)
        etag = etag_of(self.content)
        if self.verdict is None:
            return ObjectArrived(key, len(self.content), etag)
        return ScanVerdict(key, etag, ScanResult(self.verdict), ("Eicar",) if self.verdict == "THREATS_FOUND" else ())


def verdict_on(content: Blob) -> str:
    """Of one who looks at the bucket and knows what is infected when he sees it."""
    return {INFECTED: "THREATS_FOUND", UNSCANNABLE: "UNSUPPORTED"}.get(content, "NO_THREATS_FOUND")


@dataclass(frozen=True)
class Tell:
    """One message."""

    events: tuple[Told, ...]

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        many = pick.one("events", (1, 1, 1, 2, 3))
        return cls(tuple(cls._event(pick) for _ in range(many)))

    @staticmethod
    def _event(pick: Pick) -> Told:
        model = pick.model
        if not model.uploads or pick.one("unknown", (False,) * 7 + (True,)):
            return Told(None)
        number = pick.upload()
        if not pick.one("is verdict", (False, True, model.judge == "EVENTS")):
            return Told(number)
        promised = model.uploads[number].wish.promised
        there = Blob(model.objects.get(number, promised))
        content = pick.one("of", [*[there] * 6, promised, promised, *BLOBS.values()])
        verdict = pick.one("verdict", [verdict_on(content)] * 5 + ["ACCESS_DENIED", "FAILED"])
        return Told(number, verdict, content)

    def foretell(self, model: Model) -> object:
        for each in self.events:
            if each.number is not None and each.verdict is None:
                model.arrived(each.number)
            elif each.number is not None and each.verdict is not None:
                model.judged(each.number, each.verdict, each.content)
        return "known" if all(each.number is not None for each in self.events) else "not known yet"

    async def do(self, stage: Stage) -> object:
        is_known = await stage.told(*(each.event(stage) for each in self.events))
        return "known" if is_known else "not known yet"


@dataclass(frozen=True)
class Sweep:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.sweep()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.upkeep.sweep()
        return "swept"


@dataclass(frozen=True)
class Recheck:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.recheck()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.rechecks.sweep()
        return "rechecked"


@dataclass(frozen=True)
class AbortStrays:
    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.abort_strays()

    async def do(self, stage: Stage) -> object:
        await stage.world.services.strays.sweep()
        return "no strays"


@dataclass(frozen=True)
class Reconcile:
    """In the middle of everything, putting right what can be."""

    @classmethod
    def picked(cls, _: Pick) -> Self:
        return cls()

    def foretell(self, model: Model) -> object:
        return model.reconcile()

    async def do(self, stage: Stage) -> object:
        return await stage.reconciled()


@dataclass(frozen=True)
class Lock:
    """The store refuses to remove an object, or does so no longer."""

    number: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.upload())

    def foretell(self, model: Model) -> object:
        model.locked ^= {self.number}
        return None

    async def do(self, stage: Stage) -> object:
        stage.world.store.locked ^= {stage.key(self.number)}
        return None


@dataclass(frozen=True)
class Wait:
    minutes: int

    @classmethod
    def picked(cls, pick: Pick) -> Self:
        return cls(pick.one("minutes", (1, 1, 6, 6, 45, 45, 90, 90, 6 * 60, 25 * 60, 4 * 24 * 60)))

    def foretell(self, model: Model) -> object:
        model.now += timedelta(minutes=self.minutes)
        return None

    async def do(self, stage: Stage) -> object:
        stage.world.clock.advance(minutes=self.minutes)
        return None
