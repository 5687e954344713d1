"""What rules stand on: whether a caller may see it, and who may make rules there."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db.rulebooks import subjects_of
from graphql_api.db.scopes import scopes_of_files, scopes_of_folders
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, AccessRule, Effect, is_file, is_folder, is_label
from graphql_api.services.people import sees_everybody


@dataclass(frozen=True, slots=True)
class Resource:
    """``scopes`` decide about the thing itself, ``shared`` about rules on it: who owns a folder does not own what
    others keep in it. A label is only a word, which is hidden from nobody; its rules are about files everywhere, and
    what they deny tells of files that the denied do not see.
    """

    scopes: frozenset[str]
    shared: frozenset[str]
    is_label: bool = False

    def is_visible_to(self, standing: Standing) -> bool:
        return self.is_label or standing.may(Permission.READ, self.scopes)

    def is_managed_by(self, standing: Standing) -> bool:
        """Whether all rules on it may be seen."""
        return self.is_visible_to(standing) and standing.may(Permission.SHARE, self.shared)

    def shows(self, rule: AccessRule, standing: Standing) -> bool:
        """Whether those whom ``rule`` is about may see it."""
        if self.is_label and rule.terms.effect is Effect.DENY:
            return self.is_managed_by(standing)
        return self.is_visible_to(standing)


_LABEL: Final = Resource(frozenset({ROOT}), frozenset({ROOT}), is_label=True)


async def find_resources(connection: AsyncConnection, wanted: Collection[str]) -> Mapping[str, Resource]:
    """Those of ``wanted`` that exist, as every label does. The same statements whatever is wanted."""
    of_files = await scopes_of_files(connection, [FileId(scope) for scope in wanted if is_file(scope)])
    of_folders = await scopes_of_folders(connection, [FolderId(scope) for scope in wanted if is_folder(scope)])
    found: dict[str, Resource] = {scope: _LABEL for scope in wanted if is_label(scope)}
    found |= {id_: Resource(scopes, scopes) for id_, scopes in of_files.items()}
    found |= {id_: Resource(scopes, frozenset(filter(is_folder, scopes))) for id_, scopes in of_folders.items()}
    return found


async def visible_rules(
    connection: AsyncConnection, book: Rulebook, standing: Standing, rules: Iterable[AccessRule]
) -> list[AccessRule]:
    """Those that the caller may see: where the caller holds SHARE all, else those that are about the caller and stand
    on what the caller sees; auditors see all.
    """
    rules = list(rules)
    found = await find_resources(connection, {rule.terms.resource for rule in rules})
    if sees_everybody(standing):
        return rules
    own = set(subjects_of(book.user_id, book.groups))
    return [
        rule
        for rule in rules
        if (resource := found.get(rule.terms.resource)) is not None
        and (resource.is_managed_by(standing) or (rule.terms.subject in own and resource.shows(rule, standing)))
    ]
