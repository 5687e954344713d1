"""``python -m tests.services.links_elsewhere``: signs what standard input describes, as another process would."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql_api.access import read_grant
from graphql_api.model.delivery import Link, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.rule import PLAIN, ReadTerms
from graphql_api.services.delivery import Delivery
from graphql_api.services.link_signing import SignerInUse
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring, SigningKey

MADE_AT = datetime(2026, 11, 1, tzinfo=UTC)
WISHES = [
    LinkWish(timedelta(hours=1)),
    LinkWish(timedelta(minutes=5), filename="日本.pdf"),
    LinkWish(timedelta(days=1), starts_at=MADE_AT, ip_range="192.0.2.0/24"),
]


def grant(number: int, terms: ReadTerms = PLAIN) -> ReadGrant:
    """To the file of that number."""
    file = File(
        id=FileId(f"file_{number}"),
        folder_id=FolderId("folder_1"),
        owner_id=UserId("user_1"),
        name=f"Survey {number}.pdf",
        size=1,
        content_type="application/pdf",
        stored_content_type="application/pdf",
        sha256=None,
        object_key=f"o/{number}",
        created_at=MADE_AT,
        updated_at=MADE_AT,
        terms=terms,
    )
    found = read_grant(file)
    assert found is not None
    return found


def page(delivery: Delivery, files: int) -> list[Link]:
    """Links to the first so many files, for each of ``WISHES``."""
    grants = [grant(number) for number in range(files)]
    return [link for wish in WISHES for link in delivery.sign(grants, wish)]


def urls(description: dict[str, Any]) -> list[str]:
    now = datetime.fromisoformat(description["now"])
    window, longest = (timedelta(seconds=description[name]) for name in ("window", "longest"))
    signer = CloudFrontSigner("https://cdn.test", Keyring([SigningKey.from_pem("K1", description["pem"])]))
    delivery = Delivery(
        SignerInUse(signer), lambda: now, max_lifetime=longest, redirect_lifetime=longest, window=window, memory=2**20
    )
    return [link.url for link in page(delivery, description["files"])]


if __name__ == "__main__":
    json.dump([urls(each) for each in json.load(sys.stdin)], sys.stdout)
