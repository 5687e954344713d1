"""CloudFront's standard logs: the legacy form and standard logging v2 as W3C or JSON, gzipped or not.

Of a line only ``FIELDS`` are read. The query, which holds the signature of a link, the viewer's address and cookies
never leave this module, not even in an error.

Sources: Amazon CloudFront Developer Guide, "Configure standard logging (legacy)" (file names, the two header lines,
tab-separated values, which characters are encoded), "Configure standard logging (v2)" (the formats and the choice of
fields) and "Standard logging reference" (the fields; a file may come a day late). That v2 writes numbers in JSON as
text, one object to a line, and names files as the legacy form does, is known from published files only.
"""

import re
from collections.abc import Container, Iterator, Sequence
from datetime import date
from enum import Enum
from typing import Final
from urllib.parse import unquote

import orjson

from graphql_api.edge.log_lines import MAX_LINE, LogLines
from graphql_api.errors import UnreadableLog
from graphql_api.model.bundle import key_of_marked
from graphql_api.model.traffic import MAX_BYTES, LoggedRequest

FIELDS: Final = ("date", "cs-method", "cs-uri-stem", "sc-status", "sc-bytes", "sc-range-start", "sc-range-end")
"""What is read of each line; standard logging v2 must be told to write at least these."""

PROBE_ENDS: Final = frozenset(("0", "1"))
"""Last bytes of ranges that try out whether there is an answer: 0-0, by which a new signing key is tried and programs
ask how long a file is, and 0-1, by which Apple's players ask whether ranges are answered.
"""

# What ends otherwise, such as .gz.bak, .part or .1, is a copy of a log, or half of one: read as another log it would be
# counted again. Parquet is known by its name so that it is refused and told of.
_NAME: Final = re.compile(
    r"[A-Za-z0-9_-]+\.\d{4}-\d{2}-\d{2}-\d{2}\.[A-Za-z0-9_-]+(?:\.gz|\.parquet(?:\.gz)?)?", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_STATUS: Final = re.compile(r"\d{1,3}", re.ASCII)  # 000: the viewer was gone before there was an answer
_SIZE: Final = re.compile(r"\d{1,16}", re.ASCII)

_PARQUET_MAGIC: Final = b"PAR1"


class CloudFrontLogs:
    """A ``LogFormat``."""

    def name_of(self, key: str) -> str | None:
        """``<distribution>.YYYY-MM-DD-HH.<unique>``, from the last part of ``key``, whether or not ``.gz`` follows;
        nothing else may.

        CloudFront gives no name twice, so a copy in another folder or bucket is the same log.
        """
        name = key.rpartition("/")[2]
        return name.removesuffix(".gz") if _NAME.fullmatch(name) else None

    def reader(self, *, latest: date) -> "CloudFrontLogReader":
        """See ``LogFormat``."""
        return CloudFrontLogReader(latest)


class _Form(Enum):
    W3C = b"#"
    JSON = b"{"


class CloudFrontLogReader:
    """A ``LogReader``. The first line shows which form it is."""

    def __init__(self, latest: date) -> None:
        self._latest = latest
        self._lines = LogLines()
        self._form: _Form | None = None
        self._width = 0  # fields of a W3C line
        self._positions: Sequence[int] = ()  # where FIELDS stand among them
        self._has_fields = False  # JSON: an object has shown that they are written
        self._days: dict[str, date] = {}
        self.malformed = 0

    @property
    def tells_its_end(self) -> bool:
        """See ``LogReader``. Gzip ends with the length (RFC 1952, section 2.3.1)."""
        return self._lines.is_gzip

    def feed(self, piece: bytes) -> Iterator[LoggedRequest]:
        """See ``LogReader``."""
        for line in self._lines.feed(piece):
            yield from self._read(line)

    def finish(self) -> Iterator[LoggedRequest]:
        """See ``LogReader``."""
        for line in self._lines.finish():
            yield from self._read(line)
        if self._form is None:
            raise UnreadableLog("it is empty")

    def _read(self, line: bytes) -> Iterator[LoggedRequest]:
        line = line.rstrip(b"\r")
        if not line:
            return
        if self._form is None:
            self._form = _form_of(line)
        if self._form is _Form.W3C and line.startswith(b"#"):
            if line.startswith(b"#Fields:"):
                self._expect(line.decode(errors="replace").split()[1:])
            return
        request = None
        if len(line) <= MAX_LINE:
            values = self._from_columns(line) if self._form is _Form.W3C else self._from_json(line)
            request = None if values is None else self._request(*values)
        if request is None:
            self.malformed += 1
        else:
            yield request

    def _expect(self, columns: Sequence[str]) -> None:
        _require_fields(columns)
        self._width = len(columns)
        self._positions = [columns.index(field) for field in FIELDS]

    def _from_columns(self, line: bytes) -> Sequence[str] | None:
        if not self._positions:
            raise UnreadableLog("it has no line that begins with #Fields")
        values = line.decode(errors="replace").split("\t")
        # A published example has a tab at the end of a line.
        if len(values) < self._width or any(values[self._width :]):
            return None
        return [values[position] for position in self._positions]

    def _from_json(self, line: bytes) -> Sequence[str] | None:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(record, dict):
            return None
        if not self._has_fields:
            _require_fields(record)
            self._has_fields = True
        values = [record.get(field) for field in FIELDS]
        if not all(type(value) in (str, int) for value in values):
            return None
        return [str(value) for value in values]

    def _request(
        self, day: str, method: str, stem: str, status: str, size: str, range_start: str, range_end: str
    ) -> LoggedRequest | None:
        """None if it makes no sense."""
        when = self._day(day)
        if when is None or not _STATUS.fullmatch(status) or not _SIZE.fullmatch(size) or int(size) > MAX_BYTES:
            return None
        is_start = range_start == "0" and range_end not in PROBE_ENDS
        begins = method == "GET" and (status == "200" or (status == "206" and is_start))
        return LoggedRequest(when, _key(stem), int(size), begins)

    def _day(self, text: str) -> date | None:
        if text in self._days:
            return self._days[text]
        if not _DAY.fullmatch(text):
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None
        if day > self._latest:
            return None
        if len(self._days) > 31:  # a log is of an hour
            self._days.clear()
        self._days[text] = day
        return day


def _form_of(line: bytes) -> _Form:
    for form in _Form:
        if line.startswith(form.value):
            return form
    if line.startswith(_PARQUET_MAGIC):
        raise UnreadableLog("it is in Parquet, which is not read: have standard logging write JSON or W3C")
    raise UnreadableLog("it is neither in CloudFront's W3C form nor in JSON")


def _require_fields(given: Container[str]) -> None:
    missing = [field for field in FIELDS if field not in given]
    if missing:
        raise UnreadableLog(f"its lines lack {', '.join(missing)}")


def _key(stem: str) -> str:
    """The log encodes what the viewer sent, percent signs included; what the viewer sent encodes the key. Whether
    a bundle's path is logged as it was before the function or after it, the reference does not say: both are read.
    """
    path = stem.removeprefix("/")
    return key_of_marked(unquote(unquote(path)) if "%" in path else path)
