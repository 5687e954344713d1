"""The functions that CloudFront runs, as text to deploy: one refuses revoked links, one says how files are taken."""

from importlib.resources import files
from typing import Final, Literal

from graphql_api.errors import ConfigurationError

MAX_SIZE: Final = 10_240
"""Bytes. Source: CloudFront developer guide, "Quotas on CloudFront Functions": 10 KB."""

_FAILURE: Final = "const FAILURE = 'refuse';"


def revocation_function(*, failure: Literal["refuse", "allow"]) -> str:
    """``revocation.js`` with the setting filled in: what becomes of a link when the store cannot be read."""
    text = _text("revocation.js")
    filled = text.replace(_FAILURE, _FAILURE.replace("refuse", failure))
    if text.count(_FAILURE) != 1 or len(filled) > MAX_SIZE:
        raise ConfigurationError("The function that was installed with this version is not the one that belongs to it.")
    return filled


def presentation_function() -> str:
    """``presentation.js``: nosniff for all, a sandbox for what a browser would run, and how long it keeps a file."""
    return _text("presentation.js")


def _text(name: str) -> str:
    return (files("graphql_api.edge") / name).read_text(encoding="ascii")
