"""The operations of the API that a client needs, one method each."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal
from uuid import uuid4

from graphql_api.client.api import Api
from graphql_api.client.errors import Refused, TransferFailed
from graphql_api.client.protocol import (
    ABORT_UPLOAD,
    COMPLETE_UPLOAD,
    CREATE_FOLDER,
    CREATE_UPLOAD,
    FILES,
    FIND_FILE,
    FIND_UPLOADS,
    GET_FOLDER,
    GET_LINK,
    GET_UPLOAD,
    SIGN_PART,
    SUBFOLDERS,
    TOP_FOLDERS,
    RemoteFile,
    RemoteFolder,
    RemoteUpload,
    SignedPut,
    Unfinished,
)

OnConflict = Literal["FAIL", "RENAME"]


class Remote:
    """All methods raise what ``Api`` raises."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def create_upload(self, wish: Mapping[str, Any]) -> RemoteUpload:
        """``wish`` is a ``CreateUploadInput``. When the answer is lost, the same upload is asked for again."""
        wish = {"idempotencyKey": uuid4().hex, **wish}
        return RemoteUpload.of((await self._api.tell(CREATE_UPLOAD, input=wish))["upload"])

    async def find_unfinished(self, filename: str, size: int, sha256: str | None) -> list[Unfinished]:
        """Uploads of the viewer that were promised so and are not over, the newest first."""
        fingerprint = {"filename": filename, "size": size} | ({"sha256": sha256} if sha256 else {})
        found = await self._api.ask(FIND_UPLOADS, status=["PENDING", "PROCESSING"], fingerprint=fingerprint)
        return [Unfinished.of(node) for node in found["uploads"]["nodes"]]

    async def get_upload(self, upload_id: str) -> RemoteUpload:
        """As it is now, with a fresh target. Raises: TransferFailed: there is none of this id."""
        found = (await self._api.ask(GET_UPLOAD, id=upload_id))["node"]
        if not found:
            raise TransferFailed("the upload is gone")
        return RemoteUpload.of(found)

    async def sign_part(self, upload_id: str, number: int, crc64nvme: str) -> SignedPut:
        """A request for one part, bound to its length and to this checksum (hex)."""
        wish = {"uploadId": upload_id, "parts": [{"partNumber": number, "crc64nvme": crc64nvme}]}
        [part] = (await self._api.tell(SIGN_PART, input=wish))["parts"]
        return SignedPut.of(part)

    async def complete_upload(
        self, upload_id: str, on_conflict: OnConflict, crc64nvme: str | None = None
    ) -> RemoteUpload:
        """``crc64nvme``: hex, of the whole, for the store to compare."""
        wish = {"uploadId": upload_id, "onConflict": on_conflict} | ({"crc64nvme": crc64nvme} if crc64nvme else {})
        return RemoteUpload.of((await self._api.tell(COMPLETE_UPLOAD, input=wish))["upload"])

    async def abort_upload(self, upload_id: str) -> None:
        """Give it up, and its bytes."""
        await self._api.tell(ABORT_UPLOAD, input={"uploadId": upload_id})

    async def find_file(self, *, path: str | None = None, file_id: str | None = None) -> RemoteFile | None:
        """By exactly one of the two."""
        by = {"id": file_id} if file_id is not None else {"path": path}
        found = (await self._api.ask(FIND_FILE, by=by))["file"]
        return found and RemoteFile.of(found)

    async def link(self, file_id: str) -> str | None:
        """A fresh signed address; None if the file is gone or may not be read."""
        found = (await self._api.ask(GET_LINK, id=file_id))["file"]
        signed = found and found["signedUrl"]
        return signed and str(signed["url"])

    async def get_folder(self, folder_id: str) -> RemoteFolder | None:
        """None if there is none that the viewer may see."""
        found = (await self._api.ask(GET_FOLDER, id=folder_id))["folder"]
        return found and RemoteFolder.of(found)

    async def ensure_folder(self, parent: RemoteFolder, name: str) -> RemoteFolder:
        """The folder of this name in ``parent``, made if there is none.

        Raises: Refused: also when a file has this name.
        """
        try:
            made = await self._api.tell(CREATE_FOLDER, input={"parentId": parent.id, "name": name})
            return RemoteFolder.of(made["folder"])
        except Refused as refused:
            is_folder = refused.conflicting_id and refused.conflicting_id.startswith("folder_")
            found = await self.get_folder(str(refused.conflicting_id)) if is_folder else None
            if not found:
                raise
            return found

    async def top_folders(self) -> list[RemoteFolder]:
        """Where the viewer's sight of the tree begins."""
        return [RemoteFolder.of(node) async for node in self._pages(TOP_FOLDERS, ("viewer", "topFolders"))]

    async def subfolders(self, folder: RemoteFolder) -> AsyncIterator[RemoteFolder]:
        """Those directly below, by name."""
        async for node in self._pages(SUBFOLDERS, ("folder", "subfolders"), id=folder.id):
            yield RemoteFolder.of(node)

    async def files(self, folder: RemoteFolder) -> AsyncIterator[RemoteFile]:
        """Those directly in it, by name."""
        async for node in self._pages(FILES, ("folder", "files"), id=folder.id):
            yield RemoteFile.of(node)

    async def _pages(self, document: str, way: tuple[str, str], **variables: str) -> AsyncIterator[Mapping[str, Any]]:
        after: str | None = None
        while True:
            holder = (await self._api.ask(document, after=after, **variables))[way[0]]
            if holder is None:
                raise TransferFailed("is gone")
            page = holder[way[1]]
            for node in page["nodes"]:
                yield node
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]
