"""How many rules there are: what bounds them, and what a rehearsal would have to read."""

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import AccessRuleRow
from graphql_api.model.ids import UserId


async def count_rules_about(connection: AsyncConnection, subjects: Collection[str]) -> Mapping[str, int]:
    """How many rules are about each of ``subjects``; those without any are left out."""
    statement = (
        select(AccessRuleRow.subject, func.count())
        .where(among(AccessRuleRow.subject, texts("subjects")))
        .group_by(AccessRuleRow.subject)
    )
    rows = await connection.execute(statement, {"subjects": list(subjects)})
    return {str(row[0]): int(row[1]) for row in rows}


async def count_rules_between(
    connection: AsyncConnection, subjects: Collection[str], resources: Collection[str]
) -> Mapping[str, int]:
    """How many rules on one of ``resources`` are about each of ``subjects``; those without any are left out."""
    statement = (
        select(AccessRuleRow.subject, func.count())
        .where(among(AccessRuleRow.subject, texts("subjects")), among(AccessRuleRow.resource, texts("resources")))
        .group_by(AccessRuleRow.subject)
    )
    rows = await connection.execute(statement, {"subjects": list(subjects), "resources": list(resources)})
    return {str(row[0]): int(row[1]) for row in rows}


async def count_rules_made_by(connection: AsyncConnection, maker: UserId, subjects: Collection[str]) -> int:
    """How many rules about one of ``subjects`` somebody has made."""
    statement = select(func.count()).where(
        among(AccessRuleRow.subject, texts("subjects")), AccessRuleRow.made_by == maker
    )
    return await connection.scalar(statement, {"subjects": list(subjects)}) or 0
