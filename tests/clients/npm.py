"""What the tests need of npm, installed when it is missing."""

import shutil
import subprocess
from pathlib import Path

from tests.web.conftest import missing

CLIENTS = Path(__file__).parent


def node_with_packages() -> str:
    """The path of ``node``; beside this file stand the packages that ``package.json`` names.

    Without Node the test is skipped, in CI it fails.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("node with npm")
    installed = CLIENTS / "node_modules" / ".package-lock.json"
    wanted = [CLIENTS / "package.json", *CLIENTS.glob("uppy*/package.json")]
    if not installed.exists() or installed.stat().st_mtime < max(path.stat().st_mtime for path in wanted):
        subprocess.run(
            [str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CLIENTS, check=True, timeout=100
        )
        installed.touch()  # npm leaves it alone when nothing was to be done
    return str(node)
