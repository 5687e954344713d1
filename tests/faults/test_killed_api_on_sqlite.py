"""The same on SQLite, where one process writes at a time: it is killed in the middle of its transaction."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from graphql_api.model.ids import UploadId
from graphql_api.model.principal import Identity
from graphql_api.model.upload import UploadStatus
from tests.cli.program import wait_for
from tests.faults.place import Place
from tests.faults.sender import SMALL, sender
from tests.faults.victim import victim

FILLING = 16_000  # rows of a kilobyte; of a transaction SQLite keeps 2,000 KiB in memory (its cache_size)
GROWTH = 4 * 1024**2  # bytes; more than one of our own transactions has ever written
STOP = f"""
CREATE TABLE filling (content BLOB);
CREATE VIEW endless AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c;
CREATE TRIGGER stop AFTER INSERT ON files BEGIN
  INSERT INTO filling SELECT randomblob(1024) FROM endless LIMIT {FILLING};
  SELECT count(*) FROM endless;
END
"""


def test_what_was_claimed_and_not_committed_is_claimed_by_the_next_try(sqlite_place: Place, tmp_path: Path) -> None:
    path, log = tmp_path / "test.db", tmp_path / "test.db-wal"
    with (
        sqlite_place.serving(tmp_path) as service,
        sender(service) as ada,
        victim(service, sqlite_place.proxy) as under,
    ):
        upload_id, _ = ada.sent(), ada.sent()
        with closing(sqlite3.connect(path)) as database:
            database.executescript(STOP)
        before = log.stat().st_size
        under.begin(lambda: ada.complete(upload_id))
        # The log grows before the commit because the transaction is large: it is at the trigger, well beyond the claim.
        wait_for(lambda: log.stat().st_size > before + GROWTH)
        under.kill()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM filling").fetchone() == (0,)
        database.execute("DROP TRIGGER stop")
    assert asyncio.run(size_after_the_next_try(sqlite_place, UploadId(upload_id))) == len(SMALL)
    sqlite_place.require_order()
    assert len(sqlite_place.stored()) == 2  # upkeep has completed the other one


async def size_after_the_next_try(place: Place, upload_id: UploadId) -> int:
    """Of the file that another process makes of a PENDING upload of ada's."""
    async with place.assembled() as parts:
        services = parts.services
        ada = await services.accounts.principal_of(Identity(place.around.issuer.url, "ada", "Ada"))
        assert (await services.uploads.get(ada, upload_id)).status is UploadStatus.PENDING
        _, file = await services.completion.complete(ada, upload_id)
        assert file
        return file.size
