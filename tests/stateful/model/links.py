"""Share links: who makes them, and what they open."""

from tests.stateful.model.holdings import Holdings
from tests.stateful.model.nouns import ADMIN, Link, Refused


class Links(Holdings):
    """A link opens what its maker may have and share at the moment of the visit."""

    def make_link(self, number: int, who: str, thing: int | str, max_downloads: int | None) -> str:
        if not self._may_see(who, thing):
            raise Refused("NotFound")
        if not self._may_share(who, thing):
            raise Refused("Forbidden")
        self.links[number] = Link(who, thing, self.now, max_downloads)
        return "made"

    def revoke_link(self, who: str, number: int) -> str:
        link = self.links.get(number)
        if link is None or not (who in (ADMIN, link.maker) or self._may_share(who, link.thing)):
            raise Refused("NotFound")
        link.is_revoked = True
        return "revoked"

    def visit(self, number: int, file: int) -> int:
        """The object to which a visitor is sent on; ``file``: which of a shared folder."""
        link = self.links.get(number)
        if link is None or not link.is_open(self.now) or not self._may_share(link.maker, link.thing):
            raise Refused("NotFound")
        if isinstance(link.thing, int):
            file = link.thing
        elif file not in self.files or self.files[file].place not in self.below(link.thing):
            raise Refused("NotFound")
        current = self._file_of(link.maker, file).current
        if self.uploads[current].is_altered or self.uploads[current].is_infected:
            raise Refused("NotFound")
        link.downloads += 1
        return current

    def _may_see(self, who: str, thing: int | str) -> bool:
        return self.may_have(who, thing) if isinstance(thing, int) else self.may_enter(who, thing)

    def _may_share(self, who: str, thing: int | str) -> bool:
        """Who owns a folder does not own what others keep inside."""
        return self._may_see(who, thing) and (isinstance(thing, int) or self._is_given(who, thing))

    def _lose_links(self, things: set[int] | set[str]) -> None:
        self.links = {number: link for number, link in self.links.items() if link.thing not in things}
