"""What happens without anybody."""

from datetime import timedelta

from tests.stateful.model.nouns import FIRST_LOOK, LOOK_FOR_VERDICT, OLD_ENOUGH, SCAN_PATIENCE, STRAYS_EVERY, UNFINISHED
from tests.stateful.model.uploads import Uploads


class Upkeep(Uploads):
    """What runs by itself."""

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
            for number in self._strays(OLD_ENOUGH):
                self.lose_parts(number)
        return "no strays"

    def _strays(self, age: timedelta) -> set[int]:
        return {
            number
            for number, upload in self.uploads.items()
            if upload.store == "open" and upload.status != "PENDING"
            if upload.begun is not None and upload.begun <= self.now - age
        }

    def reconcile(self) -> set[tuple[str, int]]:
        """What does not agree, of which strays are put right."""
        self._require_store()
        versions = {version for file in self.files.values() for version in file.versions.values()}
        strays = self._strays(OLD_ENOUGH + STRAYS_EVERY)
        for number in strays:
            self.lose_parts(number)
        findings = {("ALTERED", each) for each in self.swapped() & versions} | {("STRAY", each) for each in strays}
        return findings | {("REFUSED", each) for each in self.refused & self.objects.keys()}

    def swapped(self) -> set[int]:
        """Objects that are others than were verified, whether or not anybody has noticed."""
        return {n for n, content in self.objects.items() if self.uploads[n].kept not in (None, content)}
