"""How much somebody may ask for in a while, in points of cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """``points`` (at least 1) at once, and from then on as many in each ``window``, evenly.

    One instant says all of what was spent: when it will all have come back. Source: ATM Forum, "Traffic Management
    Specification 4.1", 4.4.2, the generic cell rate algorithm.
    """

    points: int
    window: timedelta

    def time_of(self, points: int) -> timedelta:
        """In which so many come back. What costs more than all there are costs all there are."""
        return self.window * min(points, self.points) / self.points

    def wait(self, points: int, restored_at: datetime, now: datetime) -> timedelta:
        """Until so many will be there, if all will be at ``restored_at``; zero or less when they are."""
        return restored_at + self.time_of(points) - self.window - now

    def left(self, restored_at: datetime, now: datetime) -> int:
        """How many there are, if all will be at ``restored_at``."""
        return max(0, self.points - -(-max(restored_at - now, timedelta()) * self.points // self.window))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What one request took of an allowance of ``limit`` points, and what it left. ``reset_at``: when, if nothing else
    is asked meanwhile, all will be there again.
    """

    cost: int
    limit: int
    remaining: int
    reset_at: datetime
