"""What is written reads as the same document, in one order whatever order it came in."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TypeVar

import yaml
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.model.group import claim_fault
from graphql_api.model.labels import normalized_label
from graphql_api.model.names import name_fault, name_key, normalized_name
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect, Obligations
from graphql_api.policyfile import FileGroup, FileRule, FileSection, Kind, PolicyDocument, Target, Whom, read, write

T = TypeVar("T")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | st.sampled_from(
    ["no", "1", "1.5", "null", "~", "2026-01-01", "2026-01-01T00:00:00Z", "12:30", "=", "<<", "a: b", "- a", "#", "&a"]
)
NAMES = TEXT.map(normalized_name).filter(lambda name: name_fault(name) is None)
CLAIMS = TEXT.filter(lambda claim: claim_fault(claim) is None)
LABELS = TEXT.map(lambda text: normalized_label(text) or "secret")
PEOPLE = st.one_of(
    st.from_regex(r"[a-z'&*#0-9]{1,9}@[a-z0-9.]{1,9}", fullmatch=True).map(lambda email: Whom(Kind.USER, email)),
    CLAIMS.map(lambda claim: Whom(Kind.SUBJECT, claim)),
    st.from_regex(r"user_[0-9a-hjkmnp-tv-z]{26}", fullmatch=True).map(lambda user_id: Whom(Kind.ID, user_id)),
)
WHOM = (
    PEOPLE | NAMES.map(lambda name: Whom(Kind.GROUP, name)) | st.sampled_from([Whom(Kind.ANYONE), Whom(Kind.SIGNED_IN)])
)
INSTANTS = st.datetimes(timezones=st.just(UTC))
RANGES = st.ip_addresses().map(lambda address: str(ip_network(address)))
LIFETIMES = st.integers(1, 31_536_000).map(lambda seconds: timedelta(seconds=seconds))
RULES = st.builds(
    FileRule,
    st.sampled_from(Effect),
    st.frozensets(st.sampled_from(Permission), min_size=1),
    WHOM,
    st.none() | INSTANTS.filter(lambda at: at.year < 2026),
    st.none() | INSTANTS.filter(lambda at: at.year >= 2026),
    st.frozensets(RANGES, max_size=3).map(lambda ranges: tuple(sorted(ranges))),
    st.builds(Obligations, st.none() | LIFETIMES, st.booleans(), st.booleans(), st.booleans()),
)
TARGETS = st.one_of(
    st.just(Target("root")),
    LABELS.map(lambda label: Target("label", label=label)),
    st.builds(Target, st.sampled_from(["folder", "file"]), st.lists(NAMES, min_size=1, max_size=3).map(tuple)),
)
SECTIONS = st.builds(FileSection, TARGETS, st.lists(RULES, max_size=4, unique_by=lambda rule: rule.key).map(tuple))
GROUPS = st.builds(
    FileGroup,
    NAMES,
    st.none() | CLAIMS,
    st.none() | st.lists(PEOPLE, max_size=4, unique_by=lambda person: person.key).map(tuple),
)
DOCUMENTS = st.builds(
    PolicyDocument,
    st.lists(
        GROUPS, max_size=3, unique_by=(lambda group: name_key(group.name), lambda group: group.claim or group.name)
    ).map(tuple),
    st.lists(SECTIONS, max_size=4, unique_by=lambda section: section.target.key).map(tuple),
)


def same(document: PolicyDocument) -> tuple[object, object]:
    """What does not depend on order."""
    groups = {
        replace(group, members=None): None if group.members is None else frozenset(group.members)
        for group in document.groups
    }
    return groups, {section.target: frozenset(section.rules) for section in document.sections}


@given(DOCUMENTS)
def test_what_is_written_reads_as_it_was(document: PolicyDocument) -> None:
    assert same(read(write(document).encode(), "p.yaml").document) == same(document)


@given(DOCUMENTS, st.randoms())
def test_the_order_of_a_document_changes_nothing_in_its_text(document: PolicyDocument, chance: random.Random) -> None:
    def shuffled(things: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(chance.sample(things, len(things)))

    other = PolicyDocument(
        shuffled(tuple(replace(g, members=g.members and shuffled(g.members)) for g in document.groups)),
        shuffled(tuple(replace(section, rules=shuffled(section.rules)) for section in document.sections)),
    )
    assert write(other) == write(document)


@given(DOCUMENTS)
def test_any_reader_of_yaml_finds_the_same_names(document: PolicyDocument) -> None:
    loaded = yaml.safe_load(write(document))
    assert {group["name"] for group in loaded.get("groups", [])} == {group.name for group in document.groups}
    assert {entry["label"] for entry in loaded["resources"] if "label" in entry} == {
        section.target.label for section in document.sections if section.target.kind == "label"
    }


def test_a_file_looks_as_people_write_it() -> None:
    read_and_write = frozenset({Permission.WRITE, Permission.READ})
    document = PolicyDocument(
        (FileGroup("no", "yes", (Whom(Kind.SUBJECT, "1"), Whom(Kind.USER, "a@b"))),),
        (
            FileSection(Target("label", label="secret"), ()),
            FileSection(
                Target("folder", ("team",)),
                (
                    FileRule(
                        Effect.ALLOW,
                        read_and_write,
                        Whom(Kind.GROUP, "no"),
                        datetime(2026, 1, 1, tzinfo=UTC),
                        ip_ranges=("192.0.2.0/24",),
                        obligations=Obligations(timedelta(hours=1), binds_ip=True),
                    ),
                ),
            ),
        ),
    )
    assert write(document) == (
        "version: 1\n"
        "groups:\n"
        "- name: 'no'\n"
        "  claim: 'yes'\n"
        "  members:\n"
        "  - a@b\n"
        "  - {subject: '1'}\n"
        "resources:\n"
        "- folder: /team\n"
        "  rules:\n"
        "  - allow: [read, write]\n"
        "    to: {group: 'no'}\n"
        "    from: 2026-01-01T00:00:00Z\n"
        "    ips: [192.0.2.0/24]\n"
        "    link: {longest: 3600, bind-ip: true}\n"
        "- label: secret\n"
        "  rules: []\n"
    )
