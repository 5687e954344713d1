"""Refusals that tell which permission is missing, to those who may see the thing; to others it is not there."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.authority import missing_to_refile
from graphql_api.access.standing import Standing
from graphql_api.db import files, rules
from graphql_api.db.files import LockedFile
from graphql_api.errors import Forbidden, NotFound
from graphql_api.model.ids import FileId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect


def require(standing: Standing, permission: Permission, scopes: Set[str], *path: str) -> None:
    """Raises: Forbidden at ``path``, unless ``permission`` is held on the thing with these ``scopes``."""
    if not standing.may(permission, scopes):
        raise Forbidden(f"this takes the permission {permission}", required_permission=permission, path=path)


async def lock_writable(
    connection: AsyncConnection, standing: Standing, file_id: FileId, *, field: str = "fileId"
) -> LockedFile:
    """Held until the transaction ends. Raises, at ``field``: NotFound, Forbidden: WRITE is missing."""
    locked = (await files.lock_files(connection, standing, [file_id])).get(file_id)
    if locked is None:
        raise no_file(field)
    require(standing, Permission.WRITE, locked.scopes, field)
    return locked


def no_file(field: str = "fileId") -> NotFound:
    """Hidden or absent."""
    return NotFound("no such file", path=(field,))


async def require_to_refile(
    connection: AsyncConnection,
    standing: Standing,
    thing: str,
    *,
    before: Set[str],
    after: Set[str],
    chains: Mapping[str, Sequence[str]],
    now: datetime,
    path: str,
) -> None:
    """Moving is sharing: ``thing`` is in the scopes ``before`` and will be in ``after``. ``chains``: of each folder
    that it leaves, itself and the folders above. The caller holds the policy's version.

    Raises: Forbidden at ``path``: somebody would gain what ``standing`` may not give, or escape what it may not lift.
    """
    if standing.is_admin:
        return
    found = await rules.list_rules_on(connection, before | after)
    found = [rule for rule in found if rule.terms.ends_at is None or rule.terms.ends_at > now]
    missing = missing_to_refile(
        standing,
        thing=thing,
        scopes=before,
        gained=[rule for rule in found if rule.terms.resource not in before],
        escaped=[rule for rule in found if rule.terms.resource not in after and rule.terms.effect is Effect.DENY],
        escaped_chains=chains,
        kept=[rule for rule in found if rule.terms.resource in before],
    )
    if missing is not None:
        raise Forbidden(missing.message, required_permission=missing.permission, path=(path,))


def chains_in(chain: Sequence[str]) -> dict[str, Sequence[str]]:
    """For each folder of ``chain``: itself and the folders above."""
    return {folder: chain[index:] for index, folder in enumerate(chain)}
