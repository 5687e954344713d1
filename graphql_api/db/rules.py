"""Access rules, and the version that every change of policy moves on."""

import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.keyset import SEEK_ID, SEEK_KEY, Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import AccessRuleRow, PolicyStateRow
from graphql_api.model.ids import FOLDER_PREFIX, RuleId, UserId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule, Effect, Obligations, RuleTerms, Scope, Subject

COLUMNS: tuple[Any, ...] = tuple(AccessRuleRow.__table__.columns)
_NEWEST_FIRST: Final = Ordering(
    "rule-created", AccessRuleRow.created_at, AccessRuleRow.id, datetime, is_descending=True
)
_BITS: Final = {permission: 1 << position for position, permission in enumerate(Permission)}
_IN_ONE_STATEMENT: Final = 10_000  # values of an IN list; PostgreSQL takes 32,767 parameters, SQLite as many

_VERSION: Final = select(PolicyStateRow.version)


def mask_of(permissions: Collection[Permission]) -> int:
    return sum(_BITS[permission] for permission in set(permissions))


@cache  # 63 sets at most, and a rulebook asks for thousands
def permissions_of(mask: int) -> frozenset[Permission]:
    return frozenset(permission for permission, bit in _BITS.items() if mask & bit)


def rule_of(row: Any) -> AccessRule:
    """``row``: has the values of ``COLUMNS`` as attributes."""
    return AccessRule(
        id=RuleId(row.id),
        terms=RuleTerms(
            effect=Effect(row.effect),
            permissions=permissions_of(row.permissions),
            subject=Subject(row.subject),
            resource=Scope(row.resource),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            ip_ranges=tuple(orjson.loads(row.ip_ranges)),
            obligations=Obligations(
                max_lifetime=None if row.max_lifetime is None else timedelta(seconds=row.max_lifetime),
                binds_ip=row.binds_ip,
                forces_download=row.forces_download,
                personal_links=row.personal_links,
            ),
        ),
        version=row.version,
        made_by=None if row.made_by is None else UserId(row.made_by),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def values_of(rule: AccessRule) -> dict[str, object]:
    """The column values of ``rule``."""
    terms = rule.terms
    lifetime = terms.obligations.max_lifetime
    return {
        "id": rule.id,
        "effect": terms.effect,
        "permissions": mask_of(terms.permissions),
        "subject": terms.subject,
        "resource": terms.resource,
        "starts_at": terms.starts_at,
        "ends_at": terms.ends_at,
        "ip_ranges": orjson.dumps(terms.ip_ranges).decode(),
        "max_lifetime": None if lifetime is None else int(lifetime.total_seconds()),
        "binds_ip": terms.obligations.binds_ip,
        "forces_download": terms.obligations.forces_download,
        "personal_links": terms.obligations.personal_links,
        "version": rule.version,
        "made_by": rule.made_by,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }


async def policy_version(connection: AsyncConnection) -> int:
    """Differs when any rule, group or membership has changed, or the tree where rules depend on it."""
    version = await connection.scalar(_VERSION)
    assert version is not None, "the migration makes the row"
    return version


async def bump_version(connection: AsyncConnection) -> None:
    """To be done first in a transaction that changes policy: such transactions then happen one at a time, and each
    decides on what the one before it left.
    """
    await connection.execution_options(changes_policy=True)
    await connection.execute(update(PolicyStateRow).values(version=PolicyStateRow.version + 1))


def is_changing_policy(connection: AsyncConnection) -> bool:
    """Whether this transaction has moved the version on: what it reads is not what others will see under it."""
    options = connection.sync_connection.get_execution_options() if connection.sync_connection else {}
    return bool(options.get("changes_policy"))


async def hold_version(connection: AsyncConnection) -> int:
    """The version, which stays until the transaction ends; any number of transactions may hold it.

    Who may have to move it on after a look takes ``lock_version``: two who hold it would wait for each other.
    """
    version = await connection.scalar(_VERSION.with_for_update(read=True))
    assert version is not None, "the migration makes the row"
    return version


async def lock_version(connection: AsyncConnection) -> None:
    """Let nobody else hold the version or move it on before the transaction ends: ``bump_version`` may follow."""
    await connection.execute(_VERSION.with_for_update())


async def note_new_folder(connection: AsyncConnection) -> None:
    """To be done first in a transaction that makes a folder: plans list the folders beside a denied one."""
    await lock_version(connection)  # a denial that is being made is waited for
    if await denies_folders(connection):
        await bump_version(connection)


async def denies_folders(connection: AsyncConnection) -> bool:
    """Whether any denial stands on a folder, so that what is beside that folder matters to plans."""
    statement = select(literal(1)).where(
        AccessRuleRow.effect == Effect.DENY, AccessRuleRow.resource.startswith(FOLDER_PREFIX, autoescape=True)
    )
    return await connection.scalar(statement.limit(1)) is not None


async def find_rules(connection: AsyncConnection, ids: Collection[RuleId]) -> Mapping[RuleId, AccessRule]:
    """Authorised by nobody, like all of this module."""
    rows = await connection.execute(select(*COLUMNS).where(AccessRuleRow.id.in_(ids)))
    return {rule.id: rule for rule in map(rule_of, rows)}


async def list_rules_on(connection: AsyncConnection, resources: Collection[str]) -> list[AccessRule]:
    """All rules on these scopes, the oldest first."""
    return await _rules_in(connection, AccessRuleRow.resource, resources)


async def list_rules_about(connection: AsyncConnection, subjects: Collection[str]) -> list[AccessRule]:
    """All rules about these subjects, the oldest first."""
    return await _rules_in(connection, AccessRuleRow.subject, subjects)


async def list_rules_between(
    connection: AsyncConnection, subjects: Collection[str], resources: Collection[str]
) -> list[AccessRule]:
    """All rules that are about one of these subjects and on one of these scopes, the oldest first."""
    statement = select(*COLUMNS).where(
        among(AccessRuleRow.subject, texts("subjects")), among(AccessRuleRow.resource, texts("resources"))
    )
    rows = await connection.execute(statement, {"subjects": list(subjects), "resources": list(resources)})
    return sorted(map(rule_of, rows), key=lambda rule: rule.id)


async def _rules_in(connection: AsyncConnection, column: Any, values: Collection[str]) -> list[AccessRule]:
    wanted, found = list(dict.fromkeys(values)), []
    statement = select(*COLUMNS).where(column.in_(bindparam("wanted", expanding=True)))
    for start in range(0, len(wanted), _IN_ONE_STATEMENT):
        portion = {"wanted": wanted[start : start + _IN_ONE_STATEMENT]}
        found += [rule_of(row) for row in await connection.execute(statement, portion)]
    return sorted(found, key=lambda rule: rule.id)


async def page_rules(connection: AsyncConnection, request: PageRequest) -> Page[AccessRule]:
    """All rules, the newest first. Raises ``InvalidInput`` for a foreign cursor."""
    statement = seek(
        select(*COLUMNS), _NEWEST_FIRST, is_backward=request.is_backward, has_cursor=request.cursor is not None
    )
    rows: Any = (await connection.execute(statement, seek_parameters(_NEWEST_FIRST, request))).all()
    return page_of(rows, request, _NEWEST_FIRST, rule_of, _position)


async def list_nearest_on(
    connection: AsyncConnection, resources: Collection[str], request: PageRequest
) -> list[AccessRule]:
    """Of the rules on each of these scopes as many as a page could take that took them from this one only.

    Raises ``InvalidInput`` for a foreign cursor.
    """
    key, id_ = AccessRuleRow.created_at, AccessRuleRow.id
    order = (key.asc(), id_.asc()) if request.is_backward else (key.desc(), id_.desc())
    place = func.row_number().over(partition_by=AccessRuleRow.resource, order_by=order)
    placed = select(id_, place.label("place")).where(among(AccessRuleRow.resource, texts("resources")))
    if request.cursor is not None:
        here = tuple_(key, id_)
        there = tuple_(bindparam(SEEK_KEY, type_=key.type), bindparam(SEEK_ID, type_=id_.type))
        placed = placed.where(here > there if request.is_backward else here < there)
    near = placed.subquery()
    statement = select(*COLUMNS).join(near, near.c.id == id_).where(near.c.place <= bindparam("page_size"))
    parameters = seek_parameters(_NEWEST_FIRST, request) | {"resources": list(resources)}
    return [rule_of(row) for row in await connection.execute(statement, parameters)]


def rules_beyond(rules: Iterable[AccessRule], request: PageRequest) -> list[AccessRule]:
    """Those after (backward: before) the request's cursor, the nearest first.

    Raises ``InvalidInput`` for a foreign cursor.
    """
    there = seek_parameters(_NEWEST_FIRST, request)
    ordered = sorted(rules, key=_position, reverse=not request.is_backward)
    if request.cursor is None:
        return ordered
    cursor = there[SEEK_KEY], there[SEEK_ID]
    is_beyond = operator.gt if request.is_backward else operator.lt
    return [rule for rule in ordered if is_beyond(_position(rule), cursor)]


def page_among(rules: Iterable[AccessRule], request: PageRequest) -> Page[AccessRule]:
    """The page of ``rules``, the newest first. Raises ``InvalidInput`` for a foreign cursor."""
    rows: Any = rules_beyond(rules, request)
    return page_of(rows, request, _NEWEST_FIRST, lambda rule: rule, _position)  # type: ignore[arg-type,return-value]


def _position(rule: AccessRule) -> tuple[datetime, str]:
    return rule.created_at, rule.id


async def count_rules_on(connection: AsyncConnection, resource: str) -> int:
    statement = select(func.count()).where(AccessRuleRow.resource == resource)
    return await connection.scalar(statement) or 0


async def insert_rules(connection: AsyncConnection, rules: Sequence[AccessRule]) -> None:
    if rules:
        await connection.execute(insert(AccessRuleRow), [values_of(rule) for rule in rules])


async def update_rule(connection: AsyncConnection, rule: AccessRule, *, expected_version: int) -> bool:
    """Whether the rule is now ``rule``; False when it had another version than expected, or is gone."""
    values = {name: value for name, value in values_of(rule).items() if name != "id"}
    statement = (
        update(AccessRuleRow)
        .where(AccessRuleRow.id == rule.id, AccessRuleRow.version == expected_version)
        .values(**values)
        .returning(AccessRuleRow.id)
    )
    return await connection.scalar(statement) is not None


async def delete_rules(connection: AsyncConnection, ids: Collection[RuleId]) -> None:
    await connection.execute(delete(AccessRuleRow).where(AccessRuleRow.id.in_(ids)))


async def delete_rules_on(connection: AsyncConnection, resources: Collection[str]) -> list[AccessRule]:
    """The rules that went, the oldest first. The files or folders are going; a rule about nothing would only be in the
    way.
    """
    statement = delete(AccessRuleRow).where(AccessRuleRow.resource.in_(resources)).returning(*COLUMNS)
    return sorted(map(rule_of, await connection.execute(statement)), key=lambda rule: rule.id)
