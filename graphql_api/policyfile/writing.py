"""A policy document as the text of a file: the same document gives the same text, whatever order it came in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import yaml

from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect, Obligations
from graphql_api.policyfile.document import FileGroup, FileRule, FileSection, Kind, PolicyDocument, Target, Whom

_Parent: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_KINDS: Final = {kind: position for position, kind in enumerate(("root", "folder", "file", "label"))}
_STYLE: Final[Mapping[str, Any]] = {
    "sort_keys": False,
    "allow_unicode": True,
    "default_flow_style": None,  # what holds no list or mapping stands on one line
    "width": 1_000_000,  # characters: nothing is folded
}


class _Time(str):
    """Written without quotes."""


class _Dumper(_Parent):  # type: ignore[misc]  # which of the two it is depends on the machine
    def ignore_aliases(self, _data: object) -> bool:
        return True


_Dumper.add_representer(_Time, lambda dumper, time: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(time)))


def write(document: PolicyDocument) -> str:
    """Groups and resources in the order of their names, rules in the order of what they say."""
    top: dict[str, object] = {"version": 1}
    if document.groups:
        top["groups"] = [_group(group) for group in sorted(document.groups, key=lambda group: name_key(group.name))]
    top["resources"] = [_section(section) for section in sorted(document.sections, key=_place)]
    text: str = yaml.dump(top, Dumper=_Dumper, **_STYLE)
    return text


def rule_text(rule: FileRule) -> str:
    """``rule`` on one line, as people read it."""
    effect, permissions = ("allow" if rule.effect is Effect.ALLOW else "deny"), ", ".join(_permissions(rule))
    parts = [f"{effect} {permissions} {'to' if rule.effect is Effect.ALLOW else 'for'} {rule.to}"]
    if rule.starts_at is not None:
        parts.append(f"from {_time(rule.starts_at)}")
    if rule.ends_at is not None:
        parts.append(f"until {_time(rule.ends_at)}")
    if rule.ip_ranges:
        parts.append(f"at {', '.join(rule.ip_ranges)}")
    if link := _link(rule.obligations):
        parts.append("link " + ", ".join(key if value is True else f"{key} {value} s" for key, value in link.items()))
    return "; ".join(parts)


def _place(section: FileSection) -> tuple[int, list[str], str]:
    target = section.target
    return _KINDS[target.kind], [name_key(name) for name in target.path], target.label


def _group(group: FileGroup) -> dict[str, object]:
    entry: dict[str, object] = {"name": group.name}
    if group.claim is not None:
        entry["claim"] = group.claim
    if group.members is not None:
        entry["members"] = [_member(member) for member in sorted(group.members, key=_person_order)]
    return entry


def _member(member: Whom) -> object:
    return member.name if member.kind is Kind.USER else {str(member.kind): member.name}


def _person_order(person: Whom) -> tuple[bool, str, str]:
    return person.kind is not Kind.USER, *person.key


def _section(section: FileSection) -> dict[str, object]:
    rules = sorted(map(_rule, section.rules), key=_rule_order)
    return {section.target.kind: _named(section.target), "rules": rules}


def _named(target: Target) -> object:
    match target.kind:
        case "root":
            return True
        case "label":
            return target.label
        case _:
            return "/" + "/".join(target.path)


def _rule(rule: FileRule) -> dict[str, object]:
    entry: dict[str, object] = {"allow" if rule.effect is Effect.ALLOW else "deny": _permissions(rule)}
    is_everybody = rule.to.kind in {Kind.SIGNED_IN, Kind.ANYONE}
    entry["to"] = str(rule.to.kind) if is_everybody else {str(rule.to.kind): rule.to.name}
    if rule.starts_at is not None:
        entry["from"] = _time(rule.starts_at)
    if rule.ends_at is not None:
        entry["until"] = _time(rule.ends_at)
    if rule.ip_ranges:
        entry["ips"] = list(rule.ip_ranges)
    if link := _link(rule.obligations):
        entry["link"] = dict(link)
    return entry


def _rule_order(entry: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(key, repr(value)) for key, value in entry.items()]


def _permissions(rule: FileRule) -> list[str]:
    return [permission.lower() for permission in Permission if permission in rule.permissions]


def _time(instant: datetime) -> _Time:
    return _Time(instant.isoformat().replace("+00:00", "Z"))


def _link(obligations: Obligations) -> Mapping[str, int | bool]:
    link: dict[str, int | bool] = {}
    if obligations.max_lifetime is not None:
        link["longest"] = int(obligations.max_lifetime.total_seconds())
    if obligations.binds_ip:
        link["bind-ip"] = True
    if obligations.forces_download:
        link["download"] = True
    if obligations.personal_links:
        link["personal"] = True
    return link
