"""Rules that are kept in git: exported, compared with what there is, and made so. For who runs commands beside the
database: nobody is asked for permission, and to the audit log it is the system.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, policy_names, rules, users
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.preview import Preview
from graphql_api.model.principal import CONTENT_PERMISSIONS
from graphql_api.model.rule import AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.policyfile import FileGroup, FileRule, FileSection, Kind, PolicyDocument, PolicyFile, Target, Whom
from graphql_api.services.clock import Clock
from graphql_api.services.last_admin import keeping_an_admin, leaves_no_admin
from graphql_api.services.policy_comparison import Comparison, compare_file, draft_rules, invitee_of, new_draft
from graphql_api.services.policy_groups import GroupChange, regrouping_of, write_groups
from graphql_api.services.policy_names import targets_of, whom_of
from graphql_api.services.previews import compare
from graphql_api.services.rule_draft import RuleDraft, Step
from graphql_api.services.rule_writing import write


@dataclass(frozen=True)
class SectionChange:
    """What becomes of the rules on one resource; ``stays`` counts those that are as the file says already."""

    target: Target
    comes: tuple[FileRule, ...]
    goes: tuple[FileRule, ...]
    stays: int


@dataclass(frozen=True)
class PolicyPlan:
    """``id`` differs when the file, or what it was compared with, differs. ``groups`` are those that change, while
    ``sections`` are all. ``preview`` is None when nothing changes. ``names``: of the ids in this, as files say them.
    ``leaves_no_admin``: there is an administrator by rule, and would be none.
    """

    id: str
    groups: tuple[GroupChange, ...]
    sections: tuple[SectionChange, ...]
    preview: Preview | None
    names: Mapping[str, str]
    leaves_no_admin: bool

    @property
    def changes_anything(self) -> bool:
        return bool(self.groups) or any(section.comes or section.goes for section in self.sections)


class PolicyFiles:
    """Every method raises ``Unavailable`` when the database does not answer."""

    def __init__(
        self, database: Database, clock: Clock, *, issuer: str, link_max_lifetime: timedelta, binds_links: bool
    ) -> None:
        """``issuer``: whose tokens those who are named by e-mail address or token subject bring. ``binds_links``: as in
        ``Standing``.
        """
        self._database = database
        self._clock = clock
        self._issuer = issuer
        self._link_max_lifetime = link_max_lifetime
        self._binds_links = binds_links

    async def export(self, *, with_homes: bool = False) -> PolicyDocument:
        """All groups and rules: a file that ``plan`` finds no change in. Homes that have nothing but the rule that they
        were made with are left out unless ``with_homes``: they come with people, not with files.
        """
        async with self._database.snapshot() as connection:
            every = await policy_names.list_everyones_rules(connection)
            if not with_homes:
                every = _less_homes(every, await policy_names.list_homes(connection))
            groups = await policy_names.list_all_groups(connection)
            members = await policy_names.members_of(connection, [group.id for group in groups])
            named = {str(rule.terms.subject) for rule in every}.union(*members.values())
            whom = await whom_of(connection, named, self._issuer)
            targets = await targets_of(connection, {rule.terms.resource for rule in every})
        sections: dict[Target, list[FileRule]] = {}
        for rule in every:
            if rule.terms.resource in targets:  # else it is about nothing any more
                sections.setdefault(targets[rule.terms.resource], []).append(_file_rule(rule.terms, whom))
        return PolicyDocument(
            tuple(
                FileGroup(group.name, group.claim, tuple(whom[user_id] for user_id in members[group.id]))
                for group in groups
            ),
            tuple(FileSection(target, tuple(on_it)) for target, on_it in sections.items()),
        )

    async def plan(self, file: PolicyFile) -> PolicyPlan:
        """What ``apply`` would do, with all its checks, and what that means for whom; no writer waits.

        Raises: ConfigurationError: a line for each name that means nothing, and for each rule that cannot be.
        """
        async with self._database.snapshot() as connection:
            compared, draft = await self._rehearse(connection, file)
            return await self._told(draft, compared, with_preview=True)

    async def apply(self, file: PolicyFile, plan_id: str, *, may_leave_no_admin: bool = False) -> PolicyPlan:
        """Make it so, all or nothing; what was done, without a preview.

        Raises: ConfigurationError: as ``plan`` does. Conflict: ``plan_id`` is that of a plan of another file, or of
        another state of the rules; or there would be no administrator by rule any more, unless there may be none.
        """
        async with self._database.snapshot() as connection:  # nobody has to wait for a file that cannot be applied
            compared, draft = await self._rehearse(connection, file)
            _require_same(plan_id, compared.id)
            told = await self._told(draft, compared, with_preview=False)
        if told.leaves_no_admin and not may_leave_no_admin:
            raise _nobody_left()
        if told.changes_anything:
            await self._make(file, plan_id, may_leave_no_admin)
        return told

    async def _rehearse(self, connection: AsyncConnection, file: PolicyFile) -> tuple[Comparison, RuleDraft]:
        now = self._clock()
        compared = await compare_file(connection, file, self._issuer, now)
        draft = new_draft(connection, self._issuer, now, binds_links=self._binds_links)
        draft.subjects.invitees |= {user_id: invitee_of(whom) for user_id, whom in compared.newcomers.items()}
        draft.subjects.coming_groups = frozenset(change.after.id for change in compared.groups)
        draft.regrouping = await regrouping_of(connection, compared.groups)
        await draft_rules(draft, compared)
        return compared, draft

    async def _make(self, file: PolicyFile, plan_id: str, may_leave_no_admin: bool) -> None:
        """Raises: ConfigurationError, Conflict: what was rehearsed a moment ago has changed since."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.bump_version(connection)
            compared = await compare_file(connection, file, self._issuer, now)
            _require_same(plan_id, compared.id)
            async with nullcontext() if may_leave_no_admin else keeping_an_admin(connection, None, now):
                await self._invite(connection, compared.newcomers, now)
                await write_groups(connection, compared.groups, now)
                draft = new_draft(connection, self._issuer, now, binds_links=self._binds_links)
                await draft_rules(draft, compared)
                await write(draft)

    async def _invite(self, connection: AsyncConnection, newcomers: Mapping[UserId, Whom], now: datetime) -> None:
        events = []
        for user_id, whom in newcomers.items():
            invitee = invitee_of(whom)
            email, subject = invitee.email, invitee.subject
            await users.find_or_invite(connection, user_id, issuer=self._issuer, email=email, subject=subject, now=now)
            named = {"tokenSubject": subject} if email is None else {"email": email}
            events.append(audit_event(None, AuditAction.USER_INVITED, user_id, now=now, after=named))
        await audit.insert_events(connection, events)

    async def _told(self, draft: RuleDraft, compared: Comparison, *, with_preview: bool) -> PolicyPlan:
        groups = tuple(change for change in compared.groups if change.changes_anything)
        preview = await compare(draft, self._link_max_lifetime) if with_preview and (groups or draft.steps) else None
        lines = () if preview is None else preview.lines
        subjects = {str(line.subject) for line in lines} | _subjects(draft.steps)
        moved = {user_id for change in groups for user_id in change.joins | change.leaves}
        whom: dict[str, Whom] = dict(await whom_of(draft.connection, subjects | moved, self._issuer))
        whom.update(compared.newcomers.items())
        whom.update({change.after.id: Whom(Kind.GROUP, change.after.name) for change in groups})
        things = await targets_of(draft.connection, {id_ for line in lines for id_ in line.sample})
        names = {id_: str(named) for id_, named in (*whom.items(), *things.items())}
        sections = tuple(_section_changes(compared, draft.steps, whom))
        changes = bool(groups or draft.steps)
        return PolicyPlan(
            compared.id, groups, sections, preview, names, leaves_no_admin=changes and await leaves_no_admin(draft)
        )


