"""CloudFront Functions: the text that would be deployed, run in a JavaScript engine for each request or response.

The engine is QuickJS, which knows more of the language than ``cloudfront-js-2.0``; a test looks that the text does not
use it. The module ``cloudfront`` is a stand-in with the three methods of a key value store that the guide has.

Source: Amazon CloudFront Developer Guide, "CloudFront Functions event structure" (a function may change the path, which
then begins with a slash), "JavaScript runtime 2.0 features for CloudFront Functions", "Helper methods for key value
stores".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.localcloud.signature import ViewerRequest

try:
    import quickjs
except ImportError:
    NOT_INSTALLED: Final = (
        "The local edge needs the package `quickjs-ng`, which is missing: pip install 'graphql-api[dev]'"
    )
    raise ConfigurationError(NOT_INSTALLED) from None

IMPORT: Final = "import cf from 'cloudfront';\n"

_CLOUDFRONT: Final = """{
    const found = (key) => {
        const value = read(String(key));
        if (value === false) throw new Error("the key value store cannot be read");
        return value;
    };
    ({ kvs: () => ({
        exists: async (key) => found(key) !== null,
        get: async (key) => {
            const value = found(key);
            if (value === null) throw new Error("there is no such key");
            return value;
        },
    }) })
}"""
_RUN: Final = """(handler, event) => {
    outcome = null;
    Promise.resolve(handler(JSON.parse(event))).then(
        (value) => { outcome = JSON.stringify({ value: value }); },
        (error) => { outcome = JSON.stringify({ error: String(error) }); });
}"""


Pairs = tuple[tuple[str, str], ...]


class KeyValues(Protocol):
    """What a function can read."""

    def find(self, key: str) -> str | None:
        """The value; None: there is no such key. Raises: Unavailable."""


class FunctionFailed(Exception):
    """The function threw, or returned what is neither the request nor a response; CloudFront answers 503."""


@dataclass(frozen=True, slots=True)
class FunctionResponse:
    """What the function answers itself."""

    status: int
    headers: Pairs
    body: bytes


class EdgeFunction:
    """A viewer request function with a key value store. Not for several threads."""

    def __init__(self, text: str, store: KeyValues) -> None:
        """Raises: ConfigurationError: it is not the text of a function."""
        self._deployed = _Deployed(text, store)

    def __call__(
        self, request: ViewerRequest, method: str, headers: Mapping[str, str]
    ) -> FunctionResponse | ViewerRequest:
        """The function's own answer, or the request to go on with, perhaps to another path. Raises: FunctionFailed."""
        event = event_of(request, method, headers)
        value = self._deployed.run(event)
        if not isinstance(value, dict):
            raise FunctionFailed("it returned neither the request nor a response")
        path = value.get("uri")
        if isinstance(path, str) and path.startswith("/") and value == event["request"] | {"uri": path}:
            return replace(request, path=path)
        if not isinstance(value.get("statusCode"), int):
            raise FunctionFailed("it returned neither the request nor a response")
        return FunctionResponse(value["statusCode"], _pairs(value), str(value.get("body", "")).encode())


class ResponseFunction:
    """A viewer response function, which changes headers. Not for several threads."""

    def __init__(self, text: str) -> None:
        """Raises: ConfigurationError: it is not the text of a function."""
        self._deployed = _Deployed(text)

    def __call__(
        self, request: ViewerRequest, method: str, headers: Mapping[str, str], status: int, sent: Pairs
    ) -> Pairs:
        """The headers to send instead of ``sent``. Raises: FunctionFailed."""
        event = event_of(request, method, headers)
        event["context"]["eventType"] = "viewer-response"
        event["response"] = {
            "statusCode": status,
            "headers": {name.lower(): {"value": value} for name, value in sent},
            "cookies": {},
        }
        value = self._deployed.run(event)
        if not isinstance(value, dict) or value.get("statusCode") != status or "body" in value:
            raise FunctionFailed("it returned another response")
        return _pairs(value)


class _Deployed:
    """A function's text in an engine of its own; with a store it has to import what reads it."""

    def __init__(self, text: str, store: KeyValues | None = None) -> None:
        head, imported, body = text.partition(IMPORT)
        self._context = quickjs.Context()
        try:
            if bool(imported) is not (store is not None):
                raise quickjs.JSException("it does not import cloudfront" if store else "it has no store to import")
            if store is not None:
                self._context.add_callable("read", lambda key: _read(store, key))
            self._context.eval("var outcome, console = { log: () => undefined }")
            # A function's text is a module, of which QuickJS would have to load the import from somewhere.
            deployed = self._context.eval(f"(cf) => {{ 'use strict'; {head}{body}\nreturn handler; }}")
            self._handler = deployed(self._context.eval(_CLOUDFRONT))
            self._run = self._context.eval(_RUN)
        except quickjs.JSException as error:
            raise ConfigurationError(f"The edge's function cannot be run: {error}") from None

    def run(self, event: Mapping[str, Any]) -> Any:
        """What it returns. Raises: FunctionFailed."""
        try:
            self._run(self._handler, json.dumps(event))
            while self._context.execute_pending_job():
                pass
        except quickjs.JSException as error:
            raise FunctionFailed(str(error)) from None
        outcome = json.loads(self._context.get("outcome") or "{}")
        if "value" not in outcome:
            raise FunctionFailed(outcome.get("error", "it did not come to an end"))
        return outcome["value"]


def _pairs(response: Mapping[str, Any]) -> Pairs:
    return tuple((name, str(header["value"])) for name, header in response.get("headers", {}).items())


def _read(store: KeyValues, key: str) -> str | Literal[False] | None:
    """False when it cannot be read: QuickJS does not hand exceptions on."""
    try:
        return store.find(key)
    except Unavailable:
        return False


def event_of(request: ViewerRequest, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """What a function is given. Names and values are as they were sent, undecoded."""
    return {
        "version": "1.0",
        "context": {"distributionDomainName": request.host, "eventType": "viewer-request"},
        "viewer": {"ip": request.address},
        "request": {
            "method": method,
            "uri": request.path,
            "querystring": _values(request.query.split("&") if request.query else []),
            "headers": {name: {"value": value} for name, value in headers.items() if name != "cookie"},
            "cookies": _values([part.strip() for part in request.cookie.split(";") if part.strip()]),
        },
    }


def _values(parts: list[str]) -> dict[str, object]:
    found: dict[str, list[str]] = {}
    for part in parts:
        name, _, value = part.partition("=")
        found.setdefault(name, []).append(value)
    return {
        name: {"value": values[0]}
        if len(values) == 1
        else {"value": values[0], "multiValue": [{"value": each} for each in values]}
        for name, values in found.items()
    }
