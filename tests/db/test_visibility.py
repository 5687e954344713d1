"""The rule in SQL is the rule in Python."""

import itertools

from sqlalchemy import String, bindparam, literal, select, union_all

from graphql_api.access import may, reach_of
from graphql_api.db.engine import Database
from graphql_api.db.visibility import viewer, within
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Permission, Principal

IDS = [UserId(id_) for id_ in ("user_a", "user_b", "user_A", "user_", "", "'", "%", "user_a ", "猫")]
PRINCIPALS = [Principal(id_, is_admin=is_admin) for id_, is_admin in itertools.product([None, *IDS], (False, True))]


async def test_sql_and_python_agree_on_every_owner_and_principal(database: Database) -> None:
    owners = union_all(*(select(literal(owner).label("id")) for owner in IDS)).subquery()
    async with database.autocommit() as connection:
        for principal in PRINCIPALS:
            statement = select(owners.c.id).where(within(reach_of(principal), owners.c.id))
            found = set(await connection.scalars(statement, viewer(principal)))
            for permission in Permission:
                assert found == {id_ for id_ in IDS if may(principal, permission, owner_id=id_)}
            nobodys = select(literal(1)).where(within(reach_of(principal), bindparam("nobody", None, String)))
            is_seen = await connection.scalar(nobodys, viewer(principal)) is not None
            assert is_seen == may(principal, Permission.READ, owner_id=None)
