"""Rules as callers write them: to mutations, to rehearsals and in questions."""

from datetime import datetime, timedelta

import strawberry

from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, Effect, Obligations, Scope, Subject, label_scope
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    Invitee,
    ProposedChange,
    ReplaceRules,
    RuleWish,
    UpdateRule,
)
from graphql_api.schema.ids import file_id, folder_id, group_id, rule_id, user_id
from graphql_api.schema.inputs import ABSENT, below, given, sound_label, true

REPLAY = "Same key and input within 24 hours: the same answer, and nothing done twice."


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class AccessSubjectInput:
    user_id: strawberry.ID | None = strawberry.field(description="A user.", default=ABSENT)
    group_id: strawberry.ID | None = strawberry.field(description="A group.", default=ABSENT)
    signed_in: bool | None = strawberry.field(description="Whoever is signed in; must be true.", default=ABSENT)
    anyone: bool | None = strawberry.field(description="Everybody; must be true.", default=ABSENT)
    email: str | None = strawberry.field(
        description="Whoever has this verified e-mail address, now or when they first sign in.", default=ABSENT
    )
    token_subject: str | None = strawberry.field(
        description="Whoever's token has this subject, now or when they first sign in.", default=ABSENT
    )

    def noun(self) -> Subject | Invitee:
        if (user := given(self.user_id)) is not None:
            return Subject(user_id(user))
        if (group := given(self.group_id)) is not None:
            return Subject(group_id(group))
        if (email := given(self.email)) is not None:
            return Invitee(email=email)
        if (token_subject := given(self.token_subject)) is not None:
            return Invitee(subject=token_subject)
        if given(self.signed_in) is not None:
            return true(self.signed_in, SIGNED_IN, "subject", "signedIn")
        return true(self.anyone, ANYONE, "subject", "anyone")


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class ResourceInput:
    file_id: strawberry.ID | None = strawberry.field(description="A file.", default=ABSENT)
    folder_id: strawberry.ID | None = strawberry.field(description="A folder and all below.", default=ABSENT)
    label: str | None = strawberry.field(description="All files with a label.", default=ABSENT)
    root: bool | None = strawberry.field(description="Everything; must be true.", default=ABSENT)

    def scope(self) -> Scope:
        if (file := given(self.file_id)) is not None:
            return Scope(file_id(file))
        if (folder := given(self.folder_id)) is not None:
            return Scope(folder_id(folder))
        if (label := given(self.label)) is not None:
            return label_scope(sound_label(label, "resource", "label"))
        return true(self.root, ROOT, "resource", "root")


@strawberry.input(description="What a rule that allows READ imposes on links.")
class ObligationsInput:
    max_lifetime: int | None = strawberry.field(description="Longest lifetime of a link, in seconds.", default=ABSENT)
    binds_ip: bool = strawberry.field(description="Links work from the asking address only (IPv4).", default=False)
    forces_download: bool = strawberry.field(description="Links download.", default=False)
    personal_links: bool = strawberry.field(
        description="Links name who asked, so that those of one person can be revoked.", default=False
    )

    def noun(self) -> Obligations:
        seconds = given(self.max_lifetime)
        lifetime = None if seconds is None else timedelta(seconds=seconds)
        return Obligations(lifetime, self.binds_ip, self.forces_download, self.personal_links)


@strawberry.input(description="What a rule says besides what it stands on.")
class RuleTermsInput:
    subject: AccessSubjectInput = strawberry.field(description="Whom it is about.")
    permissions: list[Permission] = strawberry.field(description="What is allowed or denied.")
    effect: Effect = strawberry.field(description="Allow or deny.", default=Effect.ALLOW)
    starts_at: datetime | None = strawberry.field(description="From when on; at once if absent.", default=ABSENT)
    ends_at: datetime | None = strawberry.field(
        description="Until when, exclusive; if absent for ever.", default=ABSENT
    )
    ip_ranges: list[str] | None = strawberry.field(
        description="For requests from these addresses or CIDR ranges (IPv4 or IPv6); any if absent.", default=ABSENT
    )
    obligations: ObligationsInput | None = strawberry.field(
        description="What it imposes on links; only for rules that allow READ.", default=ABSENT
    )

    def wish_on(self, resource: Scope) -> RuleWish:
        obligations = given(self.obligations)
        terms = Obligations() if obligations is None else obligations.noun()
        return RuleWish(
            effect=self.effect,
            permissions=frozenset(self.permissions),
            subject=self.subject.noun(),
            resource=resource,
            starts_at=given(self.starts_at),
            ends_at=given(self.ends_at),
            ip_ranges=tuple(given(self.ip_ranges) or ()),
            max_lifetime=terms.max_lifetime,
            binds_ip=terms.binds_ip,
            forces_download=terms.forces_download,
            personal_links=terms.personal_links,
        )


@strawberry.input(description="A new rule.")
class CreateAccessRuleInput(RuleTermsInput):
    resource: ResourceInput = strawberry.field(description="What it stands on.")
    idempotency_key: str | None = strawberry.field(description=REPLAY, default=ABSENT)

    def wish(self) -> RuleWish:
        return self.wish_on(self.resource.scope())

    def change(self) -> ProposedChange:
        return CreateRule(self.wish())


