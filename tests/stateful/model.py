"""What should be true: a naive account of uploads, files and bytes, which shares no code with the product.

Whatever an upload brings is called by the number of the upload: its object, and the file if it made one. Sums are
taken anew whenever they are needed. A person who may do anything here may do everything, and others see nothing.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.stateful.blobs import INFECTED, PICTURE, UNSCANNABLE, Blob, cut

ROOT: Final = "root"
SHARED: Final = "shared"
PEOPLE: Final = ("alice", "bob")
ADMIN: Final = "admin"

UNFINISHED: Final = ("PENDING", "PROCESSING")
FIRST_LOOK: Final = timedelta(minutes=5)
TARGET_LIFETIME: Final = timedelta(hours=1)
UPLOAD_LIFETIME: Final = timedelta(days=1)
LONGEST_LIFETIME: Final = timedelta(days=7)
WORTH_EXTENDING: Final = timedelta(hours=1)
SLOW_TRANSFER: Final = timedelta(hours=1)  # of what was begun in time
LAST_ARRIVAL: Final = timedelta(days=1) + SLOW_TRANSFER
FORM_IS_OVER: Final = SLOW_TRANSFER + timedelta(minutes=15)  # the store's clock may differ
STRAYS_EVERY: Final = timedelta(hours=1)
OLD_ENOUGH: Final = timedelta(hours=1)  # for a store's upload without a row
REFUSED_AGAIN: Final = timedelta(hours=1)
SCAN_PATIENCE: Final = timedelta(days=1)
LOOK_FOR_VERDICT: Final = timedelta(hours=1)


class Refused(Exception):
    """Its text is the name of the product's error, and why an upload failed."""


def home_of(person: str) -> str:
    return f"{person}'s"


@dataclass(frozen=True)
class Wish:
    """``promised``: the content whose size and checksums are promised, whatever comes."""

    place: str
    name: str
    promised: bytes
    method: str = "PUT"
    binds_sha256: bool = False
    crc_of: bytes | None = None  # of this content the CRC-64/NVME is promised
    is_text: bool = False
    renames: bool = False
    replaces: int | None = None


@dataclass
class Upload:
    """``store``: whether the store's upload is to come ("none"), "open" or "gone"."""

    wish: Wish
    owner: str
    place: str | None
    name: str
    created: datetime
    expires: datetime
    look_at: datetime
    status: str = "PENDING"
    failure: str | None = None
    moved: datetime | None = None  # to PROCESSING
    clean: bytes | None = None  # what was called clean
    has_job: bool = False
    lands_until: datetime | None = None  # who has a target may send to it, and be slow
    store: str = "none"
    begun: datetime | None = None  # the store's upload
    parts: dict[int, bytes] = field(default_factory=dict)
    said: dict[int, bytes] = field(default_factory=dict)  # what was told of parts when they were signed
    kept: bytes | None = None  # what was verified
    check_at: datetime | None = None  # whether it is that still
    is_altered: bool = False

    @property
    def size(self) -> int:
        return len(self.wish.promised)

    @property
    def is_new_file(self) -> bool:
        return self.wish.replaces is None


@dataclass
class File:
    owner: str
    place: str
    name: str
    versions: dict[int, int]  # number -> upload
    current: int  # upload
    newest: int = 1


@dataclass
class Folder:
    parent: str
    owner: str
    name: str
    quota: int | None = None
    max_size: int | None = None
    takes_text_only: bool = False


