"""One meaning: what a standing decides is what the naive reference decides."""

from datetime import datetime

from hypothesis import given

from graphql_api.model.principal import Address, Permission, Principal
from tests.access import reference
from tests.access.worlds import THOROUGH, RuledWorld, addresses, moments, principals, worlds


@THOROUGH
@given(worlds(), principals(), moments(), addresses())
def test_a_standing_decides_as_the_rules_read(
    world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    standing = world.rulebook(principal).standing(now, address)
    assert standing.is_admin == reference.is_administrator(world, principal, now, address)
    for thing in world.things:
        for permission in Permission:
            expected = reference.may(world, principal, permission, thing, now, address)
            assert standing.may(permission, world.scopes(thing)) == expected, (thing.id, permission)


@THOROUGH
@given(worlds(), principals(), moments(), addresses())
def test_a_standing_gives_the_terms_that_the_rules_give(
    world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    standing = world.rulebook(principal).standing(now, address)
    for file in world.files:
        found = standing.read_terms(world.scopes(file))
        assert found == reference.terms(world, principal, file, now, address), file.id
