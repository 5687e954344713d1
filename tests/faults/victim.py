"""A service that is killed with requests under way, each at a place of its own."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.cli.program import wait_for
from tests.e2e.service import Service
from tests.faults import FaultyProxy, Hold, HoldAnswer, Which
from tests.faults.sender import Answered


@dataclass
class Victim:
    """A service that is going to be killed, and what it is doing."""

    service: Service
    proxy: FaultyProxy
    others: ThreadPoolExecutor
    under_way: list[Future[Answered]] = field(default_factory=list)
    holds: list[Hold | HoldAnswer] = field(default_factory=list)

    def hold(self, work: Callable[[], Answered], fault: Hold | HoldAnswer, which: Which) -> None:
        """Return when ``work`` has come to where ``fault`` holds it."""
        self.proxy.plan(fault, times=2, which=which)  # the service tries twice, with a timeout of ten seconds
        self.holds.append(fault)
        future = self.begin(work)
        wait_for(lambda: fault.reached.is_set() or future.done())
        assert fault.reached.is_set(), future.result()

    def begin(self, work: Callable[[], Answered]) -> Future[Answered]:
        self.under_way.append(self.others.submit(work))
        return self.under_way[-1]

    def kill(self) -> None:
        assert not [future for future in self.under_way if future.done()]
        self.service.program.tell(signal.SIGKILL)
        assert self.service.program.end() == -signal.SIGKILL
        for fault in self.holds:
            if isinstance(fault, Hold):
                fault.lose()
            else:
                fault.go_on.set()
        assert all(isinstance(future.exception(60), httpx.TransportError) for future in self.under_way)


@contextmanager
def victim(service: Service, proxy: FaultyProxy) -> Iterator[Victim]:
    with ThreadPoolExecutor(10) as others:
        yield Victim(service, proxy, others)
