"""What a policy file says, and every way in which one can be wrong: a line for each fault, with its place."""

from datetime import UTC, datetime, timedelta

import pytest

from graphql_api.errors import ConfigurationError
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect, Obligations
from graphql_api.policyfile import (
    MAX_BYTES,
    FileGroup,
    FileRule,
    FileSection,
    Kind,
    PolicyDocument,
    Target,
    Whom,
    read,
)

WHOLE = """\
version: 1
groups:
  - name: editors
    claim: staff
    members: [alice@example.com, {subject: "auth0|123"}, {id: user_01jd9x2q6c8s5v7e0k3m4n5p6r}]
  - name: others
resources:
  - root: true
    rules:
      - allow: [administer]
        to: {user: root@example.com}
  - folder: /team/Ünder
    rules:
      - allow: [read, write]
        to: {group: editors}
        from: 2026-01-01T00:00:00Z
        until: "2027-01-01 02:00:00+02:00"
        ips: [192.0.2.0/24, "::1"]
        link: {longest: 3600, bind-ip: true, download: true, personal: true}
      - deny: [read]
        to: anyone
  - file: /team/a.pdf
    rules: []
  - label: Top Secret
    rules:
      - deny: [read]
        to: signed-in
"""


def faults(text: str | bytes) -> list[str]:
    """What is said of a file."""
    with pytest.raises(ConfigurationError) as caught:
        read(text if isinstance(text, bytes) else text.encode(), "p.yaml")
    assert all("\n" not in fault and fault.startswith("p.yaml") for fault in caught.value.faults)
    return [fault.removeprefix("p.yaml").removeprefix(":") for fault in caught.value.faults]


def fault(text: str | bytes) -> str:
    [found] = faults(text)
    return found


def rules(*lines: str) -> str:
    return "\n".join(["version: 1", "resources:", "- root: true", "  rules:", *(f"  - {line}" for line in lines)])


def fault_of_rule(line: str) -> str:
    found = fault(rules(line))
    assert found.startswith("5: resources[0].rules[0]")
    return found.removeprefix("5: resources[0].rules[0]")


def test_everything_that_can_be_said_is_read() -> None:
    read_all = frozenset({Permission.READ})
    assert read(WHOLE.encode(), "p.yaml").document == PolicyDocument(
        (
            FileGroup(
                "editors",
                "staff",
                (
                    Whom(Kind.USER, "alice@example.com"),
                    Whom(Kind.SUBJECT, "auth0|123"),
                    Whom(Kind.ID, "user_01jd9x2q6c8s5v7e0k3m4n5p6r"),
                ),
            ),
            FileGroup("others"),
        ),
        (
            FileSection(
                Target("root"),
                (FileRule(Effect.ALLOW, frozenset({Permission.ADMINISTER}), Whom(Kind.USER, "root@example.com")),),
            ),
            FileSection(
                Target("folder", ("team", "Ünder")),
                (
                    FileRule(
                        Effect.ALLOW,
                        frozenset({Permission.READ, Permission.WRITE}),
                        Whom(Kind.GROUP, "editors"),
                        datetime(2026, 1, 1, tzinfo=UTC),
                        datetime(2027, 1, 1, tzinfo=UTC),
                        ("192.0.2.0/24", "::1/128"),
                        Obligations(timedelta(hours=1), binds_ip=True, forces_download=True, personal_links=True),
                    ),
                    FileRule(Effect.DENY, read_all, Whom(Kind.ANYONE)),
                ),
            ),
            FileSection(Target("file", ("team", "a.pdf")), ()),
            FileSection(Target("label", label="top secret"), (FileRule(Effect.DENY, read_all, Whom(Kind.SIGNED_IN)),)),
        ),
    )


def test_a_file_may_manage_nothing() -> None:
    assert read(b"version: 1\n", "p.yaml").document == PolicyDocument()


def test_a_byte_order_mark_and_other_line_ends_are_no_fault() -> None:
    assert read(b"\xef\xbb\xbfversion: 1\r\nresources: []\r\n", "p.yaml").document == PolicyDocument()


def test_every_fault_is_told_at_once_with_its_line() -> None:
    text = """\
version: true
group: 3
groups:
  - name: no
    claim: 12
    members: [a, {subject: 3}, {subject: x}, {subject: x}]
  - name: Ed
  - name: ED
    claim:
resources:
  - folder: /
    rules: 3
  - file: /a/../b
    rules:
      - allow: [red]
        deny: [read]
      - allow: []
        to: everybody
        from: 2026-01-01
        until: 1
        ips: [10.0.0.1/8, x, 1]
        link: {longest: 010, bind-ip: 1, foo: yes, foo: no}
      - allow: [read]
        to: anyone
      - allow: [read]
        to: anyone
  - 7
"""
    assert [found.partition(": ")[0] for found in faults(text)] == [
        *("1", "2", "4", "5", "6", "6", "6", "8", "9", "11", "12", "13", "15", "17", "18", "19", "20", "21", "21"),
        *("21", "22", "22", "22", "22", "25", "27"),
    ]


