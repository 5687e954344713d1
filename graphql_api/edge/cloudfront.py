"""CloudFront over HTTP, from where this process runs."""

import logging
import re
from typing import Final
from urllib.parse import urlsplit

import httpx

from graphql_api.edge import EdgeAnswer
from graphql_api.errors import Unavailable

log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0  # seconds, for connecting and for each read
MAX_ERROR: Final = 4_096  # bytes of a refusal that are read; CloudFront's have 150, S3's 500

_SAYS: Final = {name: re.compile(rf"<{name}>([\x20-\x7e]{{1,200}}?)</{name}>") for name in ("Code", "Message")}


class CloudFrontEdge:
    """An ``Edge``. Follows no redirects: what is signed is one address."""

    async def open(self, url: str) -> EdgeAnswer:
        """See ``Edge``."""
        host = urlsplit(url).hostname or ""
        is_here = host == "localhost" or host.startswith("127.") or host == "::1"
        try:
            # An edge on this machine is never behind a proxy, whatever HTTP_PROXY says.
            async with (
                httpx.AsyncClient(timeout=TIMEOUT, trust_env=not is_here) as client,
                client.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer,
            ):
                said = "" if answer.status_code in (200, 206) else await _beginning(answer)
        except httpx.HTTPError as error:
            log.warning("edge_unavailable error=%s", type(error).__name__)
            raise Unavailable("edge") from None  # its request has the whole address
        return EdgeAnswer(answer.status_code, *(_say(said, name) for name in ("Code", "Message")))


async def _beginning(answer: httpx.Response) -> str:
    read = b""
    async for chunk in answer.aiter_bytes():
        read += chunk
        if len(read) >= MAX_ERROR:
            break
    return read[:MAX_ERROR].decode("latin-1")


def _say(text: str, name: str) -> str:
    found = _SAYS[name].search(text)
    return found[1] if found else ""
