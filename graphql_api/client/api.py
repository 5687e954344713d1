"""GraphQL over HTTP, asked again when nobody knows or not now."""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import httpx

from graphql_api.client.errors import Busy, Refused, ServiceGone, TransferFailed
from graphql_api.client.patience import Patience, persist

TIMEOUT: Final = httpx.Timeout(60, connect=15)  # seconds; joining the parts of a large upload takes the store a while
WORTH_ANOTHER_TRY: Final = frozenset({429, 500, 502, 503, 504})  # statuses


class Api:
    """One API with one token. ``http`` is told the token by us and goes to nobody else."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str, patience: Patience) -> None:
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._patience = patience
        self._has_answered = False

    async def ask(self, document: str, **variables: Any) -> Mapping[str, Any]:
        """The data of an operation.

        Raises: ServiceGone: it does not answer, or not us. TransferFailed: it does not understand the question.
        """
        try:
            return await persist(self._patience, lambda: self._try(document, variables))
        except Busy as busy:
            raise ServiceGone(busy.message) from None

    async def tell(self, document: str, **variables: Any) -> Mapping[str, Any]:
        """The payload of a mutation that has no user errors. It may arrive twice when its answer is lost.

        Raises: Refused: by a user error; others as ``ask``.
        """

        async def once() -> Mapping[str, Any]:
            payload: Mapping[str, Any]
            [payload] = (await self._try(document, variables)).values()
            if payload["userErrors"]:
                _raise(payload["userErrors"][0])
            return payload

        try:
            return await persist(self._patience, once)
        except Busy as busy:
            raise ServiceGone(busy.message) from None

    async def _try(self, document: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        question = {"query": document, "variables": variables}
        try:
            answer = await self._http.post(self._url, json=question, headers=self._headers, timeout=TIMEOUT)
        except httpx.ConnectError:
            if not self._has_answered:  # most likely the address is wrong, and waiting does not make it right
                raise ServiceGone("the API cannot be reached at this address") from None
            raise Busy("the API does not answer") from None
        except httpx.TransportError:
            raise Busy("the API does not answer") from None
        self._has_answered = True
        if answer.status_code in WORTH_ANOTHER_TRY:
            raise Busy(f"the API answers {answer.status_code}", retry_after=retry_after(answer))
        if answer.status_code == 401:
            raise ServiceGone("the API does not accept the token: it may have expired")
        try:
            body = answer.json()
            errors = body.get("errors")
        except (ValueError, AttributeError):
            raise ServiceGone(f"what answers at this address is not the API (status {answer.status_code})") from None
        if errors:
            _raise_of_request(errors[0])
        data: Mapping[str, Any] = body["data"]
        return data


def retry_after(answer: httpx.Response) -> float:
    """Seconds; 0 if it does not say, or says a date."""
    wish = answer.headers.get("Retry-After", "")
    return float(wish) if wish.isascii() and wish.isdigit() else 0


def _raise(error: Mapping[str, Any]) -> NoReturn:
    if error["code"] == "UNAVAILABLE":
        raise Busy(error["message"])
    raise Refused(
        error["message"], error["code"], status=error.get("status"), conflicting_id=error.get("conflictingId")
    )


def _raise_of_request(error: Mapping[str, Any]) -> NoReturn:
    extensions = error.get("extensions") or {}
    code = extensions.get("code")
    if code == "SERVICE_UNAVAILABLE":
        raise Busy(error["message"])
    if code == "INTERNAL_SERVER_ERROR":
        raise TransferFailed(f"the API has a fault of its own (request {extensions.get('requestId')})")
    raise TransferFailed(error["message"])
