"""Changes of rules, thought through but not written: what mutations write and rehearsals compare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.authority import missing_to_change
from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import rules
from graphql_api.errors import Conflict, Forbidden, InputFault, InvalidInput, NotFound
from graphql_api.model.ids import GroupId, RuleId, UserId, new_rule_id
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import EVERYBODY, MAX_RULES_ON_RESOURCE, ROOT, AccessRule, RuleTerms, Subject
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    ProposedChange,
    ReplaceRules,
    RuleWish,
    UpdateRule,
)
from graphql_api.services.rule_json import tag_of
from graphql_api.services.rule_resources import Resource, find_resources, visible_rules
from graphql_api.services.rule_room import Path, Turnover, full, require_room_about, require_room_on
from graphql_api.services.rule_subjects import RuleSubjects
from graphql_api.services.rule_wishes import checked_terms, normal_resource, wish_of

_NOWHERE: Final = Resource(frozenset({ROOT}), frozenset({ROOT}))  # what a rule stood on has gone


@dataclass(frozen=True, slots=True)
class Step:
    """One rule before and after; one of the two may be None."""

    before: AccessRule | None
    after: AccessRule | None


@dataclass(frozen=True, slots=True)
class Drafted:
    """What one change has come to. ``rule`` and ``rules``: as in ``RuleChange``."""

    steps: tuple[Step, ...]
    rule: AccessRule | None
    rules: tuple[AccessRule, ...]


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Changes of groups that a rehearsal takes as made: who is then in groups, and not in groups, that they were not,
    and were, in before.
    """

    joined: Mapping[UserId, frozenset[GroupId]] = field(default_factory=dict)
    left: Mapping[UserId, frozenset[GroupId]] = field(default_factory=dict)

    def after(self, user_id: UserId, before: frozenset[GroupId]) -> frozenset[GroupId]:
        return (before - self.left.get(user_id, frozenset())) | self.joined.get(user_id, frozenset())


