"""The audit log."""

from datetime import datetime

import strawberry
from strawberry import Parent

from graphql_api.model import audit as nouns
from graphql_api.model import group as people
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.page import Page
from graphql_api.schema.connections import Connection
from graphql_api.schema.context import Info
from graphql_api.schema.ids import user_id
from graphql_api.schema.inputs import ABSENT, given
from graphql_api.schema.node import Node
from graphql_api.schema.people import User
from graphql_api.schema.scalars import Json


@strawberry.type(description="One line of the audit log; append-only.")
class AuditEvent(Node):
    occurred_at: datetime = strawberry.field(description="When.")
    action: AuditAction = strawberry.field(description="What was done.")
    target: strawberry.ID = strawberry.field(
        name="targetId",
        description="Id of the rule, group, user, share link, file, folder or signing key that was changed.",
    )
    resource: str | None = strawberry.field(
        description="What a rule stands on: an id, or `label:` and the label; of share links, what they "
        "open; of memberships, the user."
    )
    before: Json | None = strawberry.field(description="How it was; null where there was nothing.")
    after: Json | None = strawberry.field(description="How it is since; null where nothing is left.")
    address: str | None = strawberry.field(name="ipAddress", description="From where; null if unknown.")
    request_id: str | None = strawberry.field(description="Id of the request, for support.")

    @strawberry.field(description="Who did it; null for the system.", graphql_type=User | None)
    async def actor(self, parent: Parent[nouns.AuditEvent], info: Info) -> people.User | None:
        return None if parent.actor_id is None else await info.context.named_users.load(parent.actor_id)

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, nouns.AuditEvent)


@strawberry.type(description="An event in a list.")
class AuditEventEdge:
    cursor: str = strawberry.field(description="Position.")
    node: nouns.AuditEvent = strawberry.field(description="The event.", graphql_type=AuditEvent)


@strawberry.type(description="Audit events, a page at a time; no total, the log is long.")
class AuditEventConnection(Connection):
    page: strawberry.Private[Page[nouns.AuditEvent]]

    @strawberry.field(description="The page.")
    def edges(self) -> list[AuditEventEdge]:
        return [AuditEventEdge(cursor=self.page.cursor_of(node), node=node) for node in self.page.nodes]

    @strawberry.field(description="The same without cursors.", graphql_type=list[AuditEvent])
    def nodes(self) -> tuple[nouns.AuditEvent, ...]:
        return self.page.nodes


@strawberry.input(name="AuditEventFilter", description="All given conditions must hold.")
class AuditEventFilterInput:
    actor_id: strawberry.ID | None = strawberry.field(description="By this user.", default=ABSENT)
    resource_id: strawberry.ID | None = strawberry.field(
        description="On this file, folder, rule, share link, group or user; of rules and share links, also what they "
        "are about.",
        default=ABSENT,
    )
    actions: list[AuditAction] | None = strawberry.field(description="One of these.", default=ABSENT)
    since: datetime | None = strawberry.field(description="From, inclusive.", default=ABSENT)
    until: datetime | None = strawberry.field(description="Until, exclusive.", default=ABSENT)

    def noun(self) -> AuditFilter:
        actor_id = given(self.actor_id)
        return AuditFilter(
            actor_id=None if actor_id is None else user_id(actor_id),
            resource_id=given(self.resource_id),
            actions=tuple(given(self.actions) or ()),
            since=given(self.since),
            until=given(self.until),
        )
