"""The functions' files, run over tables of requests in the local edge's engine and in Node. What ships is run."""

import json
import re
import string
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import pytest

from graphql_api.edge.function import MAX_SIZE, presentation_function, revocation_function
from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.localcloud.function import EdgeFunction, FunctionFailed, FunctionResponse, ResponseFunction, event_of
from graphql_api.localcloud.signature import ViewerRequest
from graphql_api.model.bundle import entry_key, marked_prefix
from graphql_api.model.ids import FileId, FolderId, bundle_prefix, new_bundle_id
from graphql_api.model.media_type import is_inert
from graphql_api.model.revocation import MAX_MARKS, bundle_mark, mark_of, parameter_of
from tests.web.conftest import tool

FILE, FOLDER, PERSON = mark_of("file_1"), mark_of("folder_1"), mark_of("user_1")
BROKEN: Final = "broken"  # in a store: reading this key fails, as when the store does not answer


class Store:
    """What a function can read. ``asked``: what it has read."""

    def __init__(self, items: Mapping[str, str]) -> None:
        self._items = items
        self.asked: list[str] = []

    def find(self, key: str) -> str | None:
        self.asked.append(key)
        if self._items.get(BROKEN) == key:
            raise Unavailable("edge")
        return self._items.get(key)


BUNDLE = new_bundle_id(datetime(2026, 12, 1, tzinfo=UTC))
INDEX = f"/{bundle_prefix(BUNDLE)}index.m3u8"
SEGMENT = entry_key(BUNDLE, "low/video_1-0.m4s")


def marked(by: str, path: str = "index.m3u8") -> str:
    """The path of an entry in a link that says so."""
    return marked_prefix(BUNDLE, by) + path


BUNDLES: Final[Mapping[str, tuple[str, dict[str, str], int]]] = {
    "a bundle": (INDEX, {}, 200),
    "a bundle beside one that is revoked": (INDEX, {bundle_mark(BUNDLE)[:-1] + "~": "1"}, 200),
    "a bundle that is revoked": (INDEX, {bundle_mark(BUNDLE): "1"}, 403),
    "a bundle's segment": (f"/{SEGMENT}", {bundle_mark(BUNDLE): "1"}, 403),
    "a bundle says it is newer": (f"{INDEX}?rv=9.{FILE}", {bundle_mark(BUNDLE): "1"}, 403),
    "a bundle says what it is not": (f"{INDEX}?rv=9", {}, 200),
    "no bundle": ("/b/x/index.m3u8", {}, 403),
    "a bundle's parent": (f"/{bundle_prefix(BUNDLE)}"[:-1], {}, 403),
    "a bundle's root": (f"/{bundle_prefix(BUNDLE)}", {}, 403),
    "a bundle in capitals": (INDEX.upper().replace("/B/", "/b/"), {}, 403),
    "the store cannot be read for a bundle": (INDEX, {BROKEN: bundle_mark(BUNDLE)}, 503),
    "a marked bundle": (marked(f"0.{FILE}.{FOLDER}"), {}, 200),
    "a marked segment": (marked(f"0.{FILE}.{FOLDER}", "low/video_1-0.m4s"), {PERSON: "9"}, 200),
    "a marked bundle's file is revoked": (marked(f"0.{FILE}.{FOLDER}"), {FILE: "1"}, 403),
    "a marked bundle's folder is revoked": (marked(f"6.{FILE}.{FOLDER}", "low/1.ts"), {FOLDER: "7"}, 403),
    "a marked bundle's person is revoked": (marked(f"6.{FILE}.{PERSON}"), {PERSON: "7"}, 403),
    "a marked bundle is newer": (marked(f"7.{FILE}.{FOLDER}"), {FILE: "7", FOLDER: "6", bundle_mark(BUNDLE): "7"}, 200),
    "a query says what the path does not": (f"{marked(f'0.{FILE}')}?rv=9.{FILE}", {FILE: "1"}, 403),
    "the last of sixteen in a path": (marked(f"0{15 * ('.' + 12 * 'a')}.{FILE}"), {FILE: "1"}, 403),
    "seventeen in a path": (marked(f"0{16 * ('.' + 12 * 'a')}.{FILE}"), {}, 403),
    "the store cannot be read for a marked bundle": (marked(f"0.{FILE}"), {BROKEN: FILE}, 503),
}
FOLDED: Final = f"{FILE}/../{FILE}"
MALFORMED_PATHS: Final = {
    **{
        f"a path that is marked with {what}": marked(by)
        for what, by in {
            "nothing": "",
            "a number alone": "7",
            "a mark alone": FILE,
            "zeros before": f"01.{FILE}",
            "a minus": f"-1.{FILE}",
            "a number beyond all": f"99999999999999999.{FILE}",
            "an escaped dot": f"7%2E{FILE}",
            "an escaped tilde": f"7.{FILE[:-1]}%7E",
            "a dot after": f"7.{FILE}.",
            "a mark that is too short": f"7.{FILE[1:]}",
            "two": f"7.{FILE}.7.{FILE}",
            "two in two segments": f"7.{FILE}/7.{FILE[:-1]}~",
            "a way up": f"7.{FOLDED}",
            "an escaped way up": f"7.{FOLDED.replace('/../', '/%2e%2e/')}",
            "an escaped slash": f"7.{FILE}%2F",
            "a parameter": f"7.{FILE};a=1",
        }.items()
    },
    "a tilde in the place of the dot": INDEX.replace("/index", f"~0.{FILE}/index"),
    "an escaped dot before the mark": INDEX.replace("/index", f"%2E0.{FILE}/index"),
    "an empty segment": marked(f"0.{FILE}", "low//1.ts"),
    "dots at the end": marked(f"0.{FILE}", "low/.."),
    "nothing after the mark": marked(f"0.{FILE}", ""),
    "a hidden name": marked(f"0.{FILE}", ".index"),
    "an escaped name": marked(f"0.{FILE}", "inde%78.m3u8"),
    "another bundle below": marked(f"0.{FILE}", f"../{bundle_prefix(new_bundle_id(datetime.now(UTC)))}index.m3u8"),
}
OTHER_FORMS: Final = {
    "a bundle by an escaped letter": INDEX.replace("/b/", "/%62/"),
    "a bundle below a dot": f"/.{INDEX}",
    "a bundle below an escaped dot": f"/%2E{INDEX}",
    "a bundle beside something": f"/x/..{INDEX}",
    "a bundle by escaped dots": f"/x/%2e%2E{INDEX}",
    "an object by an escaped digit": "/o/%31",
    "an object by an escaped mark": "/o/%7e1%5F%2D",
    "a dot at the end": "/o/1/.",
    "dots at the end of an object": "/o/1/..",
}

