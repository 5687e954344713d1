"""Which names are acceptable, when two names are the same, and what a number adds."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.model.names import MAX_NAME_LENGTH, name_fault, name_key, normalized_name, numbered_name

# Upper case is not caseless matching: a dotless i becomes I, which folds to i, and an iota subscript that follows
# another mark becomes a letter in another place. Python and Unicode agree on this; see D145 in the source.
ANY_TEXT = st.text(st.characters(exclude_characters="ı\u0345"), max_size=300)
NAMES = ANY_TEXT.map(normalized_name).filter(lambda name: name_fault(name) is None)


@pytest.mark.parametrize(
    "name",
    [
        "cat.jpg",
        "x" * 255,
        "猫" * 255,
        "😀" * 255,
        "年次報告 “最終”.pdf",
        ".hidden",
        "...",
        " leading and trailing ",
        "back\\slash",
        "percent%2Fencoded",
        "quo\"te'd",
        "👨‍👩‍👧.png",  # joined by ZERO WIDTH JOINER
        "new \U0001fae9.png",  # an emoji that is younger than some of the Pythons we run on
        "קובץ.txt",  # letters of a right-to-left script need no direction marks
    ],
)
def test_an_honest_name_is_accepted(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("\u3000\u00a0", "empty"),
        ("\u200b\u2060", "empty"),  # nothing to see
        ("x" * 256, "255"),
        ("😀" * 256, "255"),
        (".", "'.'"),
        ("..", "'.'"),
        ("../cat.jpg", "'/'"),
        ("a/b", "'/'"),
        ("/", "'/'"),
        ("nul\0", "control"),
        ("cr\rlf", "control"),
        ("line\nfeed", "control"),
        ("tab\t", "control"),
        ("delete\x7f", "control"),
        ("next line\x85", "control"),
        ("line\u2028separator", "line separators"),
        ("paragraph\u2029separator", "paragraph separators"),
        ("lone \ud800 high", "surrogates"),
        ("lone \udfff low", "surrogates"),
        *[(f"exe{mark}fdp.scr", "direction") for mark in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"],
        *[(f"exe{mark}fdp.scr", "direction") for mark in "\u2066\u2067\u2068\u2069"],
    ],
)
def test_a_bad_name_is_refused_with_its_reason(name: str, reason: str) -> None:
    fault = name_fault(name)
    assert fault is not None
    assert reason in fault


def test_length_counts_after_composition() -> None:
    decomposed = "e\u0301" * 255
    assert len(decomposed) == 510
    assert name_fault(normalized_name(decomposed)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat.JPG", "cat.jpg"),
        ("caf\u00e9", "cafe\u0301"),
        ("STRASSE", "straße"),
        ("GROẞ", "gross"),
        ("İstanbul", "i\u0307stanbul"),
        ("ΟΔΟΣ", "οδος"),  # a final sigma or not
        ("οδος", "οδοσ"),
        ("Ａ", "ａ"),  # fullwidth, upper and lower
        ("\u212b", "\u00e5"),  # the Ångström sign
        ("\u1fb7", "\u1fb6\u03b9"),  # an iota subscript and an iota
        ("\uac01", "\u1100\u1161\u11a8"),  # Hangul, composed and not
    ],
)
def test_names_that_differ_in_case_or_composition_are_the_same(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "ａ"), ("ﬁle", "tile"), ("i", "ı"), ("a b", "ab"), ("cafe", "café"), ("a.txt", "a.txt ")],
)
def test_names_that_only_look_alike_are_different(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@given(ANY_TEXT)
def test_a_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)


@given(ANY_TEXT)
def test_composition_and_case_do_not_change_the_key(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    for variant in (composed, unicodedata.normalize("NFD", text), composed.lower(), composed.casefold()):
        assert name_key(variant) == name_key(text)
    assert name_key(composed.upper()) == name_key(text)


@given(NAMES, st.integers(2, 1000))
def test_a_numbered_name_is_acceptable_and_another_name(name: str, number: int) -> None:
    numbered = numbered_name(name, number)
    assert name_fault(numbered) is None
    assert numbered == normalized_name(numbered)
    assert name_key(numbered) != name_key(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report (2).pdf"),
        ("report", "report (2)"),
        (".profile", ".profile (2)"),
        ("archive.tar.gz", "archive.tar (2).gz"),
        ("no extension. Only another sentence", "no extension. Only another sentence (2)"),
        ("ends with a dot.", "ends with a dot (2)."),
        ("report (2).pdf", "report (2) (2).pdf"),
        ("x" * 255, "x" * 251 + " (2)"),
        ("x" * 251 + ".pdf", "x" * 247 + " (2).pdf"),
        ("😀" * 255, "😀" * 251 + " (2)"),
    ],
)
def test_the_number_stands_before_the_extension_within_the_limit(name: str, expected: str) -> None:
    assert numbered_name(name, 2) == expected
    assert len(expected) <= MAX_NAME_LENGTH
