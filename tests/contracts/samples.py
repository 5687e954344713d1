"""Bytes that uploads carry, and the promise that fits them."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from awscrt.checksums import crc64nvme

from graphql_api.model.ids import new_object_key
from graphql_api.model.stored_object import PromisedObject

JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////"
    "////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)  # one pixel
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes and their media type."""

    content: bytes
    content_type: str

    def promise(self, *, with_checksum: bool = True) -> PromisedObject:
        """At a new key each time."""
        return PromisedObject(
            key=new_object_key(datetime.now(UTC)),
            size=len(self.content),
            content_type=self.content_type,
            sha256=sha256(self.content).hexdigest() if with_checksum else None,
        )


def crc64nvme_of(content: bytes) -> str:
    """In hex, as nouns carry it."""
    return f"{crc64nvme(content):016x}"


SAMPLES = {
    "jpeg": Sample(JPEG, "image/jpeg"),
    "pdf": Sample(PDF, "application/pdf"),
    "empty": Sample(b"", "text/plain; charset=utf-8"),
    "binary": Sample(bytes(range(256)) * 4096, "application/octet-stream"),  # 1 MiB
}
