"""Asks an ASGI application as a server would, without sockets."""

from starlette.types import ASGIApp, Message, Scope


class Client:
    """Sends one POST after another, all with the same token."""

    def __init__(self, app: ASGIApp, path: str, token: str) -> None:
        self._app = app
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "server": ("api.example.com", 443),
            "client": ("192.0.2.1", 50_000),
        }
        self._headers = [
            (b"host", b"api.example.com"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
        ]

    async def post(self, body: bytes) -> bytes:
        """The answer's body. Raises RuntimeError for any other status than 200."""
        headers = [*self._headers, (b"content-length", str(len(body)).encode())]
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self._app({**self._scope, "headers": headers}, receive, send)
        answer = b"".join([message.get("body", b"") for message in messages])
        if messages[0]["status"] != 200:
            raise RuntimeError(f"Answered {messages[0]['status']}: {answer.decode(errors='replace')}")
        return answer
