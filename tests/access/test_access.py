"""Who may do what: the owner and admins everything, anybody else nothing."""

from datetime import UTC, datetime

import pytest

from graphql_api.access import Reach, may, reach_of, read_grant
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.principal import ANONYMOUS, Permission, Principal

ALICE, BOB = UserId("user_alice"), UserId("user_bob")
OWNER, STRANGER, ADMIN = Principal(ALICE), Principal(BOB), Principal(BOB, is_admin=True)
PRETENDER = Principal(None, is_admin=True, groups=frozenset({"admin"}))
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FILE = File(FileId("file_1"), FolderId("folder_1"), ALICE, "a", 0, "a/b", "a/b", None, "o/1", NOW, NOW)


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


def test_a_grant_is_given_to_who_may_read_and_to_nobody_else() -> None:
    for principal in (OWNER, ADMIN):
        grant = read_grant(principal, FILE)
        assert grant is not None
        assert grant.file is FILE
    assert read_grant(STRANGER, FILE) is None
    assert read_grant(ANONYMOUS, FILE) is None