# address or query string, store, status; 200: the request goes on
CASES: Final[Mapping[str, tuple[str, dict[str, str], int]]] = {
    **BUNDLES,
    **{case: (path, {}, 403) for case, path in {**MALFORMED_PATHS, **OTHER_FORMS}.items()},
    "what is no other form": ("/o/1%2F..%20.a./...", {}, 200),
    "nothing is revoked": (f"rv=0.{FILE}.{FOLDER}", {}, 200),
    "something else is": (f"rv=0.{FILE}.{FOLDER}", {mark_of("file_2"): "9"}, 200),
    "the file is": (f"rv=0.{FILE}.{FOLDER}", {FILE: "1"}, 403),
    "the folder is": (f"rv=6.{FILE}.{FOLDER}", {FOLDER: "7"}, 403),
    "the person is": (f"rv=6.{FILE}.{PERSON}.{FOLDER}", {PERSON: "7"}, 403),
    "it was before": (f"rv=7.{FILE}.{FOLDER}", {FILE: "7", FOLDER: "6"}, 200),
    "numbers are no texts": (f"rv=9.{FILE}", {FILE: "10"}, 403),
    "and no texts either way": (f"rv=10.{FILE}", {FILE: "9"}, 200),
    "the largest number that is exact": (f"rv=9007199254740990.{FILE}", {FILE: "9007199254740991"}, 403),
    "the last of sixteen": (f"rv=0{15 * ('.' + 12 * 'a')}.{FILE}", {FILE: "1"}, 403),
    "seventeen": (f"rv=0{16 * ('.' + 12 * 'a')}.{FILE}", {}, 403),
    "no rv": ("response-content-disposition=inline", {FILE: "1"}, 200),
    "no query": ("", {FILE: "1"}, 200),
    "an empty rv": ("rv=", {}, 403),
    "rv without a value": ("rv", {}, 403),
    "no mark": ("rv=7", {}, 403),
    "a mark that is too short": (f"rv=7.{FILE[1:]}", {}, 403),
    "a mark that is too long": (f"rv=7.{FILE}a", {}, 403),
    "a number that is none": (f"rv=-1.{FILE}", {}, 403),
    "a number with zeros before": (f"rv=01.{FILE}", {}, 403),
    "a number beyond all": (f"rv=99999999999999999.{FILE}", {}, 403),
    "an infinite number": (f"rv=1e99.{FILE}", {FILE: "1"}, 403),
    "something after": (f"rv=7.{FILE}.", {}, 403),
    "a line after": (f"rv=7.{FILE}%0A", {}, 403),
    "escaped": (f"rv=7%2E{FILE}", {}, 403),
    "two of them": (f"rv=9.{FILE}&rv=0.{FILE}", {FILE: "1"}, 403),
    "two that are equal": (f"rv=9.{FILE}&rv=9.{FILE}", {}, 403),
    "in capitals it is another parameter": (f"RV=0.{FILE}", {FILE: "1"}, 200),
    "a name of all objects": (f"rv=0.{FILE}&__proto__=1&constructor=2", {FILE: "1"}, 403),
    "the store holds what is no number": (f"rv=7.{FILE}", {FILE: "many"}, 403),
    "the store holds nothing": (f"rv=7.{FILE}", {FILE: ""}, 403),
    "the store cannot be read": (f"rv=7.{FILE}", {BROKEN: FILE}, 503),
    "the store fails after a revoked mark": (f"rv=0.{FILE}.{FOLDER}", {FILE: "1", BROKEN: FOLDER}, 403),
}
FIXED = dict.fromkeys(
    [
        "the store cannot be read",
        "the store cannot be read for a bundle",
        "the store cannot be read for a marked bundle",
    ],
    200,
)  # where the operator prefers that links open


