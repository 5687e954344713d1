"""From a verified identity to the principal that every other service receives."""

from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, folders, rules, users
from graphql_api.db.engine import Database
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, UserId, new_folder_id, new_rule_id, new_user_id
from graphql_api.model.names import MAX_NAME_LENGTH, name_fault, normalized_name
from graphql_api.model.principal import CONTENT_PERMISSIONS, Address, Identity, Principal
from graphql_api.model.rule import AccessRule, Effect, RuleTerms, Scope, Subject
from graphql_api.services.announcements import folder_created
from graphql_api.services.clock import Clock
from graphql_api.services.naming import free_names
from graphql_api.services.rule_json import rule_json
from graphql_api.services.takeover import take_over_invitation

MAX_REMEMBERED: Final = 10_000  # users who are known without asking the database, while their token says the same
KNOWN_FOR: Final = timedelta(minutes=1)
"""For so long a token that says the same is not written down again. Meanwhile another process may have seen another
token of the same user, and what that one said is kept until this one is asked about again.
"""


class Accounts:
    """Users come into being when their first token is seen; each gets a folder of their own at the root."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        makes_homes: bool,
        admins: Collection[tuple[str, str]] = (),
    ) -> None:
        """``admins``: issuer and subject of those who are administrators whatever their token says."""
        self._database = database
        self._clock = clock
        self._makes_homes = makes_homes
        self._admins = frozenset(admins)
        self._known: OrderedDict[tuple[str, str], tuple[Identity, UserId, datetime]] = OrderedDict()

    async def principal_of(
        self, identity: Identity, *, address: Address | None = None, request_id: str | None = None
    ) -> Principal:
        """The principal behind a verified token, and from where and in which request they ask. Raises: Unavailable."""
        key = (identity.issuer, identity.subject)
        known = self._known.get(key)
        now = self._clock()
        if known is not None and known[0] == identity and now < known[2] + KNOWN_FOR:
            user_id = known[1]
            self._known.move_to_end(key)
        else:
            user_id = await self._find_or_create(identity)
            if self._known.pop(key, None) is known:  # else another token of theirs came meanwhile: which was kept last?
                self._known[key] = (identity, user_id, now)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return self._principal(user_id, identity, address, request_id)

    async def recall(
        self, user_id: UserId, *, address: Address | None = None, request_id: str | None = None
    ) -> Principal | None:
        """See ``recall_on``. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await self.recall_on(connection, user_id, address=address, request_id=request_id)

    async def recall_on(
        self,
        connection: AsyncConnection,
        user_id: UserId,
        *,
        address: Address | None = None,
        request_id: str | None = None,
    ) -> Principal | None:
        """The principal whom this process, or another, has let in before, as their token told of them that was written
        down last; None if there is none. Administrators by the settings are those of this process.
        """
        identity = await users.recall_identity(connection, user_id)
        return None if identity is None else self._principal(user_id, identity, address, request_id)

    async def find_home(self, principal: Principal) -> FolderId | None:
        """The principal's own folder, if it was given one and has not deleted it."""
        if principal.user_id is None:
            return None
        async with self._database.autocommit() as connection:
            return await users.find_home(connection, principal.user_id)

    def _principal(
        self, user_id: UserId, identity: Identity, address: Address | None, request_id: str | None
    ) -> Principal:
        return Principal(
            user_id=user_id,
            display_name=identity.display_name,
            groups=identity.groups,
            is_admin=identity.is_admin or (identity.issuer, identity.subject) in self._admins,
            address=address,
            request_id=request_id,
        )

    async def _find_or_create(self, identity: Identity) -> UserId:
        async with self._database.autocommit() as connection:
            found = await users.find_user(connection, identity)
        if found is not None:
            return found
        now = self._clock()
        async with self._database.transaction() as connection:
            user_id = await users.meet_user(connection, identity)
            if user_id is None:
                user_id = await self._welcome(connection, identity, now)
            await take_over_invitation(connection, user_id, identity, now)
        return user_id

    async def _welcome(self, connection: AsyncConnection, identity: Identity, now: datetime) -> UserId:
        """Who signs in for the first time."""
        user_id = await users.claim_invitation(connection, identity, now)
        if user_id is None:
            new = new_user_id(now)
            is_new = await users.insert_user(connection, new, identity, now=now)
            # The version before this one, which waits for nobody, may make user and home while this one is rolled out.
            user_id = new if is_new else await users.claim_invitation(connection, identity, now)
        assert user_id is not None, "users are never deleted"
        if self._makes_homes and await users.find_home(connection, user_id) is None:
            await self._make_home(connection, user_id, identity, now)
        return user_id

    async def _make_home(self, connection: AsyncConnection, user_id: UserId, identity: Identity, now: datetime) -> None:
        """Under the user's name, a numbered one if it is taken, and the user's id if all of those are. A rule makes it
        theirs with all that others will put there.
        """
        await rules.bump_version(connection)
        wished = normalized_name(identity.display_name.replace("/", "-"))[:MAX_NAME_LENGTH]
        name = wished if name_fault(wished) is None else "home"
        home_id = new_folder_id(now)
        if not await folders.claim_name(connection, ROOT_FOLDER_ID, name, home_id):
            for candidate in (*await free_names(connection, ROOT_FOLDER_ID, name), user_id):
                if await folders.claim_name(connection, ROOT_FOLDER_ID, candidate, home_id):
                    name = candidate
                    break
        home = Folder(home_id, ROOT_FOLDER_ID, user_id, name, now, now)
        await folders.insert_folder(connection, home, home_of=user_id)
        folder_created(connection, home, ROOT_FOLDER_ID)
        terms = RuleTerms(Effect.ALLOW, CONTENT_PERMISSIONS, Subject(user_id), Scope(home_id))
        rule = AccessRule(new_rule_id(now), terms, version=1, made_by=None, created_at=now, updated_at=now)
        await rules.insert_rules(connection, [rule])
        event = audit_event(None, AuditAction.RULE_CREATED, rule.id, now=now, resource=home_id, after=rule_json(rule))
        await audit.insert_events(connection, [event])
