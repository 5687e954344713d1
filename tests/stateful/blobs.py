"""The few contents that uploads have here: some of one size, some that a scanner has something to say about."""

from typing import Final

from graphql_api.model.parts import MIN_PART_SIZE

PART: Final = MIN_PART_SIZE


class Blob(bytes):
    """Bytes that are shown by name: nobody reads five MiB of a failed comparison."""

    def __repr__(self) -> str:
        return _NAMES.get(self) or f"<{len(self)} bytes: {self[:10]!r}…{self[-10:]!r}>"

    def __deepcopy__(self, _memo: object) -> "Blob":
        return self


_LONG: Final = b"l" * PART
_OTHER: Final = b"o" * PART
BLOBS: Final = {
    name: Blob(content)
    for name, content in {
        "five": b"hello",
        "also-five": b"jello",
        "evil": b"Eicar",
        "murky": b"murky",
        "nine": b"nine char",
        "picture": b"\x89PNG\r\n\x1a\n1",  # nine bytes, which no text begins with
        "one": b"1",
        "empty": b"",
        "long": _LONG + b"end",
        "long-other-end": _LONG + b"END",
        "long-other-part": _OTHER + b"end",
    }.items()
}
PIECES: Final = {
    "long-part": Blob(_LONG),
    "other-part": Blob(_OTHER),
    "end": Blob(b"end"),
    "END": Blob(b"END"),
    "ends": Blob(b"ends"),
}
_NAMES: Final = {content: f"<{name}>" for name, content in (BLOBS | PIECES).items()}

INFECTED: Final = BLOBS["evil"]
UNSCANNABLE: Final = BLOBS["murky"]
PICTURE: Final = BLOBS["picture"]


def cut(content: bytes) -> dict[int, Blob]:
    """In parts, by number."""
    return {start // PART + 1: Blob(content[start : start + PART]) for start in range(0, len(content), PART)}