def unmarked(path: str) -> str:
    """What the cache and the origin get to see of it."""
    return re.sub(r"^(/b/[0-9a-z]{26})[^/]+", r"\1", path)


def request_of(query: str) -> ViewerRequest:
    path, _, query = query.partition("?") if query.startswith("/") else ("/o/1", "", query)
    return ViewerRequest("https", "cdn.test", path, query, "a=1", "192.0.2.7")


@pytest.mark.parametrize("failure", ["refuse", "allow"])
@pytest.mark.parametrize("case", CASES)
def test_the_local_edge_runs_it(case: str, failure: Literal["refuse", "allow"]) -> None:
    query, store, status = CASES[case]
    if failure == "allow":
        status = FIXED.get(case, status)
    function = EdgeFunction(revocation_function(failure=failure), Store(store))
    for _ in range(2):  # it remembers nothing
        outcome = function(request_of(query), "GET", {"host": "cdn.test"})
        assert (200 if isinstance(outcome, ViewerRequest) else outcome.status) == status
    if isinstance(outcome, ViewerRequest):
        assert outcome == replace(request_of(query), path=unmarked(request_of(query).path))
    else:
        assert dict(outcome.headers) == {"cache-control": "no-store", "content-type": "text/xml"}
        assert outcome.body.startswith(b"<?xml")


@pytest.mark.parametrize("failure", ["refuse", "allow"])
def test_node_runs_it_and_comes_to_the_same(tmp_path: Path, failure: Literal["refuse", "allow"]) -> None:
    module = tmp_path / "node_modules" / "cloudfront"
    module.mkdir(parents=True)
    (module / "package.json").write_text('{"name": "cloudfront", "type": "module", "exports": "./index.js"}')
    (module / "index.js").write_text(STAND_IN)
    (tmp_path / "function.mjs").write_text(revocation_function(failure=failure) + "export { handler };\n")
    asked = [[event_of(request_of(query), "GET", {}), store] for query, store, _ in CASES.values()]
    command = [tool("node"), str(Path(__file__).parent / "run_function.mjs"), str(tmp_path / "function.mjs")]
    ran = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=True)
    outcomes = json.loads(ran.stdout.splitlines()[-1])
    assert [each.get("error") for each in outcomes] == [None] * len(CASES)
    for (case, (_, _, status)), (event, _), outcome in zip(CASES.items(), asked, outcomes, strict=True):
        expected = FIXED.get(case, status) if failure == "allow" else status
        assert outcome["value"].get("statusCode", 200) == expected, case
        if expected == 200:
            assert outcome["value"] == event["request"] | {"uri": unmarked(event["request"]["uri"])}


STAND_IN = """
const store = () => globalThis.kvs;
const check = (key) => { if (store().broken === key) { throw new Error('the store does not answer'); } };
export default { kvs: () => ({
    exists: async (key) => { check(key); return Object.hasOwn(store(), key); },
    get: async (key) => {
        check(key);
        if (!Object.hasOwn(store(), key)) { throw new Error('no such key'); }
        return store()[key];
    },
}) };
"""


