"""Why somebody may or may not: the decision of ``Standing``, told with every rule that could have had a say."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import Final

from graphql_api.access.standing import Standing, comes_from, generosity, is_in_force
from graphql_api.model.decision import AccessDecision, ConsideredRule, Ground, Verdict
from graphql_api.model.principal import CONTENT_PERMISSIONS, Address, Permission
from graphql_api.model.rule import NO_OBLIGATIONS, ROOT, AccessRule, Effect, is_file


def explain(
    standing: Standing,
    rules: Sequence[AccessRule],
    subjects: Set[str],
    permission: Permission,
    scopes: Set[str],
    now: datetime,
    address: Address | None,
) -> AccessDecision:
    """Tell what ``standing`` (at ``now``, from ``address``) decides about the thing with these ``scopes``.

    ``rules``: all that stand on one of the scopes, whomever they are about. ``subjects``: the texts that mean the one
    who is asked about. The rule that decided comes first, then the others, oldest first.
    """
    is_allowed = standing.may(permission, scopes)
    ground, deciding = _grounds(standing, permission, scopes)
    is_download = permission is Permission.READ and any(is_file(scope) for scope in scopes)
    terms = standing.read_terms(scopes) if is_download else None
    has_fault = is_download and is_allowed and terms is None
    fault = _link_fault(address, binds_links=standing.binds_links) if has_fault else None
    question = _Question(subjects, permission, now, address, is_allowed, ground, deciding, is_download)
    considered = sorted(map(question.judge, rules), key=lambda one: (one.verdict is not Verdict.DECIDED, one.rule.id))
    return AccessDecision(
        permission=permission,
        is_allowed=is_allowed,
        ground=ground,
        deciding_rule=deciding,
        considered=tuple(considered),
        terms=terms,
        link_fault=fault,
        explanation=question.summary(fault),
    )


def _grounds(standing: Standing, permission: Permission, scopes: Set[str]) -> tuple[Ground, AccessRule | None]:
    """What decides, in the order of ``Standing.may``, and by which rule; of several that agree, the oldest."""
    if standing.is_admin:
        made_by = standing.scopes_with(Effect.ALLOW, Permission.ADMINISTER).get(ROOT, ())
        return Ground.ADMINISTRATOR, None if standing.is_token_admin else min(made_by, key=lambda rule: rule.id)
    denials = _on(scopes, standing.scopes_with(Effect.DENY, permission))
    if denials:
        return Ground.RULE, min(denials, key=lambda rule: rule.id)
    if standing.owns(scopes) and permission in CONTENT_PERMISSIONS:
        return Ground.OWNERSHIP, None
    allows = _on(scopes, standing.scopes_with(Effect.ALLOW, permission))
    if allows:
        return Ground.RULE, min(allows, key=generosity)
    return Ground.NO_RULE, None


def _on(scopes: Set[str], index: Mapping[str, tuple[AccessRule, ...]]) -> list[AccessRule]:
    return [rule for scope in scopes for rule in index.get(scope, ())]


@dataclass(frozen=True)
class _Question:
    """One question and its answer, against which each rule is judged."""

    subjects: Set[str]
    permission: Permission
    now: datetime
    address: Address | None
    is_allowed: bool
    ground: Ground
    deciding: AccessRule | None
    is_download: bool

    def judge(self, rule: AccessRule) -> ConsideredRule:
        verdict = self._verdict(rule)
        return ConsideredRule(rule, verdict, self._sentence(rule, verdict))

    def _verdict(self, rule: AccessRule) -> Verdict:
        terms = rule.terms
        if self.deciding is not None and rule.id == self.deciding.id:
            return Verdict.DECIDED
        if terms.subject not in self.subjects:
            return Verdict.OTHER_SUBJECT
        if self.permission not in terms.permissions:
            return Verdict.OTHER_PERMISSION
        if not is_in_force(rule, self.now):
            return Verdict.NOT_YET if terms.starts_at is not None and terms.starts_at > self.now else Verdict.ENDED
        if not comes_from(rule, self.address):
            return Verdict.OTHER_ADDRESS
        if (terms.effect is Effect.ALLOW) is not self.is_allowed:
            return Verdict.OVERRULED
        return Verdict.AGREED if self._agrees_on_terms(rule) else Verdict.OVERRULED

    def _agrees_on_terms(self, rule: AccessRule) -> bool:
        """Whether a download would be on the same terms if this rule, of the winning effect, had decided."""
        if not (self.is_download and self.is_allowed):
            return True
        if self.deciding is None or self.ground is Ground.ADMINISTRATOR:
            return rule.terms.obligations == NO_OBLIGATIONS and not rule.terms.ip_ranges and rule.terms.ends_at is None
        return generosity(rule)[:-1] == generosity(self.deciding)[:-1]

    def _sentence(self, rule: AccessRule, verdict: Verdict) -> str:
        match verdict:
            case Verdict.OTHER_SUBJECT:
                return "Does not apply: it is about somebody else."
            case Verdict.OTHER_PERMISSION:
                return f"Does not apply: it says nothing about {self.permission}."
            case Verdict.NOT_YET:
                return f"Does not apply yet: it starts at {_moment(rule.terms.starts_at)}."
            case Verdict.ENDED:
                return f"Does not apply any more: it ended at {_moment(rule.terms.ends_at)}."
            case Verdict.OTHER_ADDRESS:
                return f"Does not apply: {self._elsewhere()}"
            case Verdict.DECIDED:
                return f"Applies, and decided: {self._weight(rule)}"
            case Verdict.AGREED:
                return "Applies, and agrees with the decision."
            case Verdict.OVERRULED:
                return f"Applies, but is overruled: {self._winner(rule)}"

    def _elsewhere(self) -> str:
        if self.address is None:
            return "it needs a request from certain addresses, and from where this one comes is not known."
        return f"it is for requests from certain addresses, and {self.address} is none of them."

    def _weight(self, rule: AccessRule) -> str:
        if self.ground is Ground.ADMINISTRATOR:
            return "it makes them an administrator, who may do everything."
        if rule.terms.effect is Effect.DENY:
            return f"it denies {self.permission}, and a denial wins."
        return f"it allows {self.permission}, and nothing denies it."

    def _winner(self, rule: AccessRule) -> str:
        if self.ground is Ground.ADMINISTRATOR:
            return "administrators may do everything, on plain terms."
        if not self.is_allowed:
            return "another rule denies it, and a denial wins."
        if self.ground is Ground.OWNERSHIP:
            return "owners download on plain terms."
        return "another rule allows it on more generous terms, and the most generous wins as a whole."

    def summary(self, link_fault: str | None) -> str:
        verb = "is allowed" if self.is_allowed else "is denied"
        sentence = f"{self.permission} {verb}: {self._reason()}"
        return sentence if link_fault is None else f"{sentence} {link_fault}"

    def _reason(self) -> str:
        match self.ground:
            case Ground.ADMINISTRATOR:
                return "they are an administrator."
            case Ground.OWNERSHIP:
                return "they own it, and no rule denies it."
            case Ground.NO_RULE:
                return "no rule that applies allows it."
            case Ground.RULE:
                return "a rule allows it, and none denies it." if self.is_allowed else "a rule denies it."


NEEDS_CDN: Final = (
    "The link would have to be bound to the caller's address or name them, and without a CDN links cannot be."
)
_NEEDS_IPV4: Final = "The link would have to work from the caller's address only,"


def _link_fault(address: Address | None, *, binds_links: bool) -> str:
    """Why what may be read cannot be downloaded: ``Standing.read_terms`` says when."""
    if not binds_links:
        return NEEDS_CDN
    if isinstance(address, IPv6Address):
        return f"{_NEEDS_IPV4} and links can be bound to IPv4 addresses but not to IPv6 ones."
    return f"{_NEEDS_IPV4} and that address is not known."


def _moment(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