def test_a_thousand_faults_are_not_all_told() -> None:
    told = faults(rules(*["allow: []"] * 1000))
    assert len(told) == 51
    assert told[-1] == " and 1950 more faults"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " is empty"),
        ("# nothing\n", " is empty"),
        ("7", "1: should be a mapping"),
        ("[]", "1: should be a mapping"),
        ("resources: []", "1: version: is required"),
        ("version: 2", "1: version: should be 1, the only version there is"),
        ('version: "1"', "1: version: should be a whole number"),
        ("version: 1\nversion: 1", '2: "version" stands here twice'),
        ("version: 1\nresources:", "2: a value is missing"),
        ("version: 1\nresources: {}", "2: resources: should be a list"),
        ("version: 1\n<<: {groups: []}", "2: <<: is not known here"),
        ("version: &one 1", "1: anchors and aliases (& and *) are not allowed; put such text in quotes"),
        ("version: 1\ngroups: [*one]", "2: anchors and aliases (& and *) are not allowed; put such text in quotes"),
        ("&key version: 1", "1: a key must be a word"),
        ("[version]: 1", "1: a key must be a word"),
        ("version: !!python/name:os.system 1", "1: tags (!) are not allowed; put such text in quotes"),
        ("version: 1\n---\nversion: 1", "2: a second document begins"),
        ("version: 1\ngroups: [\n", "3: is not YAML: did not find expected node content"),
        ("version: 1\ngroups:\n\t- name: a", "3: a tab cannot indent; use spaces"),
        ("version: 1\ngroups: @x", "2: is not YAML: found character that cannot start any token"),
        ('version: "\\ud800"', "1: is not YAML: found invalid Unicode character escape code"),
        (b"version: 1\n# \xff", "2: is not UTF-8"),
        ("version: 1".encode("utf-16"), "1: is not UTF-8"),
        (b"#" + b" " * MAX_BYTES, " is larger than 4 MiB"),
        ("[" + "1," * 1_000_000 + "]", "1: has more than 600,000 values"),
        ("[" * 1_000_000, "1: is nested too deeply"),
        ("{a: " * 100_000, "1: is nested too deeply"),
    ],
)
def test_what_is_no_policy_file_is_refused(text: str | bytes, said: str) -> None:
    assert fault(text) == said


def test_control_characters_are_refused() -> None:
    assert fault("version: \x01").startswith(" is not YAML: ")


