"""The floor: what the same answers cost when written by hand for these two questions and nothing else.

No GraphQL, no validation, no error handling: SQL text, signatures that are remembered for a window, orjson.
"""

import hmac
import secrets
from abc import ABC, abstractmethod
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

import aiosqlite
import asyncpg  # type: ignore[import-untyped]  # has neither stubs nor py.typed
import jwt
import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks import site
from benchmarks.site import Site

ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
CLOUDFRONT = bytes.maketrans(b"+=/", b"-_~")

USER = "SELECT id FROM users WHERE issuer = $1 AND subject = $2"
PAGE = """
    SELECT id, name, size, content_type, object_key, created_at FROM files
    WHERE owner_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
"""
# The folder is the asker's and the name is free, or nothing is inserted.
RESERVE = """
    INSERT INTO uploads (id, owner_id, folder_id, file_id, filename, size, content_type, sha256, object_key,
                         on_conflict, status, created_at, updated_at, expires_at)
    SELECT $1, owner_id, folders.id, $3, $4, $5, $6, $7, $8, 'FAIL', 'PENDING', $9, $9, $10 FROM folders
    WHERE folders.id = $11 AND folders.owner_id = $2 AND NOT EXISTS
        (SELECT 1 FROM folder_entries WHERE folder_id = folders.id AND name_key = $12)
    RETURNING id
"""


class Rows(ABC):
    """Runs SQL with ``$1`` parameters."""

    @abstractmethod
    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]: ...

    @abstractmethod
    async def among(self, sql: str, values: Sequence[str], *parameters: object) -> Sequence[Any]:
        """``$1`` is a list of texts."""

    @abstractmethod
    def instant(self, value: datetime) -> object:
        """As the driver takes it."""

    @abstractmethod
    def shown(self, value: Any) -> object:
        """An instant of the driver, as orjson writes it in RFC 3339."""

    @abstractmethod
    async def close(self) -> None: ...


class PostgresRows(Rows):
    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        rows: Sequence[Any] = await self._pool.fetch(sql, *parameters)
        return rows

    async def among(self, sql: str, values: Sequence[str], *parameters: object) -> Sequence[Any]:
        return await self.fetch(sql, values, *parameters)

    def instant(self, value: datetime) -> object:
        return value

    def shown(self, value: Any) -> object:
        return value

    async def close(self) -> None:
        await self._pool.close()


class SqliteRows(Rows):
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        # SQLite knows $1 as the name of a parameter, which the sqlite3 module numbers by first appearance.
        return list(await self._connection.execute_fetchall(_numbered(sql), parameters))

    async def among(self, sql: str, values: Sequence[str], *parameters: object) -> Sequence[Any]:
        return await self.fetch(sql, orjson.dumps(values).decode(), *parameters)

    def instant(self, value: datetime) -> object:
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")

    def shown(self, value: Any) -> object:
        return value.replace(" ", "T") + "Z"

    async def close(self) -> None:
        await self._connection.close()


@lru_cache
def _numbered(sql: str) -> str:
    return sql.replace("$", "?")


async def connect(url: str) -> Rows:
    """``url`` as our own settings have it."""
    if not url.startswith("sqlite"):

        async def keep(connection: object) -> None:
            """The pool would ask the server to reset what is never changed."""

        return PostgresRows(await asyncpg.create_pool(url, min_size=1, reset=keep, server_settings={"jit": "off"}))
    connection = await aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    await connection.execute("PRAGMA synchronous = NORMAL")
    await connection.execute("PRAGMA foreign_keys = ON")
    return SqliteRows(connection)