class Model:
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
        self.objects: dict[int, bytes] = {}
        self.removals: dict[int, tuple[datetime, datetime]] = {}  # when due, and when for the last time
        self.locked: set[int] = set()  # objects that the store refuses to remove
        self.strays_at = now

    def copy(self) -> "Model":
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
        return next(each for n in range(2, 100) if (each := f"{stem} ({n}){dot}{extension}") not in taken)

    # Bytes, and who has room for them.

    def taken_by(self, person: str) -> tuple[int, int]:
        """Bytes stored, and bytes reserved."""
        return self._sums(lambda owner, _: owner == person)

    def taken_in(self, place: str) -> tuple[int, int]:
        inside = self.below(place)
        return self._sums(lambda _, there: there in inside)

    def _sums(self, counts: Any) -> tuple[int, int]:
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

    # The life of an upload.

    def create(self, number: int, who: str, wish: Wish) -> str:
        if (wish.method == "POST" and not wish.binds_sha256) or (wish.method == "MULTIPART" and not wish.promised):
            raise Refused("InvalidInput")
        if wish.replaces is not None:
            file = self._file_of(who, wish.replaces)
            place, name, holder = file.place, wish.name, file.owner
        else:
            if not self.may_enter(who, wish.place):
                raise Refused("NotFound")
            place, name, holder = wish.place, self._free_name(wish.place, wish.name, renames=wish.renames), who
        self._require_taken(self.above(place), len(wish.promised), is_text=wish.is_text)
        self._require_room(self.above(place), holder, len(wish.promised))
        expires = self.now + UPLOAD_LIFETIME
        self.uploads[number] = Upload(wish, who, place, name, self.now, expires, self.now + FIRST_LOOK)
        return "PENDING"

    def target(self, number: int) -> str:
        upload = self.uploads[number]
        if upload.status != "PENDING" or upload.expires <= self.now:
            return "None"
        self._begin(upload)
        self._promise_arrival(upload)
        return "a target"

    def sign(self, who: str, number: int, parts: dict[int, bytes | None]) -> str:
        """``parts``: by number, of what content the checksum is told, if it is."""
        if not parts:
            raise Refused("InvalidInput")
        upload = self._upload_of(who, number)
        if upload.wish.method != "MULTIPART":
            raise Refused("UploadStateConflict")
        if not parts.keys() <= cut(upload.wish.promised).keys():
            raise Refused("InvalidInput")
        if upload.status != "PENDING" or upload.expires <= self.now:
            raise Refused("UploadStateConflict")
        self._extend(upload)
        self._begin(upload)
        self._note_said(upload, parts)
        self._promise_arrival(upload)
        return "signed"

    def adopt(self, who: str, number: int, part: int) -> str:
        """The client begins an upload at the store itself and asks for a target of that one."""
        upload = self._upload_of(who, number)
        if upload.wish.method != "MULTIPART" or upload.status != "PENDING" or upload.expires <= self.now:
            raise Refused("UploadStateConflict")
        upload.store, upload.begun, upload.parts = "open", self.now, {}
        self._extend(upload)
        self._note_said(upload, {part: None})
        self._promise_arrival(upload)
        return "adopted"

    def _extend(self, upload: Upload) -> None:
        expires = min(self.now + UPLOAD_LIFETIME, upload.created + LONGEST_LIFETIME)
        if expires - upload.expires >= WORTH_EXTENDING:
            upload.expires = expires

    def _begin(self, upload: Upload) -> None:
        if upload.wish.method == "MULTIPART" and upload.store == "none":
            self._require_store()
            upload.store, upload.begun = "open", self.now

    def _promise_arrival(self, upload: Upload) -> None:
        lands_until = min(self.now + TARGET_LIFETIME, upload.expires) + SLOW_TRANSFER
        upload.lands_until = max(upload.lands_until or lands_until, lands_until)

    @staticmethod
    def _note_said(upload: Upload, parts: dict[int, bytes | None]) -> None:
        for number, content in parts.items():
            upload.said.pop(number, None)
            if content is not None:
                upload.said[number] = content

    def may_land(self, number: int) -> bool:
        lands_until = self.uploads[number].lands_until
        return lands_until is not None and self.now <= lands_until

    def put(self, number: int, content: bytes) -> str:
        """A PUT or POST is over. The store takes other bytes than were promised, for forms also later: we do not trust
        it.
        """
        upload = self.uploads[number]
        if not self.may_land(number) or upload.wish.method == "MULTIPART":
            return "the store refuses"
        if number in self.objects and upload.status not in UNFINISHED and upload.wish.method != "POST":
            return "the store refuses"
        self.objects[number] = content
        return "stored"

    def put_part(self, number: int, part: int, content: bytes) -> str:
        """One that is under way when the store's upload is given up may bring it back to life."""
        upload = self.uploads[number]
        is_late = upload.store == "gone" and upload.status not in (*UNFINISHED, "COMPLETED")
        if not self.may_land(number) or not (upload.store == "open" or is_late):
            return "the store refuses"
        if is_late:
            upload.store, upload.begun = "open", self.now
        upload.parts[part] = content
        return "stored"

    def lose_parts(self, number: int) -> None:
        """The bucket's rule for what is left open."""
        upload = self.uploads[number]
        if upload.store == "open":
            upload.store, upload.parts = "gone", {}

    def complete(self, who: str, number: int, *, renames: bool | None = None, crc_of: bytes | None = None) -> str:
        upload = self._upload_of(who, number)
        if upload.status == "PENDING":
            self._complete(who, number, upload, renames, upload.wish.crc_of or crc_of)
        elif upload.status == "PROCESSING" and upload.clean is not None:
            self._heed(number, upload)
        if upload.status == "COMPLETED":
            return "a file" if self.may_have(who, self._result(number)) else "a file that is gone"
        if upload.status == "PROCESSING":
            return "PROCESSING"
        raise Refused("UploadStateConflict" if upload.failure is None else f"UploadMismatch {upload.failure}")

    def arrived(self, number: int) -> str:
        """The same when nobody asks, by the right of the owner."""
        try:
            self.complete(self.uploads[number].owner, number)
        except Refused as refusal:
            if str(refusal) == "Unavailable":
                raise
        return self.uploads[number].status

    def _result(self, number: int) -> int:
        replaces = self.uploads[number].wish.replaces
        return number if replaces is None else replaces

    def _complete(self, who: str, number: int, upload: Upload, renames: bool | None, crc_of: bytes | None) -> None:
        self._require_store()
        is_joined = number not in self.objects and upload.wish.method == "MULTIPART" and self._has_all_parts(upload)
        if is_joined:
            if self._are_other_parts(upload, crc_of):
                self._end(number, "FAILED", "CHECKSUM_MISMATCH")
                return
            self.objects[number] = Blob(b"".join(upload.parts[part] for part in cut(upload.wish.promised)))
            upload.store, upload.parts = "gone", {}
        if number not in self.objects:
            if upload.store == "gone":
                upload.store = "none"  # whoever sends parts begins another
            if upload.expires > self.now:
                raise Refused("BytesMissing")
            self._end(number, "EXPIRED")
            return
        if (failure := self._fault(number, upload, crc_of)) is not None:
            self._end(number, "FAILED", failure)
            return
        self._settle(who, number, upload, upload.wish.renames if renames is None else renames)

    @staticmethod
    def _has_all_parts(upload: Upload) -> bool:
        plan = cut(upload.wish.promised)
        return all(len(upload.parts.get(part, b"")) == len(content) for part, content in plan.items())

    def _are_other_parts(self, upload: Upload, crc_of: bytes | None) -> bool:
        """Than was said of all of them, or of the whole."""
        parts = {part: upload.parts[part] for part in cut(upload.wish.promised)}
        is_all_said = upload.said.keys() >= parts.keys()
        if not self.tells and is_all_said and any(upload.said[part] != parts[part] for part in parts):
            return True
        return crc_of is not None and crc_of != b"".join(parts.values())

    def _fault(self, number: int, upload: Upload, crc_of: bytes | None) -> str | None:
        """How what the store holds differs from what was promised."""
        content, wish = self.objects[number], upload.wish
        has_crc = self.tells or wish.method == "MULTIPART"
        if len(content) != upload.size:
            return "SIZE_MISMATCH"
        if wish.binds_sha256 and wish.method != "MULTIPART" and content != wish.promised:
            return "CHECKSUM_MISMATCH"
        if has_crc and crc_of is not None and content != crc_of:
            return "CHECKSUM_MISMATCH"
        return "CONTENT_TYPE_MISMATCH" if wish.is_text and content == PICTURE else None

    def _settle(self, who: str, number: int, upload: Upload, renames: bool) -> None:
        """The bytes are as promised: to PROCESSING, or to a file."""
        becomes_file = self.judge == "NOBODY" or upload.status == "PROCESSING"
        replaced = None if upload.wish.replaces is None else self._file_of(who, upload.wish.replaces)
        place = upload.place if replaced is None else replaced.place
        if place is None or (replaced is None and not self.may_enter(who, place)):
            raise Refused("NotFound")
        try:
            self._require_taken(self.above(place), upload.size, is_text=upload.wish.is_text)
        except Refused:
            self._end(number, "FAILED", "NOT_ALLOWED")
            return
        if replaced is None and upload.status == "PENDING":
            upload.name = self._free_name(place, upload.name, renames=renames)
        if not becomes_file:
            upload.status, upload.moved = "PROCESSING", self.now
            upload.look_at = min(self.now + LOOK_FOR_VERDICT, self.now + SCAN_PATIENCE)
            upload.has_job = self.judge == "SCANNER"
            if upload.clean is not None:
                self._heed(number, upload)
            return
        upload.status, upload.kept = "COMPLETED", self.objects[number]
        if upload.wish.method == "POST":
            upload.check_at = upload.expires + FORM_IS_OVER
        if replaced is None:
            self.files[number] = File(upload.owner, place, upload.name, {1: number}, number)
            return
        replaced.newest += 1
        replaced.versions[replaced.newest] = replaced.current = number
        older = sorted(each for each, version in replaced.versions.items() if version != number)
        for each in older[: max(0, len(older) - (self.max_versions - 1))]:
            self._remove(replaced.versions.pop(each))

    def _end(self, number: int, status: str, failure: str | None = None) -> None:
        upload = self.uploads[number]
        upload.status, upload.failure = status, failure
        self._remove(number)

    def abort(self, who: str, number: int) -> str:
        upload = self._upload_of(who, number)
        if upload.status in ("PROCESSING", "COMPLETED"):
            raise Refused("UploadStateConflict")
        if upload.status == "PENDING":
            self._end(number, "ABORTED")
        return upload.status

    # Verdicts.

    def judged(self, number: int, verdict: str, content: bytes | None) -> str:
        """Somebody who looks at the bucket by himself has looked at ``content``."""
        upload = self.uploads[number]
        is_heard = verdict == "THREATS_FOUND" or (
            verdict in ("NO_THREATS_FOUND", "UNSUPPORTED") and self.judge == "EVENTS"
        )
        if is_heard and upload.status in UNFINISHED:
            if verdict == "NO_THREATS_FOUND":
                upload.clean = content
                if upload.status == "PROCESSING":
                    self._heed(number, upload)
            else:
                self._end(number, "FAILED", "INFECTED" if verdict == "THREATS_FOUND" else "NOT_SCANNED")
        return upload.status

    def scan(self, number: int) -> None:
        """Our scanner looks at it, if it is asked to."""
        upload = self.uploads[number]
        upload.has_job = False
        if upload.status != "PROCESSING":
            return
        content = self.objects[number]
        if content == INFECTED:
            self._end(number, "FAILED", "INFECTED")
        elif content == UNSCANNABLE:
            self._end(number, "FAILED", "NOT_SCANNED")
        elif len(content) != upload.size:
            upload.has_job = True  # it cannot have read all of what was verified
        else:
            upload.clean = content
            self._heed(number, upload)

    def _heed(self, number: int, upload: Upload) -> None:
        """What was called clean becomes a file, if it is what is there."""
        self._require_store()
        if self.objects.get(number) != upload.clean:
            return
        if (failure := self._fault(number, upload, upload.wish.crc_of)) is not None:
            self._end(number, "FAILED", failure)
            return
        self._settle(ADMIN, number, upload, renames=False)

    # What happens without anybody.

    def due_to_look_at(self) -> list[int]:
        return [n for n, each in self.uploads.items() if each.status in UNFINISHED and each.look_at <= self.now]

    def look_at(self, number: int) -> None:
        upload = self.uploads[number]
        if upload.status == "PROCESSING":
            assert upload.moved is not None
            gives_up = upload.moved + SCAN_PATIENCE
            if upload.clean is not None:
                self._heed(number, upload)
            if upload.status == "PROCESSING" and gives_up <= self.now:
                self._end(number, "FAILED", "NOT_SCANNED")
            elif upload.status == "PROCESSING":
                upload.has_job = self.judge == "SCANNER"
                upload.look_at = min(self.now + LOOK_FOR_VERDICT, gives_up)
            return
        if self.arrived(number) != "PENDING":
            return
        if upload.expires <= self.now:
            self._end(number, "EXPIRED")
        else:
            upload.look_at = min(self.now + max(FIRST_LOOK, self.now - upload.created), upload.expires)

    def sweep(self) -> str:
        due = [number for number, (due_at, _) in self.removals.items() if due_at <= self.now]
        if due:
            self._require_store()
        for number in due:
            self._remove_now(number)
        return "swept"

    def recheck(self) -> str:
        """What came by a form and is a file's is compared when no form can store it again."""
        for number, upload in self.uploads.items():
            if upload.check_at is not None and upload.check_at <= self.now:
                self._require_store()
                is_kept = any(number in file.versions.values() for file in self.files.values())
                upload.is_altered = is_kept and self.objects[number] != upload.kept
                upload.check_at = None
        return "rechecked"

    def abort_strays(self) -> str:
        if self.strays_at <= self.now:
            self._require_store()
            self.strays_at = self.now + STRAYS_EVERY
            for number, upload in self.uploads.items():
                is_old = upload.begun is not None and upload.begun <= self.now - OLD_ENOUGH
                if upload.status != "PENDING" and is_old:
                    self.lose_parts(number)
        return "no strays"

    def swapped(self) -> set[int]:
        """Objects that are others than were verified, whether or not anybody has noticed."""
        return {n for n, content in self.objects.items() if self.uploads[n].kept not in (None, content)}

    def _remove(self, number: int) -> None:
        """Now, and again when nothing can land any longer."""
        self.removals[number] = (self.now, self.now + LAST_ARRIVAL)
        if self.is_up:
            self._remove_now(number)

    def _remove_now(self, number: int) -> None:
        self.lose_parts(number)
        if number in self.locked:
            self.removals[number] = (self.now + REFUSED_AGAIN, self.removals[number][1])
            return
        self.objects.pop(number, None)
        final = self.removals[number][1]
        if final <= self.now:
            del self.removals[number]
        else:
            self.removals[number] = (final, final)

    def _require_store(self) -> None:
        if not self.is_up:
            raise Refused("Unavailable")

    # Files and folders.

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
            "folders": {
                handle: (each.parent, each.name) for handle, each in self.folders.items() if each.parent != ROOT
            },
            "names": {(place, name): entry for place in self.folders for name, entry in self.names_in(place).items()},
            "usage": usage,
            "objects": self.objects,
            "open": [(number, each.parts) for number, each in sorted(self.uploads.items()) if each.store == "open"],
        }
