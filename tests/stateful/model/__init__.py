"""What should be true: a naive account of uploads, files, bytes and share links, which shares no code with the product.

Whatever an upload brings is called by the number of the upload: its object, and the file if it made one. Sums are
taken anew whenever they are needed. A person who may do anything here may do everything, and others see nothing.
"""

from collections.abc import Iterable
from typing import Any

from tests.stateful.model.links import Links
from tests.stateful.model.nouns import PEOPLE, ROOT, UNFINISHED, Folder, Refused
from tests.stateful.model.upkeep import Upkeep


class Model(Upkeep, Links):
    """All of it: beside what its bases know, files and folders."""

    def rename(self, who: str, number: int, name: str) -> str:
        file = self._file_of(who, number)
        if name != file.name:
            file.name = self._free_name(file.place, name, renames=False)
        return "renamed"

    def move_file(self, who: str, number: int, place: str) -> str:
        file = self._file_of(who, number)
        if not self.may_enter(who, place):
            raise Refused("NotFound")
        if file.place == place:
            return "moved"
        self._free_name(place, file.name, renames=False)
        gained = [each for each in self.above(place) if each not in self.above(file.place)]
        current = self.uploads[file.current]
        self._require_taken(gained, current.size, is_text=current.wish.is_text)
        trial = self.copy()
        trial._put_file(number, place)
        trial._require_room(gained)
        self._put_file(number, place)
        return "moved"

    def _put_file(self, number: int, place: str) -> None:
        self.files[number].place = place
        for upload in self.uploads.values():
            if upload.wish.replaces == number and upload.status in UNFINISHED:
                upload.place = place

    def delete_file(self, who: str, number: int) -> str:
        self._file_of(who, number)
        self._lose_files([number])
        return "deleted"

    def _lose_files(self, numbers: Iterable[int]) -> None:
        self._lose_links(set(numbers))
        for number in numbers:
            for each, upload in self.uploads.items():
                if upload.wish.replaces == number and upload.status in UNFINISHED:
                    self._end(each, "ABORTED")
            for version in self.files.pop(number).versions.values():
                self._remove(version)

    def restore(self, who: str, number: int, version: int) -> str:
        file = self._file_of(who, number)
        if version not in file.versions.values():
            raise Refused("NotFound")
        file.current = version
        return "restored"

    def delete_version(self, who: str, number: int, version: int) -> str:
        file = self._file_of(who, number)
        if version not in file.versions.values():
            return "NotFound"
        if version == file.current:
            return "Conflict"
        file.versions = {each: other for each, other in file.versions.items() if other != version}
        self._remove(version)
        return "deleted"

    def make_folder(self, handle: str, who: str, parent: str, name: str) -> str:
        if not self.may_enter(who, parent):
            raise Refused("NotFound")
        self.folders[handle] = Folder(parent, who, self._free_name(parent, name, renames=False))
        return "made"

    def move_folder(self, who: str, handle: str, parent: str) -> str:
        if not self.may_enter(who, handle) or not self.may_enter(who, parent):
            raise Refused("NotFound")
        folder = self.folders[handle]
        if folder.parent == parent:
            return "moved"
        if handle in self.above(parent):
            raise Refused("InvalidInput")
        gains = self._given(self.above(parent)[-1]) - self._given(self.above(handle)[-1])
        if gains and not self._is_given(who, handle):
            raise Refused("Forbidden")  # who owns a folder does not own what others keep inside
        self._free_name(parent, folder.name, renames=False)
        gained = [each for each in self.above(parent) if each not in self.above(handle)]
        for file in self.files.values():
            if file.place in self.below(handle):
                current = self.uploads[file.current]
                self._require_taken(gained, current.size, is_text=current.wish.is_text)
        trial = self.copy()
        trial.folders[handle].parent = parent
        trial._require_room(gained)
        folder.parent = parent
        return "moved"

    def delete_folder(self, who: str, handle: str, *, is_recursive: bool) -> str:
        if not self.may_enter(who, handle):
            raise Refused("NotFound")
        going = self.below(handle) if is_recursive else {handle}
        files = [number for number, file in self.files.items() if file.place in going]
        if not is_recursive and (files or self.below(handle) != {handle}):
            raise Refused("Conflict")
        may_all = all(self.may_enter(who, each) for each in going) and all(self.may_have(who, each) for each in files)
        if not may_all:
            raise Refused("Forbidden")
        for number, upload in self.uploads.items():
            if upload.place in going and upload.status in UNFINISHED:
                self._end(number, "ABORTED")
        self._lose_files(files)
        self._lose_links(going)
        for upload in self.uploads.values():
            if upload.place in going:
                upload.place = None
        for each in going:
            del self.folders[each]
        return "deleted"

    # All of it, in the form in which it can be compared.

    def state(self) -> dict[str, Any]:
        usage = {person: self.taken_by(person) for person in PEOPLE}
        usage |= {handle: self.taken_in(handle) for handle, each in self.folders.items() if each.quota is not None}
        return {
            "uploads": {
                number: (each.status, each.failure, each.place, each.name, each.expires)
                for number, each in self.uploads.items()
            },
            "files": {
                number: (each.owner, each.place, each.name, each.current, each.versions)
                for number, each in self.files.items()
            },
            "altered": {
                version: file.current == version
                for file in self.files.values()
                for version in file.versions.values()
                if self.uploads[version].is_altered
            },
            "infected": {
                version: file.current == version
                for file in self.files.values()
                for version in file.versions.values()
                if self.uploads[version].is_infected
            },
            "links": {
                number: (each.maker, each.thing, each.downloads, each.is_revoked) for number, each in self.links.items()
            },
            "folders": {
                handle: (each.parent, each.name) for handle, each in self.folders.items() if each.parent != ROOT
            },
            "names": {(place, name): entry for place in self.folders for name, entry in self.names_in(place).items()},
            "usage": usage,
            "objects": self.objects,
            "open": [(number, each.parts) for number, each in sorted(self.uploads.items()) if each.store == "open"],
        }