def _section_changes(
    compared: Comparison, steps: Collection[Step], whom: Mapping[str, Whom]
) -> Iterator[SectionChange]:
    comes: dict[str, list[FileRule]] = {}
    goes: dict[str, list[FileRule]] = {}
    for step in steps:
        for rule, found in ((step.before, goes), (step.after, comes)):
            if rule is not None:
                found.setdefault(rule.terms.resource, []).append(_file_rule(rule.terms, whom))
    for section, scope in zip(compared.file.document.sections, compared.meaning.scopes, strict=True):
        new, old = tuple(comes.get(scope, ())), tuple(goes.get(scope, ()))
        yield SectionChange(section.target, new, old, stays=len(section.rules) - len(new))


def _subjects(steps: Iterable[Step]) -> set[str]:
    return {str(rule.terms.subject) for step in steps for rule in (step.before, step.after) if rule is not None}


def _file_rule(terms: RuleTerms, whom: Mapping[str, Whom]) -> FileRule:
    return FileRule(
        effect=terms.effect,
        permissions=terms.permissions,
        to=whom[terms.subject],
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        ip_ranges=terms.ip_ranges,
        obligations=terms.obligations,
    )


def _less_homes(every: Sequence[AccessRule], homes: Mapping[FolderId, UserId]) -> Sequence[AccessRule]:
    """Without those on homes that have nothing but the rule that they were made with."""
    on: dict[Scope, list[RuleTerms]] = {}
    for rule in every:
        on.setdefault(rule.terms.resource, []).append(rule.terms)
    made_with = {
        Scope(folder_id): [RuleTerms(Effect.ALLOW, CONTENT_PERMISSIONS, Subject(user_id), Scope(folder_id))]
        for folder_id, user_id in homes.items()
    }
    plain = {scope for scope, terms in made_with.items() if on.get(scope) == terms}
    return [rule for rule in every if rule.terms.resource not in plain]


def _nobody_left() -> Conflict:
    return Conflict(
        "nobody would be left whom a rule makes an administrator; --allow-no-administrator applies it all the same"
    )


def _require_same(plan_id: str, id_: str) -> None:
    """Raises: Conflict."""
    (file, state), (file_now, state_now) = plan_id.partition("-")[::2], id_.partition("-")[::2]
    if file != file_now:
        raise Conflict("the file has been edited since that plan: plan again")
    if state != state_now:
        raise Conflict("the rules, groups or people that the file names have changed since that plan: plan again")
