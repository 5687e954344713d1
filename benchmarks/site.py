"""What all variants share: one database with files of many people, one person who asks, one set of keys."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import insert, text

from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from graphql_api.db.tables import Base, FileRow, FileScopeRow, FolderEntryRow, FolderRow, UserRow
from graphql_api.model.ids import ROOT_FOLDER_ID, new_file_id, new_folder_id, new_object_key, new_user_id
from graphql_api.model.names import name_key

CDN: Final = "https://cdn.example.com"
CDN_KEY_ID: Final = "K2JCJMDEHXQW5F"
BUCKET: Final = "benchmark-files"
REGION: Final = "eu-central-1"
STORE: Final = f"https://s3.{REGION}.amazonaws.com"
ACCESS_KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ISSUER: Final = "https://login.example.com"
AUDIENCE: Final = "graphql-api"
TOKEN_SECRET: Final = "a secret of at least thirty-two bytes"
SUBJECT: Final = "owner-0"
LINK_SECONDS: Final = 3600
WINDOW_SECONDS: Final = 1800  # the default of the settings
TARGET_SECONDS: Final = 3600

REVOCABLE: Final[Mapping[str, str]] = {
    "GRAPHQL_API_EDGE_STORE_ARN": "arn:aws:cloudfront::111122223333:key-value-store/benchmark"
}
"""The setting with which links can be revoked."""

# The product finds the files of an owner in their scopes; the naive program and the floor have an index of their own.
OWNER_INDEX: Final = "CREATE INDEX naive_files_of_owner ON files (owner_id, created_at, id)"

_TYPES: Final = (("jpg", "image/jpeg"), ("png", "image/png"), ("pdf", "application/pdf"), ("mp4", "video/mp4"))
_FOLDERS_OF_AN_OWNER: Final = 10


@dataclass(frozen=True, slots=True)
class Population:
    """How many files there are, of how many owners; the one who asks owns ``asker_files`` of them."""

    files: int
    owners: int
    asker_files: int


@dataclass(frozen=True, slots=True)
class Site:
    """One database and the keys; ``folder_id`` is a folder in which the one who asks may write."""

    database_url: str
    private_key: ec.EllipticCurvePrivateKey
    key_path: Path
    user_id: str
    folder_id: str

    @property
    def public_pem(self) -> str:
        public = self.private_key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def token(self) -> str:
        """A bearer token of the one who asks."""
        expires_at = datetime.now(UTC) + timedelta(days=1)
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "exp": expires_at}
        return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings under which our own service runs here."""
        settings = {
            "DATABASE_URL": self.database_url,
            "S3_BUCKET": BUCKET,
            "S3_REGION": REGION,
            "S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "CDN_BASE_URL": CDN,
            "CDN_KEY_ID": CDN_KEY_ID,
            "CDN_PRIVATE_KEY_FILE": str(self.key_path),
            "AUTH_HS256_SECRET": TOKEN_SECRET,
            "AUTH_ISSUER": ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "UPLOAD_TARGET_SECONDS": str(TARGET_SECONDS),
            "SWEEP_SECONDS": "0",
            "RATE_POINTS_PER_VIEWER": "1000000000",  # points are counted, and there are always some left
        }
        return {f"GRAPHQL_API_{name}": value for name, value in settings.items()}


def new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A key that signs links, which is also written to ``path``."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


async def build(
    database_url: str, population: Population, private_key: ec.EllipticCurvePrivateKey, key_path: Path
) -> Site:
    """Migrate and fill the database."""
    rows = _rows(population)
    database = Database(database_url)
    await migrate(database)
    async with database.transaction() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table), values)
        await connection.execute(text(OWNER_INDEX))
    await database.close()
    return Site(database_url, private_key, key_path, str(rows[UserRow][0]["id"]), str(rows[FolderRow][0]["id"]))


def _rows(population: Population) -> dict[type[Base], list[dict[str, object]]]:
    """In the order in which they can be inserted; the first user and folder are those of the one who asks."""
    shuffled = random.Random(1)  # the same order in every run
    start = datetime(2026, 1, 1, tzinfo=UTC)
    owners = [new_user_id(start) for _ in range(population.owners)]
    users: list[dict[str, object]] = [
        {
            "id": owner,
            "issuer": ISSUER,
            "subject": f"owner-{number}",
            "display_name": f"owner-{number}",
            "email": None,
            "created_at": start,
        }
        for number, owner in enumerate(owners)
    ]
    folders: list[dict[str, object]] = []
    homes: dict[str, list[str]] = {owner: [] for owner in owners}
    entries: list[dict[str, object]] = []
    for owner in owners:
        for number in range(_FOLDERS_OF_AN_OWNER):
            folder_id, name = new_folder_id(start), f"{owner} {number}"
            homes[owner].append(folder_id)
            entries.append({"folder_id": ROOT_FOLDER_ID, "name_key": name_key(name), "entry_id": folder_id})
            folders.append(
                {
                    "id": folder_id,
                    "parent_id": ROOT_FOLDER_ID,
                    "owner_id": owner,
                    "home_of": None,
                    "name": name,
                    "name_key": name_key(name),
                    "created_at": start,
                    "updated_at": start,
                }
            )
    others = population.files - population.asker_files
    whose = [owners[0]] * population.asker_files + [owners[1 + n % (len(owners) - 1)] for n in range(others)]
    shuffled.shuffle(whose)
    files: list[dict[str, object]] = []
    for number, owner in enumerate(whose):
        now = start + timedelta(seconds=number, microseconds=1 + number % 999_999)
        extension, content_type = _TYPES[number % len(_TYPES)]
        name = f"Site survey {number:06} final.{extension}"
        file_id, folder = new_file_id(now), homes[owner][number % _FOLDERS_OF_AN_OWNER]
        entries.append({"folder_id": folder, "name_key": name_key(name), "entry_id": file_id})
        files.append(
            {
                "id": file_id,
                "folder_id": folder,
                "owner_id": owner,
                "name": name,
                "name_key": name_key(name),
                "size": 1_000 + number,
                "content_type": content_type,
                "stored_content_type": content_type,
                "detected_content_type": content_type,
                "sha256": None,
                "object_key": new_object_key(now),
                "created_at": now,
                "updated_at": now,
            }
        )
    scopes = [
        {"scope": file[scope], "created_at": file["created_at"], "file_id": file["id"]}
        for file in files
        for scope in ("folder_id", "owner_id")
    ]
    return {UserRow: users, FolderRow: folders, FolderEntryRow: entries, FileRow: files, FileScopeRow: scopes}
