"""A real browser, and blank pages for it to stand on; both speak to this machine only."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.async_api import Browser, async_playwright

from tests.web.conftest import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """This machine's Chromium; without one the test is skipped, in CI it fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing("Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        await browser.close()


class _BlankPage(BaseHTTPRequestHandler):
    """Every path is an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def blank_pages(port: int) -> Iterator[str]:
    """The address of a page at an origin of its own; at ``localhost`` the same server is another origin."""
    with ThreadingHTTPServer(("127.0.0.1", port), _BlankPage) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def pages(pages_port: int) -> Iterator[str]:
    """The address of a blank page, at the origin that the store lets in."""
    with blank_pages(pages_port) as address:
        yield address


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as launched:
        yield launched