def test_it_asks_for_each_mark_once_and_for_nothing_else() -> None:
    store = Store({})
    marks = [mark_of(f"folder_{n}") for n in range(MAX_MARKS)]
    function = EdgeFunction(revocation_function(failure="refuse"), store)
    for query in (f"rv={parameter_of(3, marks)}", marked(parameter_of(3, marks))):
        assert isinstance(function(request_of(query), "GET", {}), ViewerRequest)
    assert store.asked == 2 * marks


def test_only_what_was_revoked_is_called_so() -> None:
    function = EdgeFunction(revocation_function(failure="refuse"), Store({FILE: "1", bundle_mark(BUNDLE): "1"}))

    def code_of(query: str) -> str:
        outcome = function(request_of(query), "GET", {})
        assert isinstance(outcome, FunctionResponse)
        return outcome.body.decode().partition("<Code>")[2].partition("</Code>")[0]

    for path in (*MALFORMED_PATHS.values(), *OTHER_FORMS.values(), "/b/x/index.m3u8"):
        assert code_of(path) == "NoSuchEntry"
    for query in (INDEX, marked(f"0.{FILE}"), f"rv=0.{FILE}", "rv=7"):
        assert code_of(query) == "LinkRevoked"


def test_every_escaped_character_that_need_not_be_is_another_form() -> None:
    """RFC 3986, section 2.3."""
    function = EdgeFunction(revocation_function(failure="refuse"), Store({}))
    unreserved = {*string.ascii_letters, *string.digits, *"-._~"}
    for form in ("%{:02x}", "%{:02X}"):
        passed = {
            chr(number)
            for number in range(256)
            if isinstance(function(request_of("/o/" + form.format(number)), "GET", {}), ViewerRequest)
        }
        assert passed == {chr(number) for number in range(256)} - unreserved


def test_it_is_small_enough() -> None:
    for text in (revocation_function(failure="refuse"), presentation_function()):
        assert len(text.encode()) <= MAX_SIZE
        assert text.isascii()


def test_the_setting_is_filled_in() -> None:
    texts = {failure: revocation_function(failure=failure) for failure in ("refuse", "allow")}
    assert texts["refuse"].replace("const FAILURE = 'refuse'", "const FAILURE = 'allow'") == texts["allow"]
    assert texts["refuse"] != texts["allow"]


NOT_IN_THE_RUNTIME: Final = {
    "another import": r"^(?!import cf from 'cloudfront';$).*\bimport\b",
    "export": r"\bexport\b",
    "class": r"\bclass\b",
    "for … of": r"\bfor\s*\([^;)]*\bof\b",
    "optional chaining": r"\?\.",
    "nullish coalescing": r"\?\?",
    "spread": r"\.\.\.",
    "destructuring": r"\b(const|let|var)\s*[\[{]",
    "generator": r"\bfunction\s*\*|\byield\b",
    "await in an expression": r"(?<!= )\bawait\b",
    "async closure": r"\basync\b(?! function handler)",
    "what is restricted": r"\b(eval|Function|setTimeout|setInterval|fetch|XMLHttpRequest|process|require)\b",
    "Promise combinators": r"\bPromise\b|\.then\(",
}


@pytest.mark.parametrize("feature", NOT_IN_THE_RUNTIME)
def test_it_uses_nothing_that_the_runtime_has_not(feature: str) -> None:
    """Source: CloudFront developer guide, "JavaScript runtime 2.0 features for CloudFront Functions"."""
    for text in (revocation_function(failure="refuse"), presentation_function()):
        code = re.sub(r"(^|\s)//.*", "", text)
        assert not re.search(NOT_IN_THE_RUNTIME[feature], code, re.MULTILINE)


