"""What there is, for whom, and what is left to remove."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import datetime
from typing import Self

from tests.stateful.blobs import Blob
from tests.stateful.model.nouns import (
    ADMIN,
    LAST_ARRIVAL,
    PEOPLE,
    REFUSED_AGAIN,
    ROOT,
    SHARED,
    UNFINISHED,
    File,
    Folder,
    Link,
    Refused,
    Upload,
    home_of,
)


class Holdings:
    """``judge``: NOBODY, SCANNER or EVENTS. ``tells``: the store computes a CRC-64/NVME of all that it is sent."""

    def __init__(self, now: datetime, *, judge: str, tells: bool, max_versions: int) -> None:
        self.now = now
        self.judge = judge
        self.tells = tells
        self.max_versions = max_versions
        self.is_up = True
        self.quotas: dict[str, int | None] = dict.fromkeys(PEOPLE)
        self.sharing = set(PEOPLE)
        self.folders = {home_of(person): Folder(ROOT, person, home_of(person)) for person in PEOPLE}
        self.folders[SHARED] = Folder(ROOT, ADMIN, SHARED)
        self.uploads: dict[int, Upload] = {}
        self.files: dict[int, File] = {}
        self.links: dict[int, Link] = {}
        self.objects: dict[int, Blob] = {}
        self.removals: dict[int, tuple[datetime, datetime]] = {}  # when due, and when for the last time
        self.locked: set[int] = set()  # objects that the store refuses to remove
        self.refused: set[int] = set()  # those that it has refused to remove since it last removed them
        self.strays_at = now

    def copy(self) -> Self:
        return deepcopy(self)

    # What there is, and for whom.

    def above(self, place: str) -> list[str]:
        """The folder and those above it, but for the root."""
        found = [place]
        while (parent := self.folders[found[-1]].parent) != ROOT:
            found.append(parent)
        return found

    def below(self, place: str) -> set[str]:
        """The folder and all below."""
        return {each for each in self.folders if place in self.above(each)}

    def files_in(self, place: str) -> list[int]:
        """And below; none in a folder that has gone."""
        inside = self.below(place)
        return [number for number, file in self.files.items() if file.place in inside]

    def may_enter(self, who: str, place: str | None) -> bool:
        if place is None or place not in self.folders:
            return False
        return who in (ADMIN, self.folders[place].owner) or self._is_given(who, place)

    def may_have(self, who: str, number: int) -> bool:
        file = self.files.get(number)
        return file is not None and (who in (ADMIN, file.owner) or self._is_given(who, file.place))

    def _is_given(self, who: str, place: str) -> bool:
        return who == ADMIN or who in self._given(self.above(place)[-1])

    def _given(self, top: str) -> set[str]:
        return self.sharing if top == SHARED else {self.folders[top].owner}

    def _file_of(self, who: str, number: int) -> File:
        if not self.may_have(who, number):
            raise Refused("NotFound")
        return self.files[number]

    def _upload_of(self, who: str, number: int) -> Upload:
        upload = self.uploads[number]
        if who not in (ADMIN, upload.owner):
            raise Refused("NotFound")
        return upload

    def names_in(self, place: str) -> dict[str, int | str]:
        """Who has which name: files, folders, and uploads that wait for their verdict."""
        names: dict[str, int | str] = {each.name: number for number, each in self.files.items() if each.place == place}
        names |= {each.name: handle for handle, each in self.folders.items() if each.parent == place}
        names |= {
            each.name: number
            for number, each in self.uploads.items()
            if each.status == "PROCESSING" and each.is_new_file and each.place == place
        }
        return names

    def _free_name(self, place: str, name: str, *, renames: bool) -> str:
        taken = self.names_in(place)
        if name not in taken:
            return name
        if not renames:
            raise Refused("Conflict")
        stem, dot, extension = name.partition(".")
        return next(each for n in range(2, 1_001) if (each := f"{stem} ({n}){dot}{extension}") not in taken)

    # Bytes, and who has room for them.

    def taken_by(self, person: str) -> tuple[int, int]:
        """Bytes stored, and bytes reserved."""
        return self._sums(lambda owner, _: owner == person)

    def taken_in(self, place: str) -> tuple[int, int]:
        inside = self.below(place)
        return self._sums(lambda _, there: there in inside)

    def _sums(self, counts: Callable[[str, str | None], bool]) -> tuple[int, int]:
        stored = sum(
            self.uploads[version].size
            for file in self.files.values()
            if counts(file.owner, file.place)
            for version in file.versions.values()
        )
        unfinished = (each for each in self.uploads.values() if each.status in UNFINISHED)
        return stored, sum(each.size for each in unfinished if counts(self._holder(each), each.place))

    def _holder(self, upload: Upload) -> str:
        return upload.owner if upload.wish.replaces is None else self.files[upload.wish.replaces].owner

    def _require_taken(self, places: Iterable[str], size: int, *, is_text: bool, error: str = "InvalidInput") -> None:
        """The gates of these folders."""
        for folder in map(self.folders.__getitem__, places):
            is_too_large = folder.max_size is not None and size > folder.max_size
            if is_too_large or (folder.takes_text_only and not is_text):
                raise Refused(error)

    def _require_room(self, places: Iterable[str], person: str | None = None, more: int = 0) -> None:
        limits = [(self.folders[each].quota, self.taken_in(each)) for each in places]
        if person is not None:
            limits.append((self.quotas.get(person), self.taken_by(person)))
        if any(quota is not None and sum(taken) + more > quota for quota, taken in limits):
            raise Refused("QuotaExceeded")

    # What goes.

    def _end(self, number: int, status: str, failure: str | None = None) -> None:
        upload = self.uploads[number]
        upload.status, upload.failure = status, failure
        self._remove(number)

    def _remove(self, number: int) -> None:
        """Now, and again when nothing can land any longer."""
        self.removals[number] = (self.now, self.now + LAST_ARRIVAL)
        if self.is_up:
            self._remove_now(number)

    def _remove_now(self, number: int) -> None:
        self.lose_parts(number)
        if number in self.locked:
            self.refused.add(number)
            self.removals[number] = (self.now + REFUSED_AGAIN, self.removals[number][1])
            return
        self.objects.pop(number, None)
        self.refused.discard(number)
        final = self.removals[number][1]
        if final <= self.now:
            del self.removals[number]
        else:
            self.removals[number] = (final, final)

    def lose_parts(self, number: int) -> None:
        """The bucket's rule for what is left open."""
        upload = self.uploads[number]
        if upload.store == "open":
            upload.store, upload.parts = "gone", {}

    def _require_store(self) -> None:
        if not self.is_up:
            raise Refused("Unavailable")
