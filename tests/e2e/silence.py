"""Silence as an HLS stream: a playlist, and as many segments as wished.

Sources: ISO/IEC 13818-3 (frames of MPEG-2 layer III); RFC 8216, sections 3.4 (packed audio) and 4.3 (tags).
"""

from collections.abc import Iterator
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
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for name in names:
        lines += [f"#EXTINF:{SECONDS:.3f},", name]
    playlist = "\n".join([*lines, "#EXT-X-ENDLIST", ""])
    yield "index.m3u8", "application/vnd.apple.mpegurl", playlist.encode()
    for name in names:
        yield name, "audio/mpeg", SEGMENT
