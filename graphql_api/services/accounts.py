"""From a verified identity to the principal that every other service receives."""

from collections import OrderedDict
from typing import Final

from graphql_api.db import folders, users
from graphql_api.db.engine import Database
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, UserId, new_folder_id, new_user_id
from graphql_api.model.names import MAX_NAME_LENGTH, name_fault, normalized_name, numbered_name
from graphql_api.model.principal import Identity, Principal
from graphql_api.services.clock import Clock

MAX_REMEMBERED: Final = 10_000  # identities whose user is known without asking the database
_HOME_NAME_ATTEMPTS: Final = 1_000


class Accounts:
    """Users come into being when their first token is seen; each gets a folder of their own at the root."""

    def __init__(self, database: Database, clock: Clock, *, makes_homes: bool) -> None:
        self._database = database
        self._clock = clock
        self._makes_homes = makes_homes
        self._known: OrderedDict[tuple[str, str, str, str | None], UserId] = OrderedDict()

    async def principal_of(self, identity: Identity) -> Principal:
        """The principal behind a verified token. Raises: Unavailable."""
        key = (identity.issuer, identity.subject, identity.display_name, identity.email)
        user_id = self._known.get(key)
        if user_id is None:
            user_id = await self._find_or_create(identity)
            self._known[key] = user_id
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return Principal(
            user_id=user_id,
            display_name=identity.display_name,
            groups=identity.groups,
            is_admin=identity.is_admin,
        )

    async def find_home(self, principal: Principal) -> FolderId | None:
        """The principal's own folder, if it was given one and has not deleted it."""
        if principal.user_id is None:
            return None
        async with self._database.autocommit() as connection:
            return await users.find_home(connection, principal.user_id)

    async def _find_or_create(self, identity: Identity) -> UserId:
        async with self._database.autocommit() as connection:
            found = await users.find_user(connection, identity)
        if found is not None:
            return found
        now = self._clock()
        user_id = new_user_id(now)
        async with self._database.transaction() as connection:
            if await users.insert_user(connection, user_id, identity, now=now):
                if self._makes_homes:
                    home = Folder(new_folder_id(now), ROOT_FOLDER_ID, user_id, "", now, now)
                    for name in _home_names(identity):
                        if await folders.claim_name(connection, ROOT_FOLDER_ID, name, home.id):
                            home = Folder(home.id, ROOT_FOLDER_ID, user_id, name, now, now)
                            await folders.insert_folder(connection, home, home_of=user_id)
                            break
                return user_id
        async with self._database.autocommit() as connection:  # another request of the same person was first
            found = await users.find_user(connection, identity)
        assert found is not None, "users are never deleted"
        return found


def _home_names(identity: Identity) -> list[str]:
    wished = normalized_name(identity.display_name.replace("/", "-"))[:MAX_NAME_LENGTH]
    name = wished if name_fault(wished) is None else "home"
    return [name, *(numbered_name(name, number) for number in range(2, _HOME_NAME_ATTEMPTS))]
