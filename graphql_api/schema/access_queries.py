"""Reads about access: rules, people, explanations, rehearsals, the audit log."""

from ipaddress import ip_address
from typing import Annotated

import strawberry

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model import group as people
from graphql_api.model.audit import AuditFilter
from graphql_api.model.decision import AccessDecision as Decision
from graphql_api.model.ids import FILE_PREFIX, FileId, FolderId
from graphql_api.model.preview import MAX_PROPOSED, Preview
from graphql_api.model.principal import Address
from graphql_api.model.rule import Subject
from graphql_api.model.rule_change import Invitee
from graphql_api.schema.audit import AuditEventConnection, AuditEventFilterInput
from graphql_api.schema.connections import AccessRuleConnection
from graphql_api.schema.context import Context, Info
from graphql_api.schema.decisions import AccessDecision, AccessPreview
from graphql_api.schema.errors import too_many
from graphql_api.schema.ids import file_id, folder_id, user_id
from graphql_api.schema.inputs import ABSENT, below, given, page_request
from graphql_api.schema.node import After, Before, First, Last
from graphql_api.schema.people import GroupConnection, User
from graphql_api.schema.rule_inputs import (
    AccessSubjectInput,
    ExplainAccessInput,
    PreviewAccessRulesInput,
    ResourceInput,
)
from graphql_api.schema.types import rules_on


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class UserLocator:
    id: strawberry.ID | None = strawberry.field(description="Global id.", default=ABSENT)
    email: str | None = strawberry.field(description="Verified e-mail address.", default=ABSENT)
    token_subject: str | None = strawberry.field(description="Subject of their token.", default=ABSENT)


@strawberry.type
class AccessQueries:
    @strawberry.field(
        description="Rules that allow or deny, the newest first. Administrators and auditors see all; others those "
        "about them on what they may see, of labels only what these allow, and with a resource all that stand where "
        "they hold SHARE."
    )
    async def access_rules(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        resource: Annotated[
            ResourceInput | None, strawberry.argument(description="Rules on this, inherited ones included.")
        ] = ABSENT,
    ) -> AccessRuleConnection | None:
        request = page_request(first, after, last, before)
        wanted = given(resource)
        return await rules_on(info.context, None if wanted is None else wanted.scope(), request)

    @strawberry.field(
        description="Why somebody may or may not do something; null if the file or folder does not exist or the viewer "
        "may not know that it does. Others than oneself need AUDIT.",
        graphql_type=AccessDecision | None,
    )
    async def explain_access(
        self, info: Info, input: Annotated[ExplainAccessInput, strawberry.argument(description="The question.")]
    ) -> Decision | None:
        context, subject = info.context, given(input.subject)
        return await context.services.policies.explain(
            context.principal,
            _thing_id(input.resource_id),
            input.action,
            subject=None if subject is None else await _known_subject(context, subject),
            address=_address(given(input.ip_address)),
        )

    @strawberry.field(
        description="Who would gain and who would lose what. Takes what the mutations take, with the same checks; "
        "nothing is changed.",
        graphql_type=AccessPreview | None,
    )
    async def preview_access_rules(
        self, info: Info, input: Annotated[PreviewAccessRulesInput, strawberry.argument(description="The changes.")]
    ) -> Preview:
        if (fault := too_many("changes", input.changes, MAX_PROPOSED)) is not None:
            raise fault
        changes = []
        for number, wanted in enumerate(input.changes):
            with below("changes", str(number)):
                changes.append(wanted.change())
        return await info.context.services.policies.preview(info.context.principal, changes)

    @strawberry.field(description="What changed access, by whom, the newest first. Needs AUDIT.")
    async def audit_events(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        filter: Annotated[AuditEventFilterInput | None, strawberry.argument(description="Narrow the list.")] = ABSENT,
    ) -> AuditEventConnection | None:
        request = page_request(first, after, last, before)
        context, wanted = info.context, given(filter)
        page = await context.services.audit_log.list(
            context.principal, wanted.noun() if wanted else AuditFilter(), request
        )
        return AuditEventConnection(page=page)

    @strawberry.field(
        description="Groups, by name: all of them for administrators and auditors, for others those they are in."
    )
    async def groups(
        self,
        info: Info,
        first: First = ABSENT,
        after: After = ABSENT,
        last: Last = ABSENT,
        before: Before = ABSENT,
        search: Annotated[str | None, strawberry.argument(description="Part of the name.")] = ABSENT,
    ) -> GroupConnection | None:
        request = page_request(first, after, last, before)
        context = info.context
        return GroupConnection(
            page=await context.services.groups.list(context.principal, request, given(search) or None)
        )

    @strawberry.field(
        description="One user: oneself, or anybody for administrators and auditors.", graphql_type=User | None
    )
    async def user(
        self, info: Info, by: Annotated[UserLocator, strawberry.argument(description="Exactly one way to name them.")]
    ) -> people.User | None:
        context = info.context
        if (id_ := given(by.id)) is not None:
            return await context.users.load(user_id(id_))
        return await context.services.people.find_by(
            context.principal, email=given(by.email), subject=given(by.token_subject)
        )


def _thing_id(text: str) -> FileId | FolderId:
    return file_id(text) if text.startswith(FILE_PREFIX) else folder_id(text)


def _address(text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidInput(InputFault("is no IPv4 or IPv6 address", ("ipAddress",))) from None


async def _known_subject(context: Context, wanted: AccessSubjectInput) -> Subject:
    """Whom the question is about. Raises: InvalidInput: nobody the viewer may know of is named so."""
    subject = wanted.noun()
    if not isinstance(subject, Invitee):
        return subject
    user = await context.services.people.find_by(context.principal, email=subject.email, subject=subject.subject)
    if user is None:
        raise InvalidInput(InputFault("nobody is known by this name", ("subject",)))
    return Subject(user.id)