def test_aliases_cannot_grow() -> None:
    laughs = "a: &a [lol, lol]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    assert fault(laughs) == "1: anchors and aliases (& and *) are not allowed; put such text in quotes"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{}", ": should have either allow or deny"),
        ("{allow: [read], deny: [read], to: anyone}", ": should have either allow or deny"),
        ("{allow: [read]}", ".to: is required"),
        ("{allow: [], to: anyone}", ".allow: should not be empty"),
        ("{allow: read, to: anyone}", ".allow: should be a list"),
        ("{allow: [read, read], to: anyone}", ".allow: says something twice"),
        ("{allow: [READ], to: anyone}", None),
        ("{allow: [yes], to: anyone}", None),
        ("{allow: [[]], to: anyone}", None),
        ("{allow: [read], to: anyone, note: x}", ".note: is not known here"),
        ("{allow: [read], to: nobody}", None),
        ("{allow: [read], to: {user: a@b, group: x}}", None),
        ("{allow: [read], to: {owner: x}}", None),
        ("{allow: [read], to: {group: no}}", ".to: the group should be text: put it in quotes"),
        ("{allow: [read], to: {group: 12:30}}", ".to: the group should be text: put it in quotes"),
        ("{allow: [read], to: {group: a/b}}", ".to: a name may not contain '/'"),
        ("{allow: [read], to: {user: bob}}", '.to: "bob" is not an e-mail address'),
        ('{allow: [read], to: {subject: ""}}', None),
        ("{allow: [read], to: {id: user_1}}", '.to: "user_1" is not a user\'s id'),
        ("{allow: [read], to: anyone, from: soon}", None),
        ("{allow: [read], to: anyone, from: 2026-01-01}", None),
        ("{allow: [read], to: anyone, from: 2026-02-30T00:00:00Z}", None),
        ("{allow: [read], to: anyone, from: 0001-01-01T00:00:00+14:00}", None),
        ("{allow: [read], to: anyone, until: yes}", None),
        (
            "{allow: [read], to: anyone, from: 2026-01-01T01:00:00+01:00, until: 2026-01-01T00:00:00Z}",
            ": until should be later than from",
        ),
        ("{allow: [read], to: anyone, ips: 10.0.0.0/8}", ".ips: should be a list"),
        ("{allow: [read], to: anyone, ips: [10.0.0.0/33]}", '.ips[0]: "10.0.0.0/33" is not an address or a CIDR range'),
        ("{allow: [read], to: anyone, ips: [10.0.0.1, 10.0.0.1/32]}", ".ips: says something twice"),
        ("{allow: [read], to: anyone, link: true}", ".link: should be a mapping"),
        ("{allow: [read], to: anyone, link: {longest: 1.5}}", ".link.longest: should be a whole number"),
        ("{allow: [read], to: anyone, link: {longest: 0}}", ".link.longest: should be greater than or equal to 1"),
        ("{allow: [read], to: anyone, link: {download: 1}}", ".link.download: should be true or false"),
        ("just text", ": should be a mapping"),
    ],
)
def test_a_bad_rule_is_refused_where_it_stands(line: str, said: str | None) -> None:
    told = fault_of_rule(line)
    assert said is None or told == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{rules: []}", ": should name one of root, folder, file and label"),
        ("{root: true, folder: /a, rules: []}", ": should name one of root, folder, file and label"),
        ("{root: false, rules: []}", ".root: should be True"),
        ("{folder: /a}", ".rules: is required"),
        ("{folder: a, rules: []}", ".folder: should be a path that begins with / and does not end with it"),
        ("{folder: /a/, rules: []}", ".folder: should be a path that begins with / and does not end with it"),
        ("{folder: /a//b, rules: []}", ".folder: a name may not be empty"),
        ("{folder: 7, rules: []}", ".folder: should be text: put it in quotes"),
        ("{label: '!', rules: []}", '.label: "!" cannot be a label'),
    ],
)
def test_a_bad_resource_is_refused_where_it_stands(entry: str, said: str) -> None:
    assert fault(f"version: 1\nresources:\n- {entry}") == f"3: resources[0]{said}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("folder: /Straße", "folder: /STRASSE"),
        ("folder: /a", "file: /A"),
        ("folder: /e\u0301", "folder: /\u00e9"),
        ("label: A  b".replace("  ", " "), "label: a B"),
        ("root: true", "root: yes"),
    ],
)
def test_a_resource_stands_in_a_file_once(one: str, other: str) -> None:
    text = f"version: 1\nresources:\n- {{{one}, rules: []}}\n- {{{other}, rules: []}}"
    assert fault(text) == "4: resources[1]: is the same resource as resources[0]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{allow: [read, write], to: {group: Ed}}", "{allow: [write, read], to: {group: ED}}"),
        ("{allow: [read], to: {user: A@b}}", "{to: {user: a@B}, allow: [read]}"),
        ("{deny: [read], to: anyone, ips: [10.0.0.1]}", "{deny: [read], to: anyone, ips: [10.0.0.1/32]}"),
        (
            "{deny: [read], to: anyone, from: 2026-01-01T00:00:00Z}",
            "{deny: [read], to: anyone, from: 2026-01-01T01:00:00+01:00}",
        ),
        ("{allow: [read], to: anyone, link: {download: false}}", "{allow: [read], to: anyone}"),
    ],
)
def test_a_rule_stands_on_a_resource_once(one: str, other: str) -> None:
    assert fault(rules(one, other)) == "6: resources[0].rules[1]: says the same as rules[0]"


def test_two_groups_cannot_have_one_name_or_one_claim() -> None:
    text = "version: 1\ngroups:\n- {name: a, claim: c}\n- {name: A}\n- {name: b, claim: c}"
    assert faults(text) == [
        "4: groups[1]: is the same group as groups[0]",
        "5: groups[2]: has the same claim as groups[0]",
    ]


def test_a_message_stays_on_one_line_whatever_the_file_has() -> None:
    assert "\\n" in fault_of_rule('{allow: ["a\\nb"], to: anyone}')
    assert len(fault_of_rule("{allow: [" + "x" * 10_000 + "], to: anyone}")) < 200


def test_what_turns_out_later_is_told_with_its_place_too() -> None:
    file = read(WHOLE.encode(), "p.yaml")
    told = file.refused([(("resources", 1, "rules", 1), "b"), (("resources", 1, "rules", 0, "until"), "a")])
    assert told.faults == ("p.yaml:17: resources[1].rules[0].until: a", "p.yaml:20: resources[1].rules[1]: b")