class Floor:
    def __init__(self, place: Site) -> None:
        self._place = place
        self._users: dict[str, str] = {}
        self._link = lru_cache(maxsize=20_000)(partial(link, place.private_key))
        self.app = Starlette(
            routes=[
                Route("/files", self._files, methods=["POST"]),
                Route("/uploads", self._uploads, methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._rows = await connect(self._place.database_url)
        try:
            yield
        finally:
            await self._rows.close()

    async def _asker(self, request: Request) -> str:
        token = request.headers["authorization"].removeprefix("Bearer ")
        user_id = self._users.get(token)
        if user_id is None:
            claims = jwt.decode(token, site.TOKEN_SECRET, ["HS256"], audience=site.AUDIENCE, issuer=site.ISSUER)
            ((user_id,),) = await self._rows.fetch(USER, claims["iss"], claims["sub"])
            assert isinstance(user_id, str)
            self._users[token] = user_id
        return user_id

    async def _files(self, request: Request) -> Response:
        owner = await self._asker(request)
        asked = orjson.loads(await request.body())
        first, has_links, shown = asked["first"], asked["links"], self._rows.shown
        rows = await self._rows.fetch(PAGE, owner, first + 1)
        wished = int(datetime.now(UTC).timestamp()) + site.LINK_SECONDS
        expires = wished + site.WINDOW_SECONDS - wished % site.WINDOW_SECONDS
        expires_at = datetime.fromtimestamp(expires, UTC)
        nodes = []
        for id_, name, size, content_type, object_key, created_at in rows[:first]:
            node = {
                "id": id_,
                "name": name,
                "size": size,
                "contentType": content_type,
                "createdAt": shown(created_at),
            }
            if has_links:
                node["signedUrl"] = {
                    "url": self._link(object_key, name, expires),
                    "expiresAt": expires_at,
                }
            nodes.append(node)
        last = nodes[-1]
        cursor = urlsafe_b64encode(orjson.dumps([last["createdAt"], last["id"]])).decode()
        page = {"nodes": nodes, "pageInfo": {"endCursor": cursor, "hasNextPage": len(rows) > first}}
        return _json({"data": {"files": page}})

    async def _uploads(self, request: Request) -> Response:
        owner = await self._asker(request)
        wish = orjson.loads(await request.body())["variables"]["input"]
        now = datetime.now(UTC)
        id_, key, instant = f"upload_{secrets.token_hex(13)}", f"o/{secrets.token_hex(13)}", self._rows.instant
        reserved = await self._rows.fetch(
            RESERVE,
            id_,
            owner,
            f"file_{secrets.token_hex(13)}",
            wish["filename"],
            wish["size"],
            wish["contentType"],
            wish["sha256"],
            key,
            instant(now),
            instant(now + timedelta(days=1)),
            wish["folderId"],
            wish["filename"].casefold(),
        )
        assert reserved
        headers = {
            "Content-Type": wish["contentType"],
            "If-None-Match": "*",
            "x-amz-checksum-sha256": b64encode(bytes.fromhex(wish["sha256"])).decode(),
        }
        target = {
            "expiresAt": now.replace(microsecond=0) + timedelta(seconds=site.TARGET_SECONDS),
            "url": put_url(f"{site.STORE.replace('://', f'://{site.BUCKET}.')}/{key}", headers, wish["size"], now),
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
        }
        return _json({"data": {"createUpload": {"upload": {"id": id_, "target": target}, "userErrors": []}}})


def link(key: ec.EllipticCurvePrivateKey, object_key: str, name: str, expires: int) -> str:
    """A CloudFront link with a canned policy."""
    disposition = quote(f'inline; filename="{name}"', "")
    address = f"{site.CDN}/{object_key}?response-content-disposition={disposition}"
    condition = f'{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}'
    policy = f'{{"Statement":[{{"Resource":"{address}","Condition":{condition}}}]}}'
    signature = b64encode(key.sign(policy.encode(), ECDSA)).translate(CLOUDFRONT).decode()
    return f"{address}&Expires={expires}&Signature={signature}&Key-Pair-Id={site.CDN_KEY_ID}&Hash-Algorithm=SHA256"


def put_url(url: str, headers: dict[str, str], size: int, now: datetime) -> str:
    """A presigned PUT that binds ``headers`` and the length, by SigV4."""
    timestamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{timestamp[:8]}/{site.REGION}/s3/aws4_request"
    parts = urlsplit(url)
    lines = {name.lower(): value for name, value in headers.items()}
    lines |= {"content-length": str(size), "host": parts.netloc}
    names = sorted(lines)
    signed = ";".join(names)
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{site.ACCESS_KEY_ID}/{scope}', '')}"
        f"&X-Amz-Date={timestamp}&X-Amz-Expires={site.TARGET_SECONDS}&X-Amz-SignedHeaders={quote(signed, '')}"
    )
    canonical = "".join([f"{name}:{lines[name]}\n" for name in names])
    request = f"PUT\n{parts.path}\n{query}\n{canonical}\n{signed}\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    return f"{url}?{query}&X-Amz-Signature={hmac.digest(day_key(timestamp[:8]), text.encode(), 'sha256').hex()}"


@lru_cache
def day_key(day: str) -> bytes:
    key = f"AWS4{site.SECRET_ACCESS_KEY}".encode()
    for part in (day, site.REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _json(data: object) -> Response:
    return Response(orjson.dumps(data, option=orjson.OPT_UTC_Z), media_type="application/json")
