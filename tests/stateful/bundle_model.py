"""What should be true of bundles and of the links to them: a naive account, which shares no code with the product."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

HOME: Final = "home"
SIZE: Final = 5  # bytes of each entry
PATHS: Final = ("index.m3u8", "low/0.ts", "low/1.ts")


class Refused(Exception):
    """The text is what the product calls it."""


@dataclass
class Bundle:
    """``place``: where it is promised to, or is as a file; None when that is gone. ``entries``: status by path."""

    place: str | None
    entries: dict[str, str]
    is_file: bool = False
    is_moved: bool = False

    @property
    def is_promised(self) -> bool:
        return not self.is_file and bool(set(self.entries.values()) & {"PENDING", "PROCESSING"})


@dataclass(frozen=True)
class Link:
    """``names``: the bundle's number and handles of folders. ``age``: how much had been revoked when it was signed."""

    number: int
    names: frozenset[int | str]
    age: int
    expires_at: datetime


@dataclass
class Model:
    now: datetime
    folders: set[str] = field(default_factory=lambda: {HOME})
    bundles: dict[int, Bundle] = field(default_factory=dict)
    objects: dict[tuple[int, str], int] = field(default_factory=dict)  # sizes
    left: set[tuple[int, str]] = field(default_factory=set)  # objects that a sweep has to remove
    links: dict[int, Link] = field(default_factory=dict)
    age: int = 0
    revoked: dict[int | str, int] = field(default_factory=dict)  # at what age
    made: int = 0  # folders, one after the other

    def copy(self) -> Self:
        return deepcopy(self)

    def create(self, number: int, place: str, paths: tuple[str, ...]) -> str:
        if place not in self.folders:
            raise Refused("NotFound")
        self.bundles[number] = Bundle(place, dict.fromkeys(paths, "PENDING"))
        return "promised"

    def send(self, number: int, path: str, size: int) -> str:
        if (number, path) in self.objects or not self.bundles[number].is_promised:
            return "the store refuses"
        self.objects[number, path] = size
        return "stored"

    def complete(self, number: int, path: str) -> str:
        bundle = self.bundles[number]
        status = bundle.entries[path]
        if status == "PENDING":
            status = self._settle(number, path)
        if status == "COMPLETED":
            return "a file" if bundle.is_file else "a file that is gone"
        if status == "PROCESSING":
            return status
        raise Refused("UploadMismatch" if status == "FAILED" else "UploadStateConflict")

    def _settle(self, number: int, path: str) -> str:
        bundle = self.bundles[number]
        if (number, path) not in self.objects:
            raise Refused("BytesMissing")
        if self.objects[number, path] != SIZE:
            self._end(number, path, "FAILED")
            return "FAILED"
        bundle.entries[path] = "PROCESSING"
        if set(bundle.entries.values()) == {"PROCESSING"}:
            bundle.entries = dict.fromkeys(bundle.entries, "COMPLETED")
            bundle.is_file = True
        return bundle.entries[path]

    def look(self) -> list[int]:
        """The service looks for itself whether what was promised is there; the bundles of which all is, and right."""
        whole = []
        for number, bundle in self.bundles.items():
            if bundle.is_promised and all(self.objects.get((number, path)) == SIZE for path in bundle.entries):
                bundle.entries = dict.fromkeys(bundle.entries, "COMPLETED")
                bundle.is_file = True
                whole.append(number)
        return whole

    def abort(self, number: int, path: str) -> str:
        bundle = self.bundles[number]
        if bundle.entries[path] == "COMPLETED":
            raise Refused("UploadStateConflict")
        if bundle.is_promised:
            self._end(number, path, "ABORTED")
        return bundle.entries[path]

    def _end(self, number: int, path: str, status: str) -> None:
        """One of the entries cannot be, so none is."""
        self.bundles[number].entries = dict.fromkeys(self.bundles[number].entries, "ABORTED") | {path: status}
        self._lose({number})

    def _lose(self, numbers: set[int], *, store_is_up: bool = True) -> None:
        gone = {key for key in self.objects if key[0] in numbers}
        self.left |= gone
        if store_is_up:
            self.sweep(gone)

    def sweep(self, keys: set[tuple[int, str]] | None = None) -> str:
        for key in self.left & (self.left if keys is None else keys):
            del self.objects[key]
            self.left.discard(key)
        return "swept"

    def move(self, number: int, place: str) -> str:
        if not self.bundles[number].is_file or place not in self.folders:
            raise Refused("NotFound")
        self.bundles[number].is_moved |= self.bundles[number].place != place
        self.bundles[number].place = place
        return "moved"

    def delete(self, number: int, *, store_is_up: bool) -> str:
        if not self.bundles[number].is_file:
            return "NotFound"
        self.bundles[number].is_file = False
        self._lose({number}, store_is_up=store_is_up)
        return "deleted"

    def make_folder(self, handle: str) -> str:
        if handle in self.folders:
            raise Refused("Conflict")
        self.folders.add(handle)
        self._tell_apart(handle)
        return "made"

    def _tell_apart(self, handle: str) -> None:
        """Older links name the folder that had the handle before, which nobody can revoke any more."""
        self.made += 1
        before = f"{handle} before {self.made}"
        self.revoked[before] = self.revoked.pop(handle, 0)
        for name, link in self.links.items():
            names = frozenset(before if each == handle else each for each in link.names)
            self.links[name] = replace(link, names=names)

    def delete_folder(self, handle: str) -> str:
        if handle not in self.folders:
            raise Refused("NotFound")
        self.folders.discard(handle)
        inside = {n for n, each in self.bundles.items() if each.place == handle}
        for number in inside:
            bundle = self.bundles[number]
            bundle.place = None
            if bundle.is_promised:
                bundle.entries = dict.fromkeys(bundle.entries, "ABORTED")
                self._lose({number})
            elif bundle.is_file:
                bundle.is_file = False
                self._lose({number})
        return "deleted"

    def sign(self, name: int, number: int, expires_at: datetime | None) -> str:
        bundle = self.bundles[number]
        if not bundle.is_file:
            raise Refused("NotFound")
        assert bundle.place is not None
        if expires_at is not None:
            names: frozenset[int | str] = frozenset({number, bundle.place, HOME})
            self.links[name] = Link(number, names, self.age, expires_at)
        return "signed"

    def revoke(self, what: int | str) -> str:
        """With a folder what was moved into it, whose older links name the folder where it was."""
        if (isinstance(what, int) and not self.bundles[what].is_file) or (
            isinstance(what, str) and what not in self.folders
        ):
            raise Refused("NotFound")
        self.age += 1
        self.revoked[what] = self.age
        if isinstance(what, str):
            moved = {n for n, each in self.bundles.items() if each.is_file and each.is_moved}
            below = {n for n in moved if what in (HOME, self.bundles[n].place)}
            self.revoked |= dict.fromkeys(below, self.age)
        return "revoked"

    def opens(self, link: Link) -> bool:
        return self.now < link.expires_at and all(self.revoked.get(each, 0) <= link.age for each in link.names)

    def state(self) -> dict[str, Any]:
        files = {n: each.place for n, each in self.bundles.items() if each.is_file}
        promised = [each for each in self.bundles.values() if each.is_promised]
        return {
            "uploads": {(n, path): status for n, each in self.bundles.items() for path, status in each.entries.items()},
            "files": files,
            "objects": self.objects,
            "stored": sum(len(self.bundles[n].entries) * SIZE for n in files),
            "reserved": sum(len(each.entries) * SIZE for each in promised),
            "links": {name: self.opens(link) for name, link in self.links.items()},
        }
