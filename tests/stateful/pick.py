"""What hypothesis chooses from: whatever exists in the model, the likely more often."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from tests.stateful.blobs import BLOBS, PIECES, Blob
from tests.stateful.model import Model
from tests.stateful.model.nouns import ADMIN, PEOPLE, UNFINISHED

T = TypeVar("T")
NAMES = ("a", "b.txt", "c", "d.txt", "e", "f", "g")


class Pick:
    """``numbers``: for what is made."""

    def __init__(self, data: st.DataObject, model: Model, numbers: Iterator[int]) -> None:
        self._data = data
        self.model = model
        self._numbers = numbers

    def new(self) -> int:
        return next(self._numbers)

    def one(self, label: str, options: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(options), label=label)

    def maybe(self, label: str) -> bool:
        """Seldom."""
        return self.one(label, (False, False, False, True))

    def person(self, likely: str | None = None) -> str:
        return self.one("who", PEOPLE if likely is None else (likely, likely, likely, likely, *PEOPLE, ADMIN))

    def name(self) -> str:
        return self.one("name", NAMES)

    def place(self, who: str | None = None) -> str:
        """Most likely one that they may enter, the newest above all."""
        places = list(self.model.folders)
        open_ = [each for each in places if who is None or self.model.may_enter(who, each)]
        return self.one("place", [*open_ * 4, *open_[-1:] * 2 * len(open_), *places])

    def subfolder(self) -> str:
        return self.one("folder", [handle for handle in self.model.folders if handle.startswith("folder")])

    def upload(self, *methods: str) -> int:
        """The newest that are not over most likely."""
        fit = [n for n, each in self.model.uploads.items() if not methods or each.wish.method in methods]
        alive = [n for n in fit if self.model.uploads[n].status in UNFINISHED]
        return self.one("upload", [*reversed(alive[-2:])] * len(fit) + alive + fit)

    def has(self, *methods: str) -> bool:
        return any(each.wish.method in methods for each in self.model.uploads.values())

    def file(self) -> int:
        """The newest most likely, so that much happens to a few."""
        files = list(self.model.files)
        return self.one("file", [*reversed(files[-2:])] * len(files) + files)

    def link(self) -> int:
        """The newest most likely."""
        links = list(self.model.links)
        return self.one("link", [*reversed(links[-2:])] * len(links) + links)

    def content(self, promised: Blob) -> Blob:
        """What is sent when this was promised: mostly that, or the same number of bytes."""
        alike = [blob for blob in BLOBS.values() if len(blob) == len(promised)]
        return self.one("content", [*[promised] * 2 * len(alike), *alike, BLOBS["one"]])

    def piece(self, right: Blob) -> Blob:
        """The same of a part."""
        alike = [piece for piece in PIECES.values() if len(piece) == len(right)]
        return self.one("content", [*[right] * 3, *alike, PIECES["ends"]])
