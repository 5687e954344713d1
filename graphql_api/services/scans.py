"""Asking a scanner of ours about the bytes of an upload: a job, done wherever jobs are done."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from graphql_api.db import uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.scan import ScanResult
from graphql_api.model.upload import UploadStatus
from graphql_api.scanning import Scanner
from graphql_api.services.verdicts import Verdicts
from graphql_api.storage import ObjectStore


class Scans:
    """Any number of processes may scan, even the same bytes at once."""

    def __init__(self, database: Database, store: ObjectStore, scanner: Scanner, verdicts: Verdicts) -> None:
        self._database = database
        self._store = store
        self._scanner = scanner
        self._verdicts = verdicts

    async def scan(self, object_key: str, _payload: Mapping[str, Any]) -> None:
        """Have the object scanned if its upload waits for that; what comes of it is for ``Verdicts``.

        Raises: Unavailable: no verdict yet. NotFound: the bytes went meanwhile.
        """
        async with self._database.autocommit() as connection:
            upload = await uploads.find_upload_of(connection, object_key)
        if upload is None or upload.status is not UploadStatus.PROCESSING:
            return
        found = await self._store.find(object_key)
        if found is None:
            return  # if it does not come back, its time will end
        if found.etag == upload.clean_etag:
            await self._verdicts.heed(upload)
            return
        read = 0

        async def counted(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            nonlocal read
            async for piece in pieces:
                read += len(piece)
                yield piece

        async with aclosing(self._store.read(object_key)) as pieces:
            verdict = await self._scanner.scan(counted(pieces))
        if verdict.result is ScanResult.CLEAN and read != upload.size:
            raise Unavailable("store")  # it has not sent everything, or the scanner has not listened to the end
        await self._verdicts.give(upload, verdict, found.etag)
