"""The lives of uploads."""

from tests.stateful.blobs import INFECTED, PICTURE, UNSCANNABLE, Blob, cut
from tests.stateful.model.holdings import Holdings
from tests.stateful.model.nouns import (
    ADMIN,
    FIRST_LOOK,
    FORM_IS_OVER,
    LONGEST_LIFETIME,
    LOOK_FOR_VERDICT,
    SCAN_PATIENCE,
    SLOW_TRANSFER,
    TARGET_LIFETIME,
    UNFINISHED,
    UPLOAD_LIFETIME,
    WORTH_EXTENDING,
    File,
    Refused,
    Upload,
    Wish,
)


class Uploads(Holdings):
    """From the promise to a file, or to an end without one."""

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

    def sign(self, who: str, number: int, parts: dict[int, Blob | None]) -> str:
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
    def _note_said(upload: Upload, parts: dict[int, Blob | None]) -> None:
        for number, content in parts.items():
            upload.said.pop(number, None)
            if content is not None:
                upload.said[number] = content

    def may_land(self, number: int) -> bool:
        lands_until = self.uploads[number].lands_until
        return lands_until is not None and self.now <= lands_until

    def put(self, number: int, content: Blob) -> str:
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

    def put_part(self, number: int, part: int, content: Blob) -> str:
        """One that is under way when the store's upload is given up may bring it back to life."""
        upload = self.uploads[number]
        is_late = upload.store == "gone" and upload.status not in (*UNFINISHED, "COMPLETED")
        if not self.may_land(number) or not (upload.store == "open" or is_late):
            return "the store refuses"
        if is_late:
            upload.store, upload.begun = "open", self.now
        upload.parts[part] = content
        return "stored"

    def complete(self, who: str, number: int, *, renames: bool | None = None, crc_of: Blob | None = None) -> str:
        upload = self._upload_of(who, number)
        if crc_of is not None and upload.wish.crc_of not in (None, crc_of):
            raise Refused("InvalidInput")
        was_pending = upload.status == "PENDING"
        if was_pending:
            self._complete(who, number, upload, renames, upload.wish.crc_of or crc_of)
        elif upload.status == "PROCESSING" and upload.clean is not None:
            self._heed(number, upload)
        if crc_of is not None and upload.wish.crc_of is None and not was_pending:
            self._compare(number, upload, crc_of)
        if upload.status == "COMPLETED":
            return "a file" if self.may_have(who, self._result(number)) else "a file that is gone"
        if upload.status == "PROCESSING":
            return "PROCESSING"
        raise Refused("UploadStateConflict" if upload.failure is None else f"UploadMismatch {upload.failure}")

    def _compare(self, number: int, upload: Upload, crc_of: Blob) -> None:
        """Whoever was first did not know this checksum."""
        if upload.status not in ("COMPLETED", "PROCESSING"):
            return
        self._require_store()
        has_crc = self.tells or upload.wish.method == "MULTIPART"
        if number not in self.objects or not has_crc or self.objects[number] == crc_of:
            return
        if upload.status == "COMPLETED":
            raise Refused("UploadMismatch CHECKSUM_MISMATCH")
        self._end(number, "FAILED", "CHECKSUM_MISMATCH")

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

    def _complete(self, who: str, number: int, upload: Upload, renames: bool | None, crc_of: Blob | None) -> None:
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

    def _are_other_parts(self, upload: Upload, crc_of: Blob | None) -> bool:
        """Than was said of all of them, or of the whole."""
        parts = {part: upload.parts[part] for part in cut(upload.wish.promised)}
        is_all_said = upload.said.keys() >= parts.keys()
        if not self.tells and is_all_said and any(upload.said[part] != parts[part] for part in parts):
            return True
        return crc_of is not None and crc_of != b"".join(parts.values())

    def _fault(self, number: int, upload: Upload, crc_of: Blob | None) -> str | None:
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

    def abort(self, who: str, number: int) -> str:
        upload = self._upload_of(who, number)
        if upload.status in ("PROCESSING", "COMPLETED"):
            raise Refused("UploadStateConflict")
        if upload.status == "PENDING":
            self._end(number, "ABORTED")
        return upload.status

    # Verdicts.

    def judged(self, number: int, verdict: str, content: Blob | None) -> str:
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
        elif verdict == "THREATS_FOUND" and upload.status == "COMPLETED":
            upload.is_infected = True
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