@pytest.mark.parametrize(
    "text",
    [
        "async function handler(event) { return event.request; }",
        "import cf from 'cloudfront';\nasync function handler(event) {",
        "import cf from 'cloudfront';\nasync function other(event) {}",
    ],
    ids=["without the import", "unfinished", "without a handler"],
)
def test_a_text_that_is_no_function_is_not_deployed(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be run"):
        EdgeFunction(text, Store({}))


@pytest.mark.parametrize(
    "body",
    [
        "throw new Error('no')",
        "return {}",
        "return null",
        "event.request.method = 'POST'; return event.request",
        "event.request.uri = 'index'; return event.request",
        "event.request.uri = 7; return event.request",
    ],
    ids=["throws", "returns no response", "returns nothing", "changes the method", "relative", "no path"],
)
def test_a_function_that_does_what_ours_must_not_has_failed(body: str) -> None:
    text = f"import cf from 'cloudfront';\nasync function handler(event) {{ {body}; }}"
    with pytest.raises(FunctionFailed):
        EdgeFunction(text, Store({}))(request_of(""), "GET", {})


KEPT: Final = {"cache-control": "private, max-age=86400, immutable", "x-content-type-options": "nosniff"}
SANDBOX: Final = {"content-security-policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
# what the store says, what is said besides
PRESENTED: Final[Mapping[str, tuple[dict[str, str], dict[str, str]]]] = {
    "a picture": ({"content-type": "image/png", "etag": '"1"'}, KEPT),
    "a document": ({"content-type": "application/pdf"}, KEPT),
    "no type": ({}, KEPT),
    "what says it itself": ({"cache-control": "no-store"}, {"x-content-type-options": "nosniff"}),
    "a page": ({"content-type": "text/html"}, KEPT | SANDBOX),
    "a page in capitals": ({"content-type": "Text/HTML ; charset=utf-8"}, KEPT | SANDBOX),
    "a drawing": ({"content-type": "image/svg+xml"}, KEPT | SANDBOX),
    "XML": ({"content-type": "application/xml"}, KEPT | SANDBOX),
    "XML as text": ({"content-type": "text/xml;charset=x"}, KEPT | SANDBOX),
    "XML that is called a style": ({"content-type": "text/xsl"}, KEPT | SANDBOX),
    "whatever it looks like": ({"content-type": "*/*"}, KEPT | SANDBOX),
    "parts": ({"content-type": "multipart/x-mixed-replace; boundary=x"}, KEPT | SANDBOX),
    "two types": ({"content-type": "image/png, text/html"}, KEPT | SANDBOX),
    "a type that nobody knows": ({"content-type": "text/of-tomorrow"}, KEPT | SANDBOX),
    "a program": ({"content-type": "text/javascript"}, KEPT),  # a worker would take the policy for its own
    "a playlist": ({"content-type": "application/vnd.apple.mpegurl"}, KEPT),
    "a feed": ({"content-type": "application/atom+xml"}, KEPT | SANDBOX),
    "a type that has xml in its parameters": ({"content-type": "text/plain; a=b+xml"}, KEPT),
    "a page whose text has a policy": (
        {"content-type": "text/html", "content-security-policy": "default-src *"},
        KEPT | SANDBOX,
    ),
}


@pytest.mark.parametrize("case", PRESENTED)
@pytest.mark.parametrize("status", [200, 206, 304])
def test_files_are_presented_so_that_nothing_in_them_runs(case: str, status: int) -> None:
    sent, added = PRESENTED[case]
    presented = ResponseFunction(presentation_function())(request_of(""), "GET", {}, status, tuple(sent.items()))
    assert dict(presented) == sent | added
    assert is_inert(sent.get("content-type", "image/png").lower()) is ("content-security-policy" not in added)


def test_node_presents_them_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "function.mjs").write_text(presentation_function() + "export { handler };\n")
    events = []
    for sent, _ in PRESENTED.values():
        event = event_of(request_of(""), "GET", {})
        event["response"] = {"statusCode": 200, "headers": {name: {"value": value} for name, value in sent.items()}}
        events.append([event, {}])
    command = [tool("node"), str(Path(__file__).parent / "run_function.mjs"), str(tmp_path / "function.mjs")]
    ran = subprocess.run(command, input=json.dumps(events), capture_output=True, text=True, timeout=60, check=True)
    for (case, (sent, added)), outcome in zip(PRESENTED.items(), json.loads(ran.stdout), strict=True):
        headers = outcome["value"]["headers"]
        assert {name: header["value"] for name, header in headers.items()} == sent | added, case


@pytest.mark.parametrize(
    "body",
    ["throw new Error('no')", "return null", "event.response.statusCode = 500; return event.response"],
    ids=["throws", "returns nothing", "changes the status"],
)
def test_a_response_function_that_does_what_ours_must_not_has_failed(body: str) -> None:
    function = ResponseFunction(f"function handler(event) {{ {body}; }}")
    with pytest.raises(FunctionFailed):
        function(request_of(""), "GET", {}, 200, ())


def test_a_response_function_has_no_store() -> None:
    with pytest.raises(ConfigurationError, match="cannot be run"):
        ResponseFunction(revocation_function(failure="refuse"))


def test_links_are_written_as_it_reads_them() -> None:
    named = [mark_of(FileId("file_" + "z" * 26)), *(mark_of(FolderId(f"folder_{n:026d}")) for n in range(15))]
    function = EdgeFunction(revocation_function(failure="refuse"), Store({}))
    by = parameter_of(2**40, named)
    assert function(request_of(f"rv={by}"), "GET", {}) == request_of(f"rv={by}")
    assert function(request_of(marked(by)), "GET", {}) == request_of(INDEX)
