"""Whom wishes for rules mean, some of whom may not have signed in yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import groups, users
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.group import claim_fault, email_fault, email_key
from graphql_api.model.ids import GROUP_PREFIX, USER_PREFIX, GroupId, UserId, new_user_id
from graphql_api.model.principal import Principal
from graphql_api.model.rule import Subject
from graphql_api.model.rule_change import Invitee
from graphql_api.services.rule_wishes import is_subject

MAX_INVITEES: Final = 100  # people in one request who are named by e-mail address or token subject
MAX_NEWCOMERS: Final = 20  # of these, who are not known yet, when it is no administrator who names them

_NOBODY: Final = Subject("")


@dataclass
class RuleSubjects:
    """``principal`` may name every user, and the groups they may see: all of them with ``sees_everybody``.

    ``invitees``: who would have to be invited, under the ids that they would get. ``coming_groups``: those that a
    rehearsal takes as made.
    """

    connection: AsyncConnection
    principal: Principal
    sees_everybody: bool
    issuer: str
    now: datetime
    invitees: dict[UserId, Invitee] = field(default_factory=dict)
    coming_groups: frozenset[GroupId] = frozenset()
    max_newcomers: int = MAX_INVITEES
    _named: dict[Invitee, UserId] = field(default_factory=dict)

    async def find(self, wished: Subject | Invitee, faults: list[InputFault]) -> Subject:
        """The text that rules have; a fault is added when nobody can be meant. Ids are not looked up yet."""
        if isinstance(wished, str):
            if not is_subject(wished):
                faults.append(InputFault("must be a user, a group, who is signed in, or anyone", ("subject",)))
            return wished
        if (fault := _fault_of(wished)) is not None:
            faults.append(fault)
            return _NOBODY
        key = Invitee(None if wished.email is None else email_key(wished.email), wished.subject)
        if key not in self._named:
            if len(self._named) >= MAX_INVITEES:
                message = f"at most {MAX_INVITEES} people at once can be named by e-mail address or token subject"
                faults.append(InputFault(message, ("subject",)))
                return _NOBODY
            try:
                self._named[key] = await self._find_or_plan(wished)
            except InvalidInput as error:
                faults.append(InputFault(error.message, ("subject", *error.path)))
                return _NOBODY
        return Subject(self._named[key])

    async def require_known(self, paths: Mapping[Subject, tuple[str, ...]]) -> None:
        """Raises: InvalidInput: at their paths, subjects that do not exist or that the principal may not see."""
        user_ids = [UserId(id_) for id_ in paths.keys() - self.invitees.keys() if id_.startswith(USER_PREFIX)]
        group_ids = [GroupId(id_) for id_ in paths if id_.startswith(GROUP_PREFIX)]
        known: set[str] = set()
        if user_ids:
            known |= await users.find_nameable(self.connection, user_ids)
        if group_ids:
            of = None if self.sees_everybody else self.principal
            known |= (await groups.find_groups(self.connection, group_ids, of=of)).keys()
        missing = {*user_ids, *group_ids} - known - self.coming_groups
        unknown = [id_ for id_ in paths if id_ in missing]
        if unknown:
            raise InvalidInput(*(InputFault("no such user or group", paths[id_]) for id_ in unknown))

    async def _find_or_plan(self, invitee: Invitee) -> UserId:
        found = await users.find_user_by(
            self.connection, issuer=self.issuer, email=invitee.email, subject=invitee.subject
        )
        if found is not None:
            return found.id
        if len(self.invitees) >= self.max_newcomers:
            message = f"at most {self.max_newcomers} people at once can be named who are not known yet"
            raise InvalidInput(InputFault(message))
        user_id = new_user_id(self.now)
        self.invitees[user_id] = invitee
        return user_id


def _fault_of(invitee: Invitee) -> InputFault | None:
    if (invitee.email is None) == (invitee.subject is None):
        return InputFault("give either an e-mail address or a token subject", ("subject",))
    if invitee.email is not None and (fault := email_fault(invitee.email)) is not None:
        return InputFault(fault, ("subject", "email"))
    if invitee.subject is not None and (fault := claim_fault(invitee.subject)) is not None:
        return InputFault(fault, ("subject", "tokenSubject"))
    return None
