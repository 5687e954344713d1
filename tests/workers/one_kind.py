"""A worker process with one kind of job: ``python -m tests.workers.one_kind DATABASE_URL FOLDER``.

It notes in FOLDER that it has begun a job, and ends the job once there is a file ``go``.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from graphql_api.db.engine import Database
from graphql_api.services.clock import utc_now
from graphql_api.services.outbox import Outbox
from graphql_api.web.logs import configure_logging
from graphql_api.workers import Loop, Worker


async def main(url: str, folder: Path) -> None:
    async def do(subject: str, _payload: Mapping[str, Any]) -> None:
        (folder / f"begun-{subject}").touch()
        while not (folder / "go").exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.02)

    database, stop = Database(url), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    outbox = Outbox(database, utc_now, {"test": do})
    await Worker([Loop("jobs", outbox.turn, timedelta(milliseconds=20))]).run(stop)
    await database.close()


if __name__ == "__main__":
    configure_logging("INFO")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
