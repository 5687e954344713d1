"""The edge's store in memory, with the questions that the function asks of it."""

from collections.abc import Callable, Collection, Mapping
from urllib.parse import parse_qs, urlsplit

from graphql_api.edge import MAX_CHANGES
from graphql_api.errors import Unavailable
from graphql_api.model.revocation import Mark


class MemoryEdge:
    """A ``RevocationStore``. ``before_change`` runs once before the next change: what somebody else does meanwhile."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.is_up = True
        self.changes: list[int] = []  # how many each has changed
        self.before_change: Callable[[], None] | None = None
        self._version = 0

    async def version(self) -> str:
        self._check()
        return f"v{self._version}"

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        self._check()
        if self.before_change is not None:
            meanwhile, self.before_change = self.before_change, None
            meanwhile()
        assert 0 < len(put) + len(remove) <= MAX_CHANGES
        if version != f"v{self._version}":
            return None
        self._version += 1
        self.numbers.update({str(mark): number for mark, number in put.items()})
        for mark in remove:
            self.numbers.pop(mark, None)
        self.changes.append(len(put) + len(remove))
        return f"v{self._version}"

    def touch(self) -> None:
        """Somebody else writes."""
        self._version += 1

    def refuses(self, url: str) -> bool:
        """What the function would say, told in three lines."""
        [parameter] = parse_qs(urlsplit(url).query)["rv"]
        number, *marks = parameter.split(".")
        return any(self.numbers.get(mark, 0) > int(number) for mark in marks)

    def _check(self) -> None:
        if not self.is_up:
            raise Unavailable("edge")


class MemoryEdgeCache:
    """An ``EdgeCache`` that remembers what it was told to drop. As CloudFront does, it heeds a reference once."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._heeded: set[str] = set()
        self.is_up = True

    async def invalidate(self, path: str, *, reference: str) -> None:
        if not self.is_up:
            raise Unavailable("edge")
        if reference not in self._heeded:
            self._heeded.add(reference)
            self.dropped.append(path)
