"""What is asked for of bundles."""

import strawberry

from graphql_api.model.bundle import MAX_ENTRIES, MAX_PATH_LENGTH
from graphql_api.model.upload import OnConflict
from graphql_api.schema.ids import folder_id
from graphql_api.schema.inputs import ABSENT, given
from graphql_api.schema.scalars import ByteSize
from graphql_api.services.bundle_wishes import BundleWish, EntryWish


@strawberry.input(description="One object of a bundle.")
class BundleEntryInput:
    path: str = strawberry.field(
        description=f"Path in the bundle, 1-{MAX_PATH_LENGTH} characters, such as low/0.ts: segments of letters, "
        "digits and _ . - that do not begin with a dot."
    )
    size: ByteSize = strawberry.field(description="Exact length.")
    content_type: str = strawberry.field(description="Media type.")
    sha256: str | None = strawberry.field(description="SHA-256 in hex, as for an upload.", default=ABSENT)
    crc64nvme: str | None = strawberry.field(
        description="CRC-64/NVME of the whole as 16 hex digits, as for an upload.", default=ABSENT
    )


@strawberry.input(description="A file that is made of many objects.")
class CreateBundleInput:
    name: str = strawberry.field(description="Name of the file, 1-255 characters, no slash.")
    main_path: str = strawberry.field(description="The entry where a player begins, such as index.m3u8.")
    entries: list[BundleEntryInput] = strawberry.field(description=f"1-{MAX_ENTRIES} of them.")
    folder_id: strawberry.ID | None = strawberry.field(
        description="Folder; the viewer's own if absent, the root for a viewer without one.", default=ABSENT
    )
    on_conflict: OnConflict = strawberry.field(
        description="What to do when the name is taken, now or at completion.", default=OnConflict.FAIL
    )
    idempotency_key: str | None = strawberry.field(
        description="Same key and input within 24 hours: the same bundle, as it is then.", default=ABSENT
    )

    def wish(self) -> BundleWish:
        target = given(self.folder_id)
        return BundleWish(
            name=self.name,
            main_path=self.main_path,
            entries=[
                EntryWish(each.path, each.size, each.content_type, given(each.sha256), given(each.crc64nvme))
                for each in self.entries
            ],
            folder_id=None if target is None else folder_id(target),
            on_conflict=self.on_conflict,
            idempotency_key=given(self.idempotency_key),
        )
