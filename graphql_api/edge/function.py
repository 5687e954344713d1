"""The functions that CloudFront runs, as text to deploy: one refuses revoked links, one says how files are taken."""

from importlib.resources import files
from typing import Final, Literal

from graphql_api.errors import ConfigurationError
from graphql_api.model.media_type import INERT

MAX_SIZE: Final = 10_240
"""Bytes. Source: CloudFront developer guide, "Quotas on CloudFront Functions": 10 KB."""

_FAILURE: Final = "const FAILURE = 'refuse';"
_INERT: Final = "const INERT = /^$/;"


def revocation_function(*, failure: Literal["refuse", "allow"]) -> str:
    """``revocation.js`` with the setting filled in: what becomes of a link when the store cannot be read."""
    return _filled("revocation.js", _FAILURE, _FAILURE.replace("refuse", failure))


def presentation_function() -> str:
    """``presentation.js``: nosniff for all, a sandbox for what a browser might run, and how long it keeps a file."""
    return _filled("presentation.js", _INERT, f"const INERT = /^(?:{INERT})$/;")


def _filled(name: str, gap: str, filling: str) -> str:
    text = (files("graphql_api.edge") / name).read_text(encoding="ascii")
    filled = text.replace(gap, filling)
    if text.count(gap) != 1 or len(filled) > MAX_SIZE:
        raise ConfigurationError("The function that was installed with this version is not the one that belongs to it.")
    return filled
