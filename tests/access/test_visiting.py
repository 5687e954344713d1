"""What visitors of a share link may read: their host's all, but for what is denied to anyone."""

from datetime import timedelta

from graphql_api.access.plan import EVERYTHING, read_plan
from graphql_api.access.standing import Rulebook, Standing
from graphql_api.access.visiting import visitor_standing
from graphql_api.model.ids import RuleId, UserId, new_file_id, new_folder_id, new_user_id
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE, PLAIN, ROOT, AccessRule, Effect, RuleTerms, Scope, label_scope
from tests.world import START

MAKER = UserId(new_user_id(START))
FOLDER, FILE = new_folder_id(START), new_file_id(START)
SCOPES = frozenset({FILE, FOLDER, ROOT, label_scope("secret")})


def denial(resource: str, **more: object) -> AccessRule:
    terms = RuleTerms(Effect.DENY, frozenset({Permission.READ}), ANYONE, Scope(resource), **more)  # type: ignore[arg-type]
    return AccessRule(RuleId(f"rule_{resource}"), terms, 1, None, START, START)


def anyone(*rules: AccessRule) -> Standing:
    return Rulebook(None, is_admin=False, rules=rules, chains={FOLDER: (FOLDER, ROOT)}).standing(START, None)


def test_of_who_is_no_administrator_it_is_what_they_may_read_themselves() -> None:
    maker = Rulebook(MAKER, is_admin=False).standing(START, None)
    assert visitor_standing(maker, anyone(denial(ROOT))) is maker


def test_of_an_administrator_it_is_everything_that_is_not_denied_to_anyone() -> None:
    admin = Rulebook(MAKER, is_admin=True).standing(START, None)
    free = visitor_standing(admin, anyone())
    assert free.read_terms(SCOPES) == PLAIN
    assert read_plan(free) == EVERYTHING
    for denied in (FILE, FOLDER, ROOT, label_scope("secret")):
        bound = visitor_standing(admin, anyone(denial(denied)))
        assert bound.read_terms(SCOPES) is None
        assert bound.may(Permission.READ, frozenset({new_file_id(START), ROOT})) is (denied != ROOT)
        assert denied == ROOT or denied in read_plan(bound).denied_everywhere


def test_visitors_are_no_administrators() -> None:
    admin = Rulebook(MAKER, is_admin=True).standing(START, None)
    visitor = visitor_standing(admin, anyone())
    assert not visitor.is_admin
    assert [permission for permission in Permission if visitor.may(permission, SCOPES)] == [Permission.READ]


def test_what_will_be_denied_bounds_the_terms() -> None:
    admin = Rulebook(MAKER, is_admin=True).standing(START, None)
    soon = START + timedelta(hours=1)
    terms = visitor_standing(admin, anyone(denial(FILE, starts_at=soon))).read_terms(SCOPES)
    assert terms is not None
    assert terms.until == soon
