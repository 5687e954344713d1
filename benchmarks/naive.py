"""The naive program: the same API as tutorials and the documentation of its libraries would have it written.

An ORM session wherever one is needed, the access check row by row, the key read where it is used (boto3's guide,
"Generate a signed URL for Amazon CloudFront"), a client for each request, no caches.
"""

import secrets
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import jwt
import strawberry
from botocore.config import Config
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

from benchmarks import naive_models as models
from benchmarks import site
from benchmarks.site import Site


@dataclass
class Context:
    sessions: async_sessionmaker[AsyncSession]
    user: models.User
    key_path: Path


Info = strawberry.Info[Context, None]


def cloudfront_url(key_path: Path, object_key: str, name: str, expires_at: datetime) -> str:
    def sign(message: bytes) -> bytes:
        with open(key_path, "rb") as key_file:
            key = load_pem_private_key(key_file.read(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    signer = CloudFrontSigner(site.CDN_KEY_ID, sign)
    disposition = quote(f'inline; filename="{name}"', safe="")
    address = f"{site.CDN}/{object_key}?response-content-disposition={disposition}"
    return signer.generate_presigned_url(address, date_less_than=expires_at) + "&Hash-Algorithm=SHA256"


@strawberry.type
class SignedUrl:
    url: str
    expires_at: datetime


async def signed_url(root: "File", info: Info) -> SignedUrl | None:
    async with info.context.sessions() as session:
        owner = await session.get(models.User, root.row.owner_id)
    if owner is None or owner.id != info.context.user.id:
        return None
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=site.LINK_SECONDS)
    url = cloudfront_url(info.context.key_path, root.row.object_key, root.name, expires_at)
    return SignedUrl(url=url, expires_at=expires_at)


@strawberry.type
class File:
    row: strawberry.Private[models.File]
    id: strawberry.ID
    name: str
    size: int
    content_type: str
    created_at: datetime
    signed_url: SignedUrl | None = strawberry.field(resolver=signed_url)

    @classmethod
    def from_row(cls, row: models.File) -> "File":
        return cls(
            row=row,
            id=strawberry.ID(row.id),
            name=row.name,
            size=row.size,
            content_type=row.content_type,
            created_at=row.created_at.replace(tzinfo=UTC),  # SQLite gives it back without
        )


@strawberry.type
class PageInfo:
    end_cursor: str | None
    has_next_page: bool


@strawberry.type
class FileConnection:
    nodes: list[File]
    page_info: PageInfo


async def files(info: Info, first: int = 20) -> FileConnection:
    async with info.context.sessions() as session:
        found = await session.scalars(
            select(models.File)
            .where(models.File.owner_id == info.context.user.id)
            .order_by(models.File.created_at.desc(), models.File.id.desc())
            .limit(first + 1)
        )
        rows = found.all()
    nodes = [File.from_row(row) for row in rows[:first]]
    cursor = urlsafe_b64encode(f"{nodes[-1].created_at.isoformat()} {nodes[-1].id}".encode()).decode()
    return FileConnection(nodes=nodes, page_info=PageInfo(end_cursor=cursor, has_next_page=len(rows) > first))


@strawberry.type
class Query:
    files: FileConnection = strawberry.field(resolver=files)


@strawberry.type
class HttpHeader:
    name: str
    value: str


@strawberry.interface
class UploadTarget:
    expires_at: datetime


@strawberry.type
class PutUploadTarget(UploadTarget):
    url: str
    headers: list[HttpHeader]


async def target(root: "Upload") -> UploadTarget:
    row = root.row
    headers = {"Content-Type": row.content_type, "If-None-Match": "*"}
    parameters: dict[str, Any] = {
        "Bucket": site.BUCKET,
        "Key": row.object_key,
        "ContentType": row.content_type,
        "ContentLength": row.size,
        "IfNoneMatch": "*",
    }
    if row.sha256 is not None:
        checksum = b64encode(bytes.fromhex(row.sha256)).decode()
        headers["x-amz-checksum-sha256"] = parameters["ChecksumSHA256"] = checksum
    client = boto3.client(
        "s3",
        region_name=site.REGION,
        endpoint_url=site.STORE,
        aws_access_key_id=site.ACCESS_KEY_ID,
        aws_secret_access_key=site.SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    now = datetime.now(UTC).replace(microsecond=0)
    url = client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=site.TARGET_SECONDS)
    client.close()
    return PutUploadTarget(
        expires_at=now + timedelta(seconds=site.TARGET_SECONDS),
        url=url,
        headers=[HttpHeader(name=name, value=value) for name, value in headers.items()],
    )


@strawberry.type
class Upload:
    row: strawberry.Private[models.Upload]
    id: strawberry.ID
    target: UploadTarget | None = strawberry.field(resolver=target)


@strawberry.input
class CreateUploadInput:
    filename: str
    size: int
    content_type: str
    folder_id: strawberry.ID
    sha256: str | None = None


@strawberry.type
class UserError:
    code: str


@strawberry.type
class CreateUploadPayload:
    upload: Upload | None
    user_errors: list[UserError]


async def create_upload(info: Info, input: CreateUploadInput) -> CreateUploadPayload:
    now = datetime.now(UTC)
    async with info.context.sessions() as session:
        folder = await session.get(models.Folder, str(input.folder_id))
        if folder is None or folder.owner_id != info.context.user.id:
            return CreateUploadPayload(upload=None, user_errors=[UserError(code="NOT_FOUND")])
        if await session.get(models.Entry, (folder.id, input.filename.casefold())) is not None:
            return CreateUploadPayload(upload=None, user_errors=[UserError(code="CONFLICT")])
        row = models.Upload(
            id=f"upload_{uuid.uuid4().hex}",
            owner_id=info.context.user.id,
            folder_id=folder.id,
            file_id=f"file_{uuid.uuid4().hex}",
            filename=input.filename,
            size=input.size,
            content_type=input.content_type,
            sha256=input.sha256,
            object_key=f"o/{secrets.token_hex(13)}",
            on_conflict="FAIL",
            status="PENDING",
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=1),
        )
        session.add(row)
        await session.commit()
    return CreateUploadPayload(upload=Upload(row=row, id=strawberry.ID(row.id)), user_errors=[])


@strawberry.type
class Mutation:
    create_upload: CreateUploadPayload = strawberry.mutation(resolver=create_upload)


class App(GraphQL[Context, None]):
    """Strawberry's own ASGI application."""

    sessions: async_sessionmaker[AsyncSession]
    key_path: Path

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, site.TOKEN_SECRET, ["HS256"], audience=site.AUDIENCE, issuer=site.ISSUER)
        async with self.sessions() as session:
            found = await session.scalars(
                select(models.User).where(models.User.issuer == claims["iss"], models.User.subject == claims["sub"])
            )
            return Context(self.sessions, found.one(), self.key_path)


def application(place: Site) -> Starlette:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    url = make_url(place.database_url)
    # With the default, a page would open and close ten connections beyond the pool, or fewer, as it happens: up to half
    # as much again, and never the same twice.
    engine = create_async_engine(url.set(drivername=drivers[url.drivername]), pool_size=10, max_overflow=0)
    graphql = App(strawberry.Schema(query=Query, mutation=Mutation, types=[PutUploadTarget]))
    graphql.sessions = async_sessionmaker(engine, expire_on_commit=False)
    graphql.key_path = place.key_path

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await engine.dispose()

    return Starlette(routes=[Route("/graphql", graphql)], lifespan=lifespan)
