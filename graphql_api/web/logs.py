"""Log lines ``event key=value`` with time, level and request id, and never a signature, token or key in them.

Other rooms just use ``logging``. What they write, exception texts and tracebacks included, passes ``Redaction`` on its
way to the one handler that ``configure_logging`` installs.
"""

import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import orjson

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that the running code serves; None outside of one."""

REDACTED: Final = "[redacted]"

# What opens something: query parameters, form fields and headers of S3, CloudFront, Cloud Storage and Azure.
_NAMES: Final = (
    r"(?:X-Amz-|X-Goog-)?(?:Signature|Credential|Security-Token)|Policy|CloudFront-[A-Za-z-]{1,20}|(?<![A-Za-z])sig"
)
_REDACTIONS: Final = (
    # Spaces may be percent-encoded; a block that was cut off is secret to the end of the text.
    (re.compile(r"-----BEGIN[A-Z0-9 +%]+-----.*?(?:-----END[A-Z0-9 +%]+-----|\Z)", re.DOTALL), REDACTED),
    # A header line is secret to its end; botocore prints the signature alone in the line after its name.
    (
        re.compile(
            r"\b((?:Set-)?Cookie|Authorization|Signature|X-(?:Amz|Goog)-[A-Za-z-]{1,40}):\s*[^\n]+", re.IGNORECASE
        ),
        rf"\1: {REDACTED}",
    ),
    (re.compile(r"\b(Bearer|Basic)(?:\s|\+|%20)+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # `name=value`, the same percent-encoded, or an item of a printed dict or of a list of pairs.
    (
        re.compile(rf"({_NAMES})(=|%3D|['\"]\s*[:,]\s*b?['\"])[^\s&\"',;<>)\]}}]+", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    # What follows in the address of a share link, and what looks like a token of one wherever it stands.
    (re.compile(r"((?:/|%2F)s(?:/|%2F)+)[^/\s?#&\"'<>]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"), REDACTED),
    # Three base64url parts, the first of which is a JSON object: `{"`, `{ ` or `{\n` before encoding.
    (re.compile(r"(?<![A-Za-z0-9_-])e[yw][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]{4,}"), REDACTED),
)

QUIET: Final = ("alembic", "botocore", "boto3", "s3transfer", "urllib3", "httpx", "httpcore")
"""Libraries whose lines are made of requests and credentials, or alarm for nothing: they speak from WARNING on."""


def redact(text: str) -> str:
    """``text`` without anything that would open a file or an account."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


class Redaction(logging.Filter):
    """Renders a record once and for all, redacted, so that no formatter or later handler sees the original."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # a bug in a log call may neither fail the request nor print its arguments
            message = f"log_call_failed where={record.pathname}:{record.lineno}"
        record.msg, record.args = redact(message), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _formatter.formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


class _SocketLines(logging.Filter):
    """Leaves out what uvicorn says of each WebSocket: it prints the query string, and we have a line of our own."""

    def filter(self, record: logging.LogRecord) -> bool:
        return '"WebSocket %s"' not in str(record.msg)


class TextFormatter(logging.Formatter):
    """``2026-11-22T18:43:00.123Z INFO request_id=… event key=value``; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        head = (
            f"{_time(record)} {record.levelname} request_id={request_id.get() or '-'} {_one_line(record.getMessage())}"
        )
        return "\n".join([head, *(f"    {line}" for line in _details(record).splitlines())])


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, request_id, message and, if there is one, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
        }
        if details := _details(record):
            entry["exception"] = details
        return orjson.dumps({name: _encodable(value) for name, value in entry.items()}).decode()


def configure_logging(level: str, format: Literal["text", "json"] = "text", stream: TextIO | None = None) -> None:
    """Send everything from ``level`` ("DEBUG", "INFO", …) on to ``stream`` (standard error if None), redacted.

    Run uvicorn with ``log_config=None``, or it installs handlers of its own that redact nothing.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.addFilter(Redaction())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    server = logging.getLogger("uvicorn.error")
    server.addFilter(_socket_lines)
    server.setLevel(max(logging.INFO, logging.getLogger().level))  # below that, it prints every WebSocket message
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    access = logging.getLogger("uvicorn.access")  # it logs query strings; our own line does not
    access.handlers.clear()
    access.propagate = False
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    # It prints each failed document with its variables; the schema itself decides what is a bug, and logs only that.
    logging.getLogger("strawberry.execution").disabled = True


_formatter: Final = logging.Formatter()
_socket_lines: Final = _SocketLines()


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _details(record: logging.LogRecord) -> str:
    return "\n".join(text for text in (record.exc_text, record.stack_info) if text)


def _one_line(message: str) -> str:
    """Nobody starts a line of their own in our log by sending a line break."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in message)


def _encodable(value: str | None) -> str | None:
    return value.encode(errors="backslashreplace").decode() if value else value
