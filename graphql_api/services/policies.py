"""The rules: made, changed, listed, explained and rehearsed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import rules
from graphql_api.db.engine import Database
from graphql_api.db.rulebooks import load_rulebook
from graphql_api.errors import DeliveryError, Forbidden, InputFault, InvalidInput
from graphql_api.model.decision import AccessDecision
from graphql_api.model.ids import FileId, FolderId, RuleId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.preview import Preview
from graphql_api.model.principal import Address, Permission, Principal
from graphql_api.model.rule import AccessRule, Scope, Subject
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    ProposedChange,
    ReplaceRules,
    RuleChange,
    RuleWish,
    UpdateRule,
)
from graphql_api.services.clock import Clock
from graphql_api.services.last_admin import keeping_an_admin, require_an_admin_left
from graphql_api.services.old_links import longest_life, old_links_expire_by
from graphql_api.services.people import sees_everybody
from graphql_api.services.previews import collect, tell
from graphql_api.services.rule_draft import Drafted, RuleDraft
from graphql_api.services.rule_explanations import Asked, Question, book_of, find_decisions
from graphql_api.services.rule_subjects import MAX_INVITEES, MAX_NEWCOMERS, RuleSubjects
from graphql_api.services.rule_views import find_tags, find_visible, list_visible, list_visible_on
from graphql_api.services.rule_writing import Memory, write
from graphql_api.services.standings import Standings

MAX_REHEARSALS: Final = 2  # at a time: each keeps a processor busy, and holds what it compares


class Policies:
    """Nobody gives what they do not hold, and hidden and absent rules, files and folders look alike."""

    def __init__(
        self, database: Database, standings: Standings, clock: Clock, *, issuer: str, link_max_lifetime: timedelta
    ) -> None:
        """``issuer``: whose tokens those who are named by e-mail address or token subject will bring."""
        self._database = database
        self._standings = standings
        self._clock = clock
        self._issuer = issuer
        self._link_max_lifetime = link_max_lifetime
        self._rehearsing = anyio.Semaphore(MAX_REHEARSALS)

    async def create(self, principal: Principal, wish: RuleWish, *, idempotency_key: str | None = None) -> RuleChange:
        """A new rule. Whoever it is about need not have signed in yet.

        Raises: InvalidInput: what is no rule, an unknown subject, too many rules on the resource. NotFound: the
        resource. Forbidden: the principal may not share it, or does not hold what the rule would give. Conflict: there
        is such a rule. Unavailable.
        """
        (change,) = await self._change(principal, [CreateRule(wish)], idempotency_key)
        return change

    async def update(
        self,
        principal: Principal,
        rule_id: RuleId,
        version: int,
        changes: Mapping[str, object],
        *,
        idempotency_key: str | None = None,
    ) -> RuleChange:
        """Give fields of ``RuleWish`` other values. ``version``: which the caller has seen.

        Raises: as ``create`` does. NotFound: the rule, too. Conflict: it has changed since, or nobody would be left who
        may administer, too.
        """
        (change,) = await self._change(principal, [UpdateRule(rule_id, version, changes)], idempotency_key)
        return change

    async def delete(
        self, principal: Principal, rule_id: RuleId, version: int, *, idempotency_key: str | None = None
    ) -> RuleChange:
        """Raises: NotFound. Forbidden. Conflict: it has changed since, or nobody would be left who may administer.
        Unavailable.
        """
        (change,) = await self._change(principal, [DeleteRule(rule_id, version)], idempotency_key)
        return change

    async def replace(
        self,
        principal: Principal,
        resource: Scope,
        tag: str,
        wishes: Sequence[RuleWish],
        *,
        idempotency_key: str | None = None,
    ) -> RuleChange:
        """Let exactly these rules stand on ``resource`` itself. One that stands there already stays the rule it is.

        Raises: as ``create`` does. Conflict: ``tag`` is not that of the rules there, a rule is wished for twice, or
        nobody would be left who may administer.
        """
        change = ReplaceRules(resource, tag, tuple(wishes))
        (changed,) = await self._change(principal, [change], idempotency_key)
        return changed

    async def apply(
        self, principal: Principal, changes: Sequence[ProposedChange], *, idempotency_key: str | None = None
    ) -> Sequence[RuleChange]:
        """Several changes, all or none; one result for each.

        Raises: as the single changes do; the path begins with ``changes`` and the number of the one at fault.
        """
        return await self._change(principal, changes, idempotency_key, is_one_of_many=True)

    async def preview(self, principal: Principal, changes: Sequence[ProposedChange]) -> Preview:
        """What ``apply`` would do: all is checked, nothing written, and no writer waits. Raises: as ``apply`` does."""
        async with self._rehearsing:
            async with self._database.snapshot() as connection:
                draft = await self._draft(connection, principal, self._clock())
                await _fill(draft, changes, is_one_of_many=True)
                await require_an_admin_left(connection, draft.standing, draft.now, draft.after)
                rehearsal = await collect(draft, self._link_max_lifetime)
            return await tell(rehearsal)

    async def tag(self, principal: Principal, resource: Scope) -> str | None:
        """What ``replace`` wants to be shown; None for who may not see all rules there. Raises: Unavailable."""
        return (await self.tags(principal, [resource])).get(resource)

    async def tags(self, principal: Principal, resources: Sequence[Scope]) -> Mapping[Scope, str]:
        """The same for several, without those whose rules one may not all see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await find_tags(connection, standing, resources)

    async def find(self, principal: Principal, ids: Sequence[RuleId]) -> Mapping[RuleId, AccessRule]:
        """Those of ``ids`` that the principal may see: all where they hold SHARE, and elsewhere those that are about
        them and on what they may see, of labels only what these allow; auditors see all.

        Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            return await find_visible(connection, book, standing, ids)

    async def list(self, principal: Principal, request: PageRequest, resource: Scope | None = None) -> Page[AccessRule]:
        """Those that the principal may see, the newest first: to who is no auditor, those about them; with ``resource``
        as ``list_on`` does. Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        if resource is not None:
            return (await self.list_on(principal, request, [resource]))[resource]
        async with self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            return await list_visible(connection, book, standing, request)

    async def list_on(
        self, principal: Principal, request: PageRequest, resources: Sequence[Scope]
    ) -> Mapping[Scope, Page[AccessRule]]:
        """For each of ``resources`` those that are about it, inherited ones included, and that the principal may see,
        the newest first; none when it is hidden or absent. Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            return await list_visible_on(connection, book, standing, request, resources)

    async def explain(
        self,
        principal: Principal,
        resource_id: FileId | FolderId,
        permission: Permission,
        *,
        subject: Subject | None = None,
        address: Address | None = None,
    ) -> AccessDecision | None:
        """Why ``subject`` (None: the principal) may or may not, asking from ``address`` (None: the principal's own).

        None when the thing is absent, or hidden from who is no auditor. Who is none is told of rules about themselves
        only. Raises: Forbidden: about others, without AUDIT. InvalidInput: no such subject. Unavailable.
        """
        now, address = self._clock(), address or principal.address
        async with self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            if subject is not None and (book.user_id is None or subject != Subject(book.user_id)):
                _require_to_explain_others(standing)
                asked_about = await book_of(connection, subject, now)
            else:
                asked_about = book
            asked = Asked(asked_about, self._standings.standing(asked_about, now, address), now, address)
            question = resource_id, permission
            return (await find_decisions(connection, book, standing, asked, [question])).get(question)

    async def explain_own(
        self, principal: Principal, questions: Sequence[Question]
    ) -> Mapping[Question, AccessDecision]:
        """Why the principal may or may not, for each thing and permission; without hidden and absent things.

        Raises: Unavailable.
        """
        now = self._clock()
        async with self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            asked = Asked(book, standing, now, principal.address)
            return await find_decisions(connection, book, standing, asked, questions)

    async def _change(
        self,
        principal: Principal,
        changes: Sequence[ProposedChange],
        key: str | None,
        *,
        is_one_of_many: bool = False,
    ) -> Sequence[RuleChange]:
        now = self._clock()
        memory = Memory(principal, key, changes, now)
        if (answer := await self._before_locking(principal, changes, memory, is_one_of_many)) is not None:
            return answer
        async with self._database.transaction() as connection:
            await rules.bump_version(connection)
            if (answer := await memory.recall(connection)) is not None:
                return answer
            draft = await self._draft(connection, principal, now)
            async with keeping_an_admin(connection, draft.standing, now):
                drafted = await _fill(draft, changes, is_one_of_many)
                await write(draft)
            longest = await longest_life(connection, self._link_max_lifetime)
            answer = [_told(each, draft, longest) for each in drafted]
            await memory.keep(connection, answer)
        return answer

    async def _before_locking(
        self, principal: Principal, changes: Sequence[ProposedChange], memory: Memory, is_one_of_many: bool
    ) -> Sequence[RuleChange] | None:
        """What was answered before. Who may not make the changes is turned away here, so that nobody holds up the
        policy without a right to.
        """
        async with self._database.autocommit() as connection:
            if (answer := await memory.recall(connection)) is not None:
                return answer
            if (await self._standings.of(connection, principal)).is_admin:
                return None
            try:
                await _fill(await self._draft(connection, principal, memory.now), changes, is_one_of_many)
            except DeliveryError:
                # Another request with this key may just have done it, which would now be in the way.
                if (answer := await memory.recall(connection)) is not None:
                    return answer
                raise
        return None

    async def _draft(self, connection: AsyncConnection, principal: Principal, now: datetime) -> RuleDraft:
        book = await load_rulebook(connection, principal)
        standing = self._standings.standing(book, now, principal.address)
        subjects = RuleSubjects(
            connection,
            principal,
            sees_everybody(standing),
            self._issuer,
            now,
            max_newcomers=MAX_INVITEES if standing.is_admin else MAX_NEWCOMERS,
        )
        return RuleDraft(connection, principal, book, standing, subjects, now)


def _require_to_explain_others(standing: Standing) -> None:
    """Raises: Forbidden."""
    if not sees_everybody(standing):
        raise Forbidden(
            "to explain the access of others takes the permission AUDIT",
            required_permission=Permission.AUDIT,
            path=("subject",),
        )


def _told(drafted: Drafted, draft: RuleDraft, longest_lifetime: timedelta) -> RuleChange:
    ends = [
        old_links_expire_by(
            step.before,
            step.after,
            now=draft.now,
            link_max_lifetime=longest_lifetime,
            binds_links=draft.standing.binds_links,
        )
        for step in drafted.steps
    ]
    return RuleChange(drafted.rule, drafted.rules, max(filter(None, ends), default=None))


async def _fill(draft: RuleDraft, changes: Sequence[ProposedChange], is_one_of_many: bool) -> list[Drafted]:
    """Raises: InvalidInput, NotFound, Forbidden, Conflict; of many changes the path tells which."""
    drafted = []
    for number, change in enumerate(changes):
        try:
            drafted.append(await draft.add(change))
        except DeliveryError as error:
            if is_one_of_many:
                _move(error, ("changes", str(number)))
            raise
    return drafted


def _move(error: DeliveryError, at: tuple[str, ...]) -> None:
    """Its path, or its faults' paths, now begin with ``at``."""
    error.path = (*at, *error.path)
    if isinstance(error, InvalidInput):
        error.faults = tuple(InputFault(fault.message, (*at, *fault.path)) for fault in error.faults)