@dataclass
class RuleDraft:
    """Checks changes one after the other, each on what those before it would leave. Reads only.

    ``standing`` is the caller's before the first of them: nothing that one change gives makes another one possible.
    """

    connection: AsyncConnection
    principal: Principal
    book: Rulebook
    standing: Standing
    subjects: RuleSubjects
    now: datetime
    regrouping: Regrouping = field(default_factory=Regrouping)
    steps: list[Step] = field(default_factory=list)
    _state: dict[RuleId, AccessRule | None] = field(default_factory=dict)
    _resources: dict[str, Resource | None] = field(default_factory=dict)

    async def add(self, change: ProposedChange) -> Drafted:
        """Raises: InvalidInput, NotFound, Forbidden, Conflict."""
        match change:
            case CreateRule():
                drafted = await self._create(change)
            case UpdateRule():
                drafted = await self._update(change)
            case DeleteRule():
                drafted = await self._delete(change)
            case ReplaceRules():
                drafted = await self._replace(change)
        for step in drafted.steps:
            self.steps.append(step)
            if step.before is not None:
                self._state[step.before.id] = None
            if step.after is not None:
                self._state[step.after.id] = step.after
        return drafted

    def after(self, before: Iterable[AccessRule]) -> list[AccessRule]:
        """What the changes would leave of the rules ``before``, and all that they would make."""
        kept = [rule for rule in before if rule.id not in self._state]
        return kept + [rule for rule in self._state.values() if rule is not None]

    async def _create(self, change: CreateRule) -> Drafted:
        terms = await self._terms(change.wish, ())
        step = await self._new(terms, ())
        about: dict[Subject, Path] = {terms.subject: ("subject",)}
        await self.subjects.require_known(about)
        await self._require_room(terms)
        await self._require_room_about(about, [step])
        return Drafted((step,), step.after, () if step.after is None else (step.after,))

    async def _update(self, change: UpdateRule) -> Drafted:
        old = await self._find(change.rule_id)
        terms = await self._terms(wish_of(old, change.changes), ())
        if (old.terms.effect, old.terms.subject, old.terms.resource) == (terms.effect, terms.subject, terms.resource):
            await self._require_authority(old.terms, terms, ("ruleId",))
        else:  # another rule altogether: who may not delete the one or may not make the other may not do both
            await self._require_authority(old.terms, None, ("ruleId",))
            await self._require_authority(None, terms, ("resource",))
        _require_version(old, change.version)
        if terms == old.terms:
            return Drafted((), old, (old,))
        if terms.ends_at != old.terms.ends_at:
            self._require_future(terms, ())
        about: dict[Subject, Path] = {terms.subject: ("subject",)}
        if terms.subject != old.terms.subject:
            await self.subjects.require_known(about)
        await self._require_room(terms, old)
        # Who makes a rule be about everybody has made it: whose it was is not to blame.
        is_shared = terms.subject in EVERYBODY and old.terms.subject not in EVERYBODY
        made_by = self.principal.user_id if is_shared else old.made_by
        new = replace(old, terms=terms, version=old.version + 1, made_by=made_by, updated_at=self.now)
        step = Step(old, new)
        await self._require_room_about(about, [step])
        return Drafted((step,), new, (new,))

    async def _delete(self, change: DeleteRule) -> Drafted:
        old = await self._find(change.rule_id)
        await self._require_authority(old.terms, None, ("ruleId",))
        _require_version(old, change.version)
        return Drafted((Step(old, None),), old, ())

    async def _replace(self, change: ReplaceRules) -> Drafted:
        resource = normal_resource(change.resource) or change.resource
        await self._require_sharing(resource)
        if len(change.wishes) > MAX_RULES_ON_RESOURCE:
            raise full(("rules",))
        there = self._among(await rules.list_rules_on(self.connection, [resource]), resource)
        if tag_of(there) != change.tag:
            raise Conflict("the rules on the resource have changed since", path=("tag",))
        wanted = await self._wanted(change, resource)
        kept = {rule.terms: rule for rule in there if rule.terms in wanted}
        steps = []
        for rule in there:
            if kept.get(rule.terms) is not rule:
                await self._require_authority(rule.terms, None, ("resource",))
                steps.append(Step(rule, None))
        made = {terms: path for terms, path in wanted.items() if terms not in kept}
        steps += [await self._new(terms, path) for terms, path in made.items()]
        about = {terms.subject: (*path, "subject") for terms, path in made.items()}
        await self.subjects.require_known(about)
        await self._require_room_about(about, steps)
        left = [*kept.values(), *(step.after for step in steps if step.after is not None)]
        return Drafted(tuple(steps), None, tuple(sorted(left, key=lambda rule: rule.id)))

    async def _wanted(self, change: ReplaceRules, resource: str) -> dict[RuleTerms, Path]:
        """The terms of all wishes. Raises: InvalidInput: every fault of each. Conflict: two are the same rule."""
        wanted: dict[RuleTerms, Path] = {}
        faults: list[InputFault] = []
        for number, wish in enumerate(change.wishes):
            path = ("rules", str(number))
            try:
                terms = await self._terms(wish, path)
            except InvalidInput as error:
                faults += error.faults
                continue
            if terms.resource != resource:
                faults.append(InputFault("is not the resource whose rules are replaced", (*path, "resource")))
            if terms in wanted:
                raise Conflict("the same rule is there twice", path=path)
            wanted[terms] = path
        if faults:
            raise InvalidInput(*faults)
        return wanted

    async def _terms(self, wish: RuleWish, at: Path) -> RuleTerms:
        """Raises: InvalidInput."""
        faults: list[InputFault] = []
        subject = await self.subjects.find(wish.subject, faults)
        terms = checked_terms(wish, subject, faults)
        if faults:
            raise InvalidInput(*(InputFault(fault.message, (*at, *fault.path)) for fault in faults))
        return terms

    async def _find(self, rule_id: RuleId) -> AccessRule:
        """Raises: NotFound: no such rule, or the caller may not see it."""
        found = await rules.find_rules(self.connection, [rule_id])
        drafted = self._state.get(rule_id, found.get(rule_id))
        visible = await visible_rules(self.connection, self.book, self.standing, () if drafted is None else (drafted,))
        if not visible:
            raise _no_rule(("ruleId",))
        return visible[0]

    async def _new(self, terms: RuleTerms, at: Path) -> Step:
        """Raises: NotFound, Forbidden, InvalidInput."""
        await self._require_authority(None, terms, (*at, "resource"))
        self._require_future(terms, at)
        rule = AccessRule(new_rule_id(self.now), terms, 1, self.principal.user_id, self.now, self.now)
        return Step(None, rule)

    async def _require_sharing(self, scope: str) -> None:
        """Raises: NotFound: the resource is absent or hidden. Forbidden."""
        resource = await self._resource(scope)
        if resource is None or not resource.is_visible_to(self.standing):
            raise _no_resource(("resource",))
        if not resource.is_managed_by(self.standing):
            raise Forbidden(
                "to replace its rules takes the permission SHARE",
                required_permission=Permission.SHARE,
                path=("resource",),
            )

    async def _require_authority(self, before: RuleTerms | None, after: RuleTerms | None, at: Path) -> None:
        """Both stand on the same resource.

        Raises: NotFound: the resource is absent or hidden, and the rule with it. Forbidden.
        """
        terms = after or before
        assert terms is not None
        resource = await self._resource(terms.resource)
        if resource is None and before is not None:
            resource = _NOWHERE
        if resource is None or not resource.is_visible_to(self.standing):
            raise _no_resource(at) if before is None else _no_rule(at)
        missing = missing_to_change(
            self.standing,
            resource=terms.resource,
            scopes=resource.shared,
            before=before,
            after=after,
        )
        if missing is not None:
            raise Forbidden(missing.message, required_permission=missing.permission, path=at)

    async def _resource(self, scope: str) -> Resource | None:
        if scope not in self._resources:
            self._resources[scope] = (await find_resources(self.connection, [scope])).get(scope)
        return self._resources[scope]

    def _require_future(self, terms: RuleTerms, at: Path) -> None:
        if terms.ends_at is not None and terms.ends_at <= self.now:
            raise InvalidInput(InputFault("is in the past", (*at, "endsAt")))

    async def _require_room(self, terms: RuleTerms, old: AccessRule | None = None) -> None:
        """Raises: Conflict: there is such a rule. InvalidInput: there are too many on the resource."""
        alike = await rules.list_rules_between(self.connection, [terms.subject], [terms.resource])
        for rule in self._among(alike, terms.resource):
            if rule.terms == terms:
                raise Conflict("there is such a rule already", conflicting_id=rule.id)
        if old is not None and old.terms.resource == terms.resource:
            return
        await require_room_on(self.connection, terms.resource, _turnover(self.steps))

    async def _require_room_about(self, paths: Mapping[Subject, Path], new: Sequence[Step]) -> None:
        """Raises: InvalidInput: there are too many about a subject."""
        maker = None if self.standing.is_admin else self.principal.user_id
        earlier = _turnover(self.steps)
        await require_room_about(self.connection, paths, earlier, _turnover(new), maker=maker)

    def _among(self, before: Iterable[AccessRule], resource: str) -> list[AccessRule]:
        return [rule for rule in self.after(before) if rule.terms.resource == resource]


def _turnover(steps: Sequence[Step]) -> Turnover:
    return Turnover(
        [step.before for step in steps if step.before is not None],
        [step.after for step in steps if step.after is not None],
    )


def _require_version(rule: AccessRule, version: int) -> None:
    if rule.version != version:
        raise Conflict("the rule has changed since", conflicting_id=rule.id, path=("version",))


def _no_resource(at: Path) -> NotFound:
    return NotFound("no such file or folder", path=at)


def _no_rule(at: Path) -> NotFound:
    return NotFound("no such rule", path=at)
