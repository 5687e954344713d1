"""A document that would never be answered is told when the service starts, each by its id."""

import json
from pathlib import Path

import pytest

from graphql_api.errors import ConfigurationError
from graphql_api.running import graphql_face
from graphql_api.schema import CACHED_DOCUMENTS, DocumentCache, build_schema, faults_of_document
from graphql_api.schema.guard import Limits
from graphql_api.settings import PREFIX, Settings
from tests.test_settings import NEEDED

SCHEMA = build_schema()
GOOD = "query Names($first: Int) { files(first: $first) { nodes { name } } }"


def faults(text: str) -> list[str]:
    return faults_of_document(SCHEMA, text, Limits())


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "query A { viewer { id } } query B { viewer { displayName } }",
        "subscription ($id: ID!) { folderContentsChanged(folderId: $id) { action } }",
        "query ($many: Int!) { files(first: $many) { nodes { versions(first: $many) { nodes { id } } } } }",
    ],
    ids=["query", "two operations", "subscription", "as costly as its variables say"],
)
def test_what_can_be_answered_has_no_fault(text: str) -> None:
    assert faults(text) == []


def test_every_misfit_is_told() -> None:
    found = faults('query ($unused: Int) { files { nodes { nane } } file(by: {id: """a\n\n\nb"""}) { id } nothing }')
    assert len(found) == 3
    assert any("Cannot query field 'nane' on type 'File'." in line for line in found)
    assert all("\n" not in line for line in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Unexpected <EOF>"),
        ("{ viewer { id }", "Expected Name, found <EOF>"),
        ("{" + "viewer { id } " * 2_000 + "}", "2000 tokens"),
        ("fragment F on File { id }", "Fragment 'F' is never used."),
        ("type File { id: ID }", "not executable"),
        ("{ viewer { id } } { viewer { id } }", "must be the only"),
        (f"query A {{ viewer {{ id }} }} query B {{ {'viewer { id } ' * 60} }}", "60 fields at its root"),
        (
            "{ files(first: 100) { nodes { versions(first: 100) { nodes { id file { versions(first: 100)"
            " { nodes { id } } } } } } } }",
            "points of cost",
        ),
    ],
    ids=["empty", "cut off", "long", "no operation", "no operation at all", "two without a name", "second", "costly"],
)
def test_what_is_refused_in_any_case_is_told(text: str, said: str) -> None:
    found = faults(text)
    assert found
    assert all(said in line for line in found)


def settings(tmp_path: Path, documents: dict[str, str]) -> Settings:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps(documents))
    given = NEEDED | {"TRUSTED_DOCUMENTS_FILE": str(path), "DOCUMENTS": "trusted"}
    return Settings.read({PREFIX + name: value for name, value in given.items()})


def test_the_service_starts_with_documents_that_fit_and_runs_no_others(tmp_path: Path) -> None:
    _, documents = graphql_face(settings(tmp_path, {"names": GOOD}))
    assert documents.wanted(None, "names", None) == GOOD
    with pytest.raises(Exception, match="Only documents that the operator has listed"):
        documents.wanted("{ viewer { id } }", None, None)


def test_it_does_not_start_with_others_and_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        graphql_face(settings(tmp_path, {"good": GOOD, "old": "{ files { gone more } }", "cut": "{"}))
    assert caught.value.faults == (
        "trusted document 'old': Cannot query field 'gone' on type 'FileConnection'.",
        "trusted document 'old': Cannot query field 'more' on type 'FileConnection'.",
        "trusted document 'cut': Syntax Error: Expected Name, found <EOF>.",
    )


def test_trusted_documents_stay_parsed_beside_as_many_others_as_ever() -> None:
    trusted = [f"query Trusted{number} {{ viewer {{ id }} }}" for number in range(3)]
    [cache] = [
        made
        for made in (extension() for extension in build_schema(trusted=len(trusted)).extensions)
        if isinstance(made, DocumentCache)
    ]
    parsed = [cache.cached_parse_document(text) for text in trusted]
    for number in range(CACHED_DOCUMENTS):
        cache.cached_parse_document(f"query Other{number} {{ viewer {{ id }} }}")
    assert all(cache.cached_parse_document(text) is before for text, before in zip(trusted, parsed, strict=True))