@strawberry.input(description="Which rule and what to change; absent fields stay as they are.")
class UpdateAccessRuleInput:
    rule_id: strawberry.ID = strawberry.field(description="The rule.")
    version: int = strawberry.field(description="The version that was seen; another is a ConflictError.")
    effect: Effect | None = strawberry.field(description="Allow or deny.", default=ABSENT)
    permissions: list[Permission] | None = strawberry.field(description="What is allowed or denied.", default=ABSENT)
    subject: AccessSubjectInput | None = strawberry.field(description="Whom it is about.", default=ABSENT)
    resource: ResourceInput | None = strawberry.field(description="What it stands on.", default=ABSENT)
    starts_at: datetime | None = strawberry.field(description="From when on; null for always.", default=ABSENT)
    ends_at: datetime | None = strawberry.field(description="Until when, exclusive; null for ever.", default=ABSENT)
    ip_ranges: list[str] | None = strawberry.field(
        description="For requests from these addresses or CIDR ranges; null or empty for any.", default=ABSENT
    )
    obligations: ObligationsInput | None = strawberry.field(
        description="What it imposes on links, as a whole; null for nothing.", default=ABSENT
    )
    idempotency_key: str | None = strawberry.field(description=REPLAY, default=ABSENT)

    def changes(self) -> dict[str, object]:
        """By names of ``RuleWish``. Null says something where a rule can have none, else it is as good as absent."""
        changes: dict[str, object] = {}
        if (effect := given(self.effect)) is not None:
            changes["effect"] = effect
        if (permissions := given(self.permissions)) is not None:
            changes["permissions"] = frozenset(permissions)
        if (subject := given(self.subject)) is not None:
            changes["subject"] = subject.noun()
        if (resource := given(self.resource)) is not None:
            changes["resource"] = resource.scope()
        if self.starts_at is not ABSENT:
            changes["starts_at"] = self.starts_at
        if self.ends_at is not ABSENT:
            changes["ends_at"] = self.ends_at
        if self.ip_ranges is not ABSENT:
            changes["ip_ranges"] = tuple(self.ip_ranges or ())
        if self.obligations is not ABSENT:
            obligations = self.obligations.noun() if self.obligations else Obligations()
            changes["max_lifetime"] = obligations.max_lifetime
            changes["binds_ip"] = obligations.binds_ip
            changes["forces_download"] = obligations.forces_download
            changes["personal_links"] = obligations.personal_links
        return changes

    def change(self) -> ProposedChange:
        return UpdateRule(rule_id(self.rule_id), self.version, self.changes())


@strawberry.input(description="Which rule to delete.")
class DeleteAccessRuleInput:
    rule_id: strawberry.ID = strawberry.field(description="The rule.")
    version: int = strawberry.field(description="The version that was seen; another is a ConflictError.")
    idempotency_key: str | None = strawberry.field(description=REPLAY, default=ABSENT)

    def change(self) -> ProposedChange:
        return DeleteRule(rule_id(self.rule_id), self.version)


@strawberry.input(description="All rules that are to stand on one resource.")
class ReplaceAccessRulesInput:
    resource: ResourceInput = strawberry.field(description="What they stand on.")
    tag: str = strawberry.field(description="The `tag` that was seen with the rules on it; another is a ConflictError.")
    rules: list[RuleTermsInput] = strawberry.field(
        description="The rules; one that stands there already word for word stays the rule it is."
    )
    idempotency_key: str | None = strawberry.field(description=REPLAY, default=ABSENT)

    def wishes(self) -> tuple[RuleWish, ...]:
        resource, wishes = self.resource.scope(), []
        for number, rule in enumerate(self.rules):
            with below("rules", str(number)):
                wishes.append(rule.wish_on(resource))
        return tuple(wishes)

    def change(self) -> ProposedChange:
        return ReplaceRules(self.resource.scope(), self.tag, self.wishes())


@strawberry.input(one_of=True, description="Exactly one of the fields.")
class AccessRuleChangeInput:
    create: CreateAccessRuleInput | None = strawberry.field(description="As createAccessRule takes it.", default=ABSENT)
    update: UpdateAccessRuleInput | None = strawberry.field(description="As updateAccessRule takes it.", default=ABSENT)
    delete: DeleteAccessRuleInput | None = strawberry.field(description="As deleteAccessRule takes it.", default=ABSENT)
    replace: ReplaceAccessRulesInput | None = strawberry.field(
        description="As replaceAccessRules takes it.", default=ABSENT
    )

    def change(self) -> ProposedChange:
        for wanted in (self.create, self.update, self.delete, self.replace):
            if wanted is not ABSENT and wanted is not None:
                return wanted.change()
        raise AssertionError("GraphQL lets exactly one through")


@strawberry.input(description="Changes to rehearse, in this order.")
class PreviewAccessRulesInput:
    changes: list[AccessRuleChangeInput] = strawberry.field(description="1-20 of them.")


@strawberry.input(description="Who wants to do what to which.")
class ExplainAccessInput:
    resource_id: strawberry.ID = strawberry.field(description="File or folder.")
    action: Permission = strawberry.field(description="The action.")
    subject: AccessSubjectInput | None = strawberry.field(description="Whom; the viewer if absent.", default=ABSENT)
    ip_address: str | None = strawberry.field(
        description="From where; of the viewer, where the question comes from if absent.", default=ABSENT
    )
