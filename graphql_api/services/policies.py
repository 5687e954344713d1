"""The rules: made, changed, listed, explained and rehearsed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from graphql_api.db.engine import Database
from graphql_api.model.decision import AccessDecision
from graphql_api.model.ids import FileId, FolderId, RuleId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.preview import Preview
from graphql_api.model.principal import Address, Permission, Principal
from graphql_api.model.rule import AccessRule, Scope, Subject
from graphql_api.model.rule_change import ProposedChange, RuleChange, RuleWish
from graphql_api.services.clock import Clock
from graphql_api.services.standings import Standings


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

    async def create(self, principal: Principal, wish: RuleWish, *, idempotency_key: str | None = None) -> RuleChange:
        raise NotImplementedError

    async def update(
        self,
        principal: Principal,
        rule_id: RuleId,
        version: int,
        changes: Mapping[str, object],
        *,
        idempotency_key: str | None = None,
    ) -> RuleChange:
        raise NotImplementedError

    async def delete(
        self, principal: Principal, rule_id: RuleId, version: int, *, idempotency_key: str | None = None
    ) -> RuleChange:
        raise NotImplementedError

    async def replace(
        self,
        principal: Principal,
        resource: Scope,
        tag: str,
        wishes: Sequence[RuleWish],
        *,
        idempotency_key: str | None = None,
    ) -> RuleChange:
        raise NotImplementedError

    async def apply(
        self, principal: Principal, changes: Sequence[ProposedChange], *, idempotency_key: str | None = None
    ) -> Sequence[RuleChange]:
        """Several changes, all or none; one result for each. A fault's path begins with the number of the change."""
        raise NotImplementedError

    async def preview(self, principal: Principal, changes: Sequence[ProposedChange]) -> Preview:
        """What ``apply`` would do, with all its checks, and nothing written."""
        raise NotImplementedError

    async def tag(self, principal: Principal, resource: Scope) -> str | None:
        """What ``replace`` wants to see; None for who may not see all rules on the resource, or not the resource."""
        raise NotImplementedError

    async def find(self, principal: Principal, ids: Sequence[RuleId]) -> Mapping[RuleId, AccessRule]:
        """Those of ``ids`` that the principal may see."""
        raise NotImplementedError

    async def list(self, principal: Principal, request: PageRequest, resource: Scope | None = None) -> Page[AccessRule]:
        """The newest first; those on ``resource``, inherited ones included: none when it is hidden or absent."""
        raise NotImplementedError

    async def explain(
        self,
        principal: Principal,
        resource_id: FileId | FolderId,
        permission: Permission,
        *,
        subject: Subject | None = None,
        address: Address | None = None,
    ) -> AccessDecision | None:
        """None when the thing is absent or hidden from the caller."""
        raise NotImplementedError
