"""Users: found by id, e-mail address or subject, and named before they first sign in."""

from collections.abc import Mapping, Sequence

from graphql_api.access.standing import Standing
from graphql_api.db import audit, users
from graphql_api.db.engine import Database
from graphql_api.errors import Forbidden, InputFault, InvalidInput
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.group import User, claim_fault, email_fault
from graphql_api.model.ids import UserId, new_user_id
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ROOT
from graphql_api.services.clock import Clock
from graphql_api.services.standings import Standings


def sees_everybody(standing: Standing) -> bool:
    """Whether all users, groups and rules may be seen: administrators and auditors."""
    return standing.may(Permission.AUDIT, {ROOT})


def require_admin(standing: Standing) -> None:
    """Raises: Forbidden."""
    if not standing.is_admin:
        raise Forbidden("only an administrator may do this", required_permission=Permission.ADMINISTER)


class People:
    """Whom one may not see looks like somebody who does not exist."""

    def __init__(self, database: Database, standings: Standings, clock: Clock, *, issuer: str) -> None:
        """``issuer``: whose tokens those who are named by e-mail address or subject will bring."""
        self._database = database
        self._standings = standings
        self._clock = clock
        self._issuer = issuer

    async def permissions(self, principal: Principal) -> frozenset[Permission]:
        """What the principal may do everywhere. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
        return frozenset(permission for permission in Permission if standing.may(permission, {ROOT}))

    async def find(self, principal: Principal, ids: Sequence[UserId]) -> Mapping[UserId, User]:
        """Those of ``ids`` that are the principal; all of them for administrators and auditors. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            found = await users.find_users(connection, ids)
        return {id_: user for id_, user in found.items() if _sees(standing, user)}

    async def find_named(self, ids: Sequence[UserId]) -> Mapping[UserId, User]:
        """Those of ``ids``, which stand in something that the caller has been shown. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await users.find_users(connection, ids)

    async def find_by(
        self, principal: Principal, *, email: str | None = None, subject: str | None = None
    ) -> User | None:
        """The user with this verified address or this subject (one of the two), or named by it, if they may be seen.

        Raises: InvalidInput: more than one user has the address. Unavailable.
        """
        _require_one_sound(email, subject)
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            try:
                user = await users.find_user_by(connection, issuer=self._issuer, email=email, subject=subject)
            except InvalidInput:
                if sees_everybody(standing):
                    raise
                return None
        return user if user is not None and _sees(standing, user) else None

    async def invite(self, principal: Principal, *, email: str | None = None, subject: str | None = None) -> User:
        """The user with this verified address or this subject (one of the two); they need not have signed in yet.

        Raises: Forbidden: not an administrator; who may share names people in rules. InvalidInput: what is no address
        or subject, or an address that more than one user has. Unavailable.
        """
        async with self._database.autocommit() as connection:
            require_admin(await self._standings.of(connection, principal))
        _require_one_sound(email, subject)
        now = self._clock()
        async with self._database.transaction() as connection:
            user_id = new_user_id(now)
            user = await users.find_or_invite(
                connection, user_id, issuer=self._issuer, email=email, subject=subject, now=now
            )
            if user.id == user_id:
                named = {"email": email} if email is not None else {"tokenSubject": subject}
                event = audit_event(principal, AuditAction.USER_INVITED, user.id, now=now, after=named)
                await audit.insert_events(connection, [event])
        return user


def _sees(standing: Standing, user: User) -> bool:
    return user.id == standing.user_id or sees_everybody(standing)


def _require_one_sound(email: str | None, subject: str | None) -> None:
    """Raises: InvalidInput."""
    if (email is None) == (subject is None):
        raise InvalidInput(InputFault("give either an e-mail address or a token subject"))
    if email is not None and (fault := email_fault(email)) is not None:
        raise InvalidInput(InputFault(fault, ("email",)))
    if subject is not None and (fault := claim_fault(subject)) is not None:
        raise InvalidInput(InputFault(fault, ("tokenSubject",)))
