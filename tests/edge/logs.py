"""Log files as tests need them."""

import gzip
import json
from collections.abc import Mapping

from tests.edge.examples import FIELDS

SIGNATURE = "MEUCIQDsecretsecretsecret"
LINE = {
    "date": "2026-11-22",
    "time": "11:59:59",
    "x-edge-location": "FRA56-P1",
    "sc-bytes": "512",
    "c-ip": "192.0.2.100",
    "cs-method": "GET",
    "cs(Host)": "d111111abcdef8.cloudfront.net",
    "cs-uri-stem": "/o/01jd9x2q6c8s5v7e0k3m4n5p6r",
    "sc-status": "200",
    "cs(User-Agent)": "Mozilla/5.0%2520(iPhone)",
    "cs-uri-query": f"Expires=1795348800&Signature={SIGNATURE}&Key-Pair-Id=K2JCJMDEHXQW5F",
    "x-edge-result-type": "Hit",
}


def values(**changes: str) -> dict[str, str]:
    """Of a line: a link that was followed to its end; names with underscores for hyphens."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return dict.fromkeys(FIELDS.split(), "-") | LINE | changed


def w3c(*lines: dict[str, str] | str, fields: str = FIELDS) -> bytes:
    """A file of these lines."""
    rows = [line if isinstance(line, str) else "\t".join(line[name] for name in fields.split()) for line in lines]
    return "".join(f"{row}\n" for row in ("#Version: 1.0", f"#Fields: {fields}", *rows)).encode()


def as_json(*lines: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def name(unique: str = "RT4KCN4SGK9", hour: str = "2026-11-22-11") -> str:
    return f"EMLARXS9EXAMPLE.{hour}.{unique}.gz"
