"""Who may do what: the owner and admins everything, anybody else nothing."""

import pytest

from graphql_api.access import Reach, may, reach_of
from graphql_api.model.ids import UserId
from graphql_api.model.principal import ANONYMOUS, Permission, Principal

ALICE, BOB = UserId("user_alice"), UserId("user_bob")
OWNER, STRANGER, ADMIN = Principal(ALICE), Principal(BOB), Principal(BOB, is_admin=True)
PRETENDER = Principal(None, is_admin=True, groups=frozenset({"admin"}))


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize(
    ("principal", "owner_id", "expected"),
    [
        (OWNER, ALICE, True),
        (OWNER, None, False),
        (STRANGER, ALICE, False),
        (STRANGER, None, False),
        (ADMIN, ALICE, True),
        (ADMIN, None, True),
        (ANONYMOUS, ALICE, False),
        (ANONYMOUS, None, False),  # nobody does not own what nobody owns
        (PRETENDER, ALICE, False),
        (PRETENDER, None, False),
    ],
)
def test_only_owners_and_admins_may(
    principal: Principal, permission: Permission, owner_id: UserId | None, expected: bool
) -> None:
    assert may(principal, permission, owner_id=owner_id) is expected


def test_anonymous_reaches_nothing_even_when_called_an_admin() -> None:
    assert reach_of(ANONYMOUS) is reach_of(PRETENDER) is Reach.NOTHING
