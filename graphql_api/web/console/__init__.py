"""GraphiQL, served by ourselves: the page, its files, and the policy that keeps it from talking to anyone else.

Every file is fetched under the hash of its content, so browsers may keep it for good.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from graphql_api.web.answers import error_answer

FOLDER: Final = Path(__file__).parent
MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
STYLES: Final = ("graphiql.min.css", "console.css")
SCRIPTS: Final = ("react.production.min.js", "react-dom.production.min.js", "graphiql.min.js", "console.js")
NONCE_SIZE: Final = 16  # bytes; the standard asks for at least as many
HASHES: Final = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in STYLES + SCRIPTS}

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'nonce-{nonce}'",  # the dialogs put in a style element, and are told the nonce
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def page() -> Response:
    """The page. Its addresses are relative to ``/graphql``, so it works behind a path prefix too."""
    nonce = secrets.token_urlsafe(NONCE_SIZE)
    styles = "".join(f'<link rel="stylesheet" href="{_address(name)}">' for name in STYLES)
    scripts = "".join(f'<script src="{_address(name)}" nonce="{nonce}" defer></script>' for name in SCRIPTS)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>GraphQL console</title>'
        f'<link rel="icon" href="data:,">{styles}{scripts}</head>'
        '<body><div id="console">Loading …</div><noscript>The console needs JavaScript.</noscript></body></html>',
        headers={
            "content-security-policy": CONTENT_SECURITY_POLICY.format(nonce=nonce),
            "referrer-policy": "no-referrer",
        },
    )


def route() -> Route:
    """Serves the files the page names, and no others."""
    return Route("/graphql/console/{name}", _file, methods=["GET"])


def _address(name: str) -> str:
    return f"graphql/console/{name}?{HASHES[name][:16]}"


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in HASHES:
        return error_answer(404, "NOT_FOUND", "Not Found")
    path = FOLDER / name
    headers = {"cache-control": "public, max-age=31536000, immutable"}  # one year, in seconds
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)
