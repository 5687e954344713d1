"""Every relative link leads somewhere, and every other one names a host that may be named."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, documents, links


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_every_relative_link_and_anchor_resolves(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            assert link.startswith(("https://", "http://127.0.0.1")), link
            continue
        target, _, anchor = link.partition("#")
        path = (document.parent / target).resolve() if target else document
        assert path.exists(), link
        assert path.is_relative_to(ROOT), f"{link} leaves the project"
        if anchor:
            assert anchor in anchors(path), link


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_every_path_that_the_prose_names_exists(document: Path) -> None:
    for path in re.findall(r"`((?:graphql_api|tests|docs|migrations|benchmarks|\.ci)/[\w./-]*)`", document.read_text()):
        assert (ROOT / path).exists(), path


def test_a_missing_anchor_would_be_noticed(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# What is `here`?\n\n```sh\n# not this\n```\n\n## Twice\n\n## Twice\n\n[a](b.md#c) `[d](e)`\n")
    assert anchors(document) == {"what-is-here", "twice", "twice-1"}
    assert list(links(document)) == ["b.md#c"]
