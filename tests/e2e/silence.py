"""Silence as an HLS stream: a playlist, and as many segments as wished.

Sources: ISO/IEC 13818-3 (frames of MPEG-2 layer III); RFC 8216, sections 3.4 (packed audio) and 4.3 (tags).
"""

from collections.abc import Iterator, Sequence
from typing import Final

SAMPLES: Final = 576  # of a frame
RATE: Final = 24_000  # samples a second
FRAMES: Final = 10  # of a segment
SECONDS: Final = FRAMES * SAMPLES / RATE  # of a segment

# Layer III of MPEG-2 without a checksum, 8 kbit/s, 24 kHz, mono: 72 * 8,000 / 24,000 bytes. Zeros are silence.
FRAME: Final = b"\xff\xf3\x14\xc0" + bytes(20)
SEGMENT: Final = FRAME * FRAMES


def stream(segments: int) -> Iterator[tuple[str, str, bytes]]:
    """Path, media type and content of each of its files; the playlist is ``index.m3u8``."""
    names = [f"audio/{number:03}.mp3" for number in range(segments)]
    yield _playlist(3, names)
    for name in names:
        yield name, "audio/mpeg", SEGMENT


def stream_in_one(segments: int) -> Iterator[tuple[str, str, bytes]]:
    """The same, but all segments are ranges of one file (section 4.3.2.2)."""
    ranges = [f"#EXT-X-BYTERANGE:{len(SEGMENT)}@{number * len(SEGMENT)}\nall.mp3" for number in range(segments)]
    yield _playlist(4, ranges)
    yield "all.mp3", "audio/mpeg", SEGMENT * segments


def _playlist(version: int, segments: Sequence[str]) -> tuple[str, str, bytes]:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
    lines += [f"#EXTINF:{SECONDS:.3f},\n{segment}" for segment in segments]
    return "index.m3u8", "application/vnd.apple.mpegurl", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
