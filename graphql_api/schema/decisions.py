"""Why somebody may or may not do something, and what a change of rules would do."""

import asyncio
from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import preview as previews
from graphql_api.model import rule as rule_nouns
from graphql_api.model.decision import Ground, Verdict
from graphql_api.model.preview import Direction
from graphql_api.model.principal import Permission
from graphql_api.schema.context import Info
from graphql_api.schema.people import AccessSubject, find_subject
from graphql_api.schema.rules import AccessResource, AccessRule, find_resource, seconds


@strawberry.type(description="A rule on the thing or above it, and what became of it.")
class ConsideredRule:
    rule: rule_nouns.AccessRule = strawberry.field(description="The rule.", graphql_type=AccessRule)
    verdict: Verdict = strawberry.field(description="What became of it.")
    explanation: str = strawberry.field(description="For people.")


@strawberry.type(description="On what terms links to a file are made.")
class LinkTerms:
    @strawberry.field(description="Longest lifetime of a link, in seconds; null for what the service allows.")
    def max_lifetime(self, parent: Parent[rule_nouns.ReadTerms]) -> int | None:
        return seconds(parent.max_lifetime)

    ip_range: str | None = strawberry.field(description="Links work from here only; null for everywhere.")
    forces_download: bool = strawberry.field(description="Links download, they do not show in the page.")
    personal_links: bool = strawberry.field(
        description="Links name who asked, opaquely, so that those of one person can be revoked."
    )
    until: datetime | None = strawberry.field(description="No link works longer; null for no such end.")


@strawberry.type(description="The answer to: may they, and why?")
class AccessDecision:
    permission: Permission = strawberry.field(description="What was asked about.")
    is_allowed: bool = strawberry.field(description="The answer.")
    ground: Ground = strawberry.field(description="What decided.")
    explanation: str = strawberry.field(description="For people.")
    link_fault: str | None = strawberry.field(
        description="Why no link can be made although READ is allowed; null if one can, and of other permissions."
    )
    deciding_rule: rule_nouns.AccessRule | None = strawberry.field(
        description="The rule that decided; null when none did, or when the viewer may not see it.",
        graphql_type=AccessRule | None,
    )
    considered: list[ConsideredRule] = strawberry.field(
        name="consideredRules", description="Every rule looked at that the viewer may see."
    )
    terms: LinkTerms | None = strawberry.field(
        name="linkTerms",
        description="On what terms the file may be downloaded; null if it may not, and of other permissions.",
    )


@strawberry.type(description="Somebody gains or loses one permission on so many things.")
class AccessPreviewLine:
    permission: Permission = strawberry.field(description="What.")
    direction: Direction = strawberry.field(description="Gains or loses.")
    files: int = strawberry.field(description="On how many files.")
    folders: int = strawberry.field(description="On how many folders.")
    newcomer: str | None = strawberry.field(
        description="The e-mail address or token subject of somebody who is not known yet; null for everybody else."
    )

    @strawberry.field(
        description="Who: a user, or Anyone for those who are not signed in; null for a `newcomer`. To viewers who may "
        "not explain other people's access it is the subject of the changed rule.",
        graphql_type=AccessSubject | None,
    )
    async def subject(self, parent: Parent[previews.PreviewLine], info: Info) -> object:
        return None if parent.newcomer is not None else await find_subject(info.context, parent.subject)

    @strawberry.field(description="Up to 10 of the things.", graphql_type=list[AccessResource])
    async def sample(self, parent: Parent[previews.PreviewLine], info: Info) -> list[object]:
        found = await asyncio.gather(*(find_resource(info.context, id_) for id_ in parent.sample))
        return [thing for thing in found if thing is not None]


@strawberry.type(description="What a change of rules would do.")
class AccessPreview:
    lines: list[AccessPreviewLine] = strawberry.field(description="Who would gain or lose what.")
    is_exact: bool = strawberry.field(
        description="Whether everybody and everything concerned was looked at; else the lines are of an even sample."
    )
    users_examined: int = strawberry.field(description="How many users were looked at.")
    users_total: int = strawberry.field(description="How many are concerned, counted up to 10,000.")
    things_examined: int = strawberry.field(description="How many files and folders were looked at.")
    things_total: int = strawberry.field(description="How many are concerned, counted up to 10,000.")
    old_links_expire_by: datetime | None = strawberry.field(
        description="Links issued before may work until then for somebody who loses READ, or gets no more of them; "
        "null when nobody does."
    )
