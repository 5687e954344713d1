"""Small pages for people who follow a link: plain HTML without scripts, under a policy that lets nothing else in."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}"
    "body{color:#222;background:#fff}"
    "h1{font-size:1.4rem;overflow-wrap:anywhere}"
    "ul{list-style:none;padding:0}li{padding:.4rem 0;border-top:1px solid #ddd;overflow-wrap:anywhere}"
    "small{color:#595959}input,button{font:inherit;padding:.4rem .8rem}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#aaa}li{border-color:#444}"
    "a{color:#8ab4f8}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_UNITS: Final = ("kB", "MB", "GB", "TB")


def notice(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """One sentence."""
    return _page(text, f"<h1>{escape(text)}</h1>", status=status, headers=headers)


def password_form(*, was_wrong: bool, goes_to: str) -> Response:
    """Asks for the password of the address it stands at. ``goes_to``: the origin that a right one may lead on to."""
    said = '<p role="alert">That is not the password.</p>' if was_wrong else ""
    form = (
        f'<h1>This link has a password</h1>{said}<form method="post"><label>Password '
        '<input type="password" name="password" required autofocus autocomplete="off"></label> '
        "<button>Open</button></form>"
    )
    return _page("Password", form, status=403 if was_wrong else 200, goes_to=goes_to)


def download_form(name: str, size: int, *, goes_to: str) -> Response:
    """A button, because programs that look at links for people do not press buttons. ``size``: bytes."""
    form = (
        f"<h1>{escape(name)}</h1><p><small>{size_text(size)}</small></p>"
        '<form method="post"><button autofocus>Download</button></form>'
        "<p><small>This link works a limited number of times.</small></p>"
    )
    return _page(name, form, goes_to=goes_to)


def file_list(name: str, entries: Iterable[tuple[str, str, int]], next_page: str | None) -> Response:
    """``entries``: path, address and size (bytes) of each file. ``next_page``: an address."""
    items = "".join(
        f'<li><a href="{escape(address)}" rel="nofollow noreferrer">{escape(path)}</a> '
        f"<small>{size_text(size)}</small></li>"
        for path, address, size in entries
    )
    listed = f"<ul>{items}</ul>" if items else "<p>There are no files here.</p>"
    more = "" if next_page is None else f'<p><a href="{escape(next_page)}" rel="next">More</a></p>'
    return _page(name, f"<h1>{escape(name)}</h1>{listed}{more}")


def size_text(size: int) -> str:
    """``size`` in bytes, for people, in decimal units."""
    if size < 1000:
        return f"{size} bytes"
    thousands = min((len(str(size)) - 1) // 3, len(_UNITS))
    return f"{size / 1000**thousands:.1f} {_UNITS[thousands - 1]}"


def _page(
    title: str, body: str, *, status: int = 200, goes_to: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """``goes_to``: browsers hold a form's redirects to its policy, too."""
    forms = "'none'" if goes_to is None else f"'self' {goes_to}"
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; form-action {forms}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
    return HTMLResponse(html, status, {"content-security-policy": policy, **(headers or {})})
