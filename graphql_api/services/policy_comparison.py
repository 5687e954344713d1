"""A policy file compared with what there is: a draft of rules, changes of groups, and what names both states."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook
from graphql_api.db import rules
from graphql_api.errors import DeliveryError, InvalidInput, Unavailable
from graphql_api.model.ids import GroupId, UserId, new_user_id
from graphql_api.model.names import name_key
from graphql_api.model.principal import ANONYMOUS
from graphql_api.model.rule import AccessRule, Effect, Scope, Subject
from graphql_api.model.rule_change import Invitee, ReplaceRules, RuleWish
from graphql_api.policyfile import FileRule, FileSection, Kind, Path, PolicyFile, Whom
from graphql_api.services.policy_groups import GroupChange, changes_of_groups
from graphql_api.services.policy_names import Key, Meaning, meaning_of, subject_of
from graphql_api.services.rule_draft import RuleDraft
from graphql_api.services.rule_json import tag_of
from graphql_api.services.rule_subjects import RuleSubjects

_BOOK: Final = Rulebook(UserId("operator"), is_admin=True)  # no user has this id
_FIELDS: Final = {"subject": "to", "startsAt": "from", "endsAt": "until", "ipRanges": "ips", "obligations": "link"}


@dataclass(frozen=True)
class Comparison:
    """``id``: two parts, which differ when the file does and when what it was compared with does. ``newcomers``: who
    would be invited, under the ids that they would get.
    """

    file: PolicyFile
    id: str
    meaning: Meaning
    newcomers: Mapping[UserId, Whom]
    groups: list[GroupChange]
    people: Mapping[Key, UserId]
    there: Mapping[Scope, tuple[AccessRule, ...]]  # what stands on the file's resources

    @property
    def group_ids(self) -> Mapping[str, GroupId]:
        """Those there are and those to come, by the key of their name."""
        ids = {key: group.id for key, group in self.meaning.groups.items()}
        return ids | {name_key(change.after.name): change.after.id for change in self.groups}


async def compare_file(connection: AsyncConnection, file: PolicyFile, issuer: str, now: datetime) -> Comparison:
    """Raises: ConfigurationError: a line for each name that is no good. Unavailable."""
    meaning = await meaning_of(connection, file, issuer)
    invited = {key: new_user_id(now) for key in meaning.newcomers}
    people = {**meaning.people, **invited}
    groups = await changes_of_groups(connection, file, meaning, people, now)
    there: dict[Scope, tuple[AccessRule, ...]] = dict.fromkeys(meaning.scopes, ())
    for rule in await rules.list_rules_on(connection, meaning.scopes):
        there[rule.terms.resource] = (*there[rule.terms.resource], rule)
    newcomers = {invited[key]: whom for key, whom in meaning.newcomers.items()}
    id_ = f"{_digest(file.content)}-{_digest(_state(file, meaning, groups, there))}"
    return Comparison(file, id_, meaning, newcomers, groups, people, there)


def new_draft(connection: AsyncConnection, issuer: str, now: datetime, *, binds_links: bool) -> RuleDraft:
    """One in which the system does everything, and may. ``binds_links``: as in ``Standing``."""
    subjects = RuleSubjects(connection, ANONYMOUS, sees_everybody=True, issuer=issuer, now=now)
    standing = replace(_BOOK.standing(now, None), binds_links=binds_links)
    return RuleDraft(connection, ANONYMOUS, _BOOK, standing, subjects, now)


async def draft_rules(draft: RuleDraft, compared: Comparison) -> None:
    """Raises: ConfigurationError: a line for each rule that cannot be. Unavailable."""
    group_ids = compared.group_ids
    faults: list[tuple[Path, str]] = []
    sections = zip(compared.file.document.sections, compared.meaning.scopes, strict=True)
    for number, (section, scope) in enumerate(sections):
        wishes = tuple(_wish(rule, scope, subject_of(rule.to, group_ids, compared.people)) for rule in section.rules)
        try:
            await draft.add(ReplaceRules(scope, tag_of(compared.there[scope]), wishes))
        except Unavailable:
            raise
        except DeliveryError as error:
            faults += [(("resources", number, *path), message) for path, message in _faults(error, section)]
    if faults:
        raise compared.file.refused(faults)


def invitee_of(whom: Whom) -> Invitee:
    return Invitee(email=whom.name) if whom.kind is Kind.USER else Invitee(subject=whom.name)


def _wish(rule: FileRule, resource: Scope, subject: Subject) -> RuleWish:
    return RuleWish(
        effect=rule.effect,
        permissions=rule.permissions,
        subject=subject,
        resource=resource,
        starts_at=rule.starts_at,
        ends_at=rule.ends_at,
        ip_ranges=rule.ip_ranges,
        max_lifetime=rule.obligations.max_lifetime,
        binds_ip=rule.obligations.binds_ip,
        forces_download=rule.obligations.forces_download,
        personal_links=rule.obligations.personal_links,
    )


def _faults(error: DeliveryError, section: FileSection) -> Iterator[tuple[Path, str]]:
    """Where in the section, in the words of files, and what is wrong."""
    faults = [(fault.path, fault.message) for fault in error.faults] if isinstance(error, InvalidInput) else []
    for path, message in faults or [(error.path, error.message)]:
        where: Path = ()
        if path[:1] == ("rules",) and len(path) > 1:
            number = int(path[1])
            field = _FIELDS.get(path[2]) if len(path) > 2 else None
            if path[2:3] == ("permissions",):
                field = "allow" if section.rules[number].effect is Effect.ALLOW else "deny"
            where = ("rules", number) if field is None else ("rules", number, field)
        yield where, message


def _state(
    file: PolicyFile,
    meaning: Meaning,
    groups: Iterable[GroupChange],
    there: Mapping[Scope, Iterable[AccessRule]],
) -> bytes:
    """Everything in the database that decides what applying the file does."""
    of_groups: list[object] = []
    for wanted, change in zip(file.document.groups, groups, strict=True):
        members = None if wanted.members is None else sorted(change.members)
        of_groups.append(change.before and [change.before.id, change.before.name, change.before.claim, members])
    named = {
        name_key(rule.to.name)
        for section in file.document.sections
        for rule in section.rules
        if rule.to.kind is Kind.GROUP
    }
    other_groups = {key: meaning.groups[key].id for key in named & meaning.groups.keys()}
    on = [[scope, tag_of(there[scope])] for scope in meaning.scopes]
    people = sorted([*key, user_id] for key, user_id in meaning.people.items())
    return orjson.dumps([of_groups, other_groups, on, people], option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
