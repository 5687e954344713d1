"""The same on SQLite, where one process writes at a time: it is killed in the middle of its transaction."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.program import wait_for
from tests.faults.place import Place
from tests.faults.sender import SMALL, sender
from tests.faults.victim import victim

SPILLED = 3_000  # rows of a kilobyte: more than SQLite keeps in memory of a transaction (its cache_size is 2,000 KiB)
STOP = f"""
CREATE TABLE filling (content BLOB);
CREATE VIEW endless AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c;
CREATE TRIGGER stop AFTER INSERT ON files BEGIN
  INSERT INTO filling SELECT randomblob(1024) FROM endless LIMIT {SPILLED};
  SELECT count(*) FROM endless;
END
"""


def test_what_was_claimed_and_not_committed_is_claimed_by_the_next_try(sqlite_place: Place, tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with (
        sqlite_place.serving(tmp_path) as service,
        sender(service) as ada,
        victim(service, sqlite_place.proxy) as under,
    ):
        upload_id, other = ada.sent(), ada.sent()
        with closing(sqlite3.connect(path)) as database:
            database.executescript(STOP)
        under.begin(lambda: ada.complete(upload_id))
        # The log grows before the commit because the transaction is large, so this one is well beyond the claim.
        wait_for(lambda: path.with_name("test.db-wal").stat().st_size > SPILLED * 1024 / 2)
        under.kill()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM filling").fetchone() == (0,)
        database.execute("DROP TRIGGER stop")
    with sqlite_place.serving(tmp_path) as service, sender(service) as ada:
        assert ada.look(upload_id)["status"] == "PENDING"
        assert ada.completed(upload_id)["size"] == len(SMALL)
        sqlite_place.require_order()
        assert ada.look(other)["status"] == "COMPLETED"
