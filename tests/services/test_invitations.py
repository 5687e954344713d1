"""People are named before they first sign in, and nobody signs in as somebody else who was named."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from graphql_api.db import rules, users
from graphql_api.db.engine import Database
from graphql_api.db.tables import UserRow
from graphql_api.errors import Forbidden, InvalidInput
from graphql_api.model.audit import AuditAction
from graphql_api.model.group import User, email_key
from graphql_api.model.ids import UserId, new_user_id, well_formed
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from tests.services.society import ISSUER, Society, at_once, id_of, identity, outcome

NOBODY = UserId(well_formed("", "user_"))


@pytest.fixture
def society(database: Database) -> Society:
    return Society(database)


@pytest.fixture
async def admin(society: Society) -> Principal:
    return await society.principal("admin", is_admin=True)


async def row_of(society: Society, user_id: UserId) -> tuple[object, ...]:
    columns = (UserRow.subject, UserRow.display_name, UserRow.email, UserRow.claim_groups, UserRow.signed_in_at)
    async with society.database.autocommit() as connection:
        return tuple((await connection.execute(select(*columns).where(UserRow.id == user_id))).one())


async def number_of_users(society: Society) -> int:
    async with society.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(UserRow)) or 0


async def test_whoever_was_named_by_address_or_subject_signs_in_as_that_user(
    society: Society, admin: Principal
) -> None:
    by_email = await society.people.invite(admin, email="Ada@Example.com")
    by_subject = await society.people.invite(admin, subject="ben-7")
    assert (by_email.display_name, by_email.email, by_email.has_signed_in) == (
        "Ada@Example.com",
        "Ada@Example.com",
        False,
    )
    assert (by_subject.display_name, by_subject.email, by_subject.has_signed_in) == ("ben-7", None, False)
    society.clock.advance(hours=1)
    for invited, who in (
        (by_email, identity("ada", "ada@example.COM", ("math",))),
        (by_subject, identity("ben-7", "ben@example.com")),
    ):
        for _ in range(2):
            assert await society.sign_in(who) == (invited.id, False)
        assert (await row_of(society, invited.id))[:3] == (who.subject, who.display_name, who.email)
        assert (await row_of(society, invited.id))[4] == society.clock.now
    assert (await row_of(society, by_email.id))[3] == '["math"]'
    assert (await society.people.find(admin, [by_email.id]))[by_email.id].has_signed_in


async def test_what_was_allowed_before_counts_from_the_first_sign_in(society: Society, admin: Principal) -> None:
    invited = await society.people.invite(admin, email="ada@example.com")
    group = await society.groups.create(admin, "Auditors")
    await society.groups.change_members(admin, group.id, [invited.id], [])
    await society.rule(group.id, Permission.AUDIT)
    user_id, _ = await society.sign_in(identity("ada", "ada@example.com"))
    assert await society.people.permissions(Principal(user_id)) == {Permission.AUDIT}


async def test_naming_somebody_again_names_the_same_user(society: Society, admin: Principal) -> None:
    ada = await society.people.invite(admin, email="ada@example.com")
    ben = await society.people.invite(admin, subject="ben")
    assert await society.people.invite(admin, email="ADA@example.com") == ada
    assert await society.people.invite(admin, subject="ben") == ben
    cleo, _ = await society.sign_in(identity("cleo", "cleo@example.com"))
    assert (await society.people.invite(admin, email="Cleo@example.com")).id == cleo
    assert (await society.people.invite(admin, subject="cleo")).id == cleo
    told = [(event.action, event.target, event.after) for event in await society.events()]
    assert sorted(told, key=str) == sorted(
        [
            (AuditAction.USER_INVITED, ada.id, {"email": "ada@example.com"}),
            (AuditAction.USER_INVITED, ben.id, {"tokenSubject": "ben"}),
        ],
        key=str,
    )


async def test_an_address_that_was_not_verified_or_is_another_takes_nobodys_place(
    society: Society, admin: Principal
) -> None:
    invited = await society.people.invite(admin, email="mike@example.com")
    impostors = [
        identity("unverified"),
        identity("kelvin", "mi\u212ae@example.com"),  # the Kelvin sign, which folds to a k
        identity("fullwidth", "\uff4dike@example.com"),
        identity("invisible", "mike@example.com\u200b"),
        identity("sub", "mike@example.com.evil.com"),
        identity("like", "%@example.com"),
        identity("like2", "mik_@example.com"),
        replace(identity("elsewhere", "mike@example.com"), issuer="https://other.test"),
    ]
    for who in impostors:
        user_id, is_new = await society.sign_in(who)
        assert is_new, who
        assert user_id != invited.id
    assert await society.sign_in(identity("mike", "mike@example.com")) == (invited.id, False)


async def test_who_has_signed_in_before_is_never_taken_over(society: Society, admin: Principal) -> None:
    invited = await society.people.invite(admin, email="ada@example.com")
    await society.sign_in(identity("ada", "ada@example.com"))
    second, is_new = await society.sign_in(identity("mallory", "ada@example.com"))
    assert (is_new, second == invited.id) == (True, False)
    assert await society.sign_in(identity("ada")) == (invited.id, False)
    plain, _ = await society.sign_in(identity("plain", "plain@example.com"))
    assert (await society.sign_in(identity("other", "plain@example.com")))[0] != plain


async def test_an_address_of_two_users_names_neither(society: Society, admin: Principal) -> None:
    for subject in ("ada", "eve"):
        await society.sign_in(identity(subject, "shared@example.com"))
    for work in (
        society.people.invite(admin, email="Shared@example.com"),
        society.people.find_by(admin, email="shared@example.com"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await work
        assert caught.value.path == ("email",)
    stranger = await society.principal("stranger")
    assert await society.people.find_by(stranger, email="shared@example.com") is None
    await society.sign_in(identity("eve", "eve@example.com"))  # what a token says now is what counts
    found = await society.people.find_by(admin, email="shared@example.com")
    assert found is not None
    assert found.display_name == "Ada"


@pytest.mark.parametrize(
    ("email", "subject"),
    [
        ("", None),
        ("ada", None),
        ("@", None),
        ("a@", None),
        ("a b@example.com", None),
        ("a@b@example.com", None),
        ("a@example.com\n", None),
        ("a\0@example.com", None),
        ("x" * 243 + "@example.com", None),
        (None, ""),
        (None, "x" * 256),
        (None, "\x01" + NOBODY),
        (None, "a\0b"),
        (None, "\ud800"),
        (None, None),
        ("ada@example.com", "ada"),
    ],
    ids=repr,
)
async def test_what_no_token_can_bring_names_nobody(
    society: Society, admin: Principal, email: str | None, subject: str | None
) -> None:
    for work in (
        society.people.invite(admin, email=email, subject=subject),
        society.people.find_by(admin, email=email, subject=subject),
    ):
        with pytest.raises(InvalidInput):
            await work
    assert await number_of_users(society) == 1


async def test_who_was_named_by_address_cannot_be_reached_through_the_row_that_keeps_the_place(
    society: Society, admin: Principal
) -> None:
    invited = await society.people.invite(admin, email="ada@example.com")
    keeps, *_ = await row_of(society, invited.id)
    assert isinstance(keeps, str)
    assert not keeps.isprintable()  # so the authenticator refuses it as a subject
    assert (await society.people.find_by(admin, email="ada@example.com")) == invited


async def test_only_administrators_name_people_and_others_find_themselves_only(
    society: Society, admin: Principal
) -> None:
    ada, _ = await society.sign_in(identity("ada", "ada@example.com"))
    invited = await society.people.invite(admin, email="ben@example.com")
    auditor, viewer = await society.principal("auditor"), Principal(ada)
    await society.rule(id_of(auditor), Permission.AUDIT)
    before = await number_of_users(society)
    for principal in (viewer, auditor, ANONYMOUS, Principal(None, is_admin=True)):
        for email in ("new@example.com", "ben@example.com", "nonsense"):
            refused = await outcome(society.people.invite(principal, email=email))
            assert isinstance(refused, Forbidden)
    assert await number_of_users(society) == before
    for principal, everybody in ((admin, True), (auditor, True), (viewer, False), (ANONYMOUS, False)):
        found = await society.people.find(principal, [ada, invited.id, NOBODY])
        assert set(found) == ({ada, invited.id} if everybody else {ada} & {principal.user_id})
        for user_id, names in (
            (ada, {"email": "ADA@example.com"}),
            (ada, {"subject": "ada"}),
            (invited.id, {"email": "ben@example.com"}),
        ):
            user = await society.people.find_by(principal, **names)
            assert (user is not None) == (everybody or user_id == principal.user_id)
        assert await society.people.find_by(principal, subject="absent") is None


async def test_first_sign_ins_at_once_make_one_user_or_take_one_place(society: Society, admin: Principal) -> None:
    for number in range(5):
        new = identity(f"new {number}", f"new{number}@example.com")
        results = await at_once(*(society.sign_in(new) for _ in range(5)))
        assert len({result[0] for result in results if isinstance(result, tuple)}) == 1
        assert sum(result[1] for result in results if isinstance(result, tuple)) == 1
        invited = await society.people.invite(admin, email=f"guest{number}@example.com")
        guest = identity(f"guest {number}", f"guest{number}@example.com")
        assert await at_once(*(society.sign_in(guest) for _ in range(5))) == [(invited.id, False)] * 5


async def test_of_two_with_one_address_who_come_at_once_one_takes_the_place(society: Society, admin: Principal) -> None:
    for number in range(5):
        email = f"guest{number}@example.com"
        invited = await society.people.invite(admin, email=email)
        results = await at_once(*(society.sign_in(identity(f"{name} {number}", email)) for name in ("ada", "eve")))
        assert sorted(result == (invited.id, False) for result in results) == [False, True]


async def test_whoever_is_named_while_they_first_sign_in_is_one_user(society: Society, admin: Principal) -> None:
    for number in range(10):
        before, email = await number_of_users(society), f"guest{number}@example.com"
        signed_in, invited, named = await at_once(
            society.sign_in(identity(f"guest {number}", email)),
            society.people.invite(admin, email=email),
            society.people.invite(admin, email=email),
        )
        assert isinstance(signed_in, tuple)
        assert isinstance(invited, User)
        assert isinstance(named, User)
        assert signed_in[0] == invited.id == named.id
        assert await number_of_users(society) == before + 1


async def test_a_policy_that_is_being_changed_is_waited_for(society: Society, admin: Principal) -> None:
    """Whoever makes a rule about an address holds the policy, and may be naming the one who signs in."""
    async with society.database.transaction() as connection:
        await rules.bump_version(connection)
        arrival = asyncio.create_task(society.sign_in(identity("ada", "ada@example.com")))
        await asyncio.sleep(0.05)
        now = society.clock()
        invited = await users.find_or_invite(
            connection, new_user_id(now), issuer=ISSUER, email="ada@example.com", now=now
        )
    assert await arrival == (invited.id, False)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Ada@Example.COM", "ada@example.com", True),
        ("\u212a@x", "k@x", False),
        ("\u017f@x", "s@x", False),
        ("stra\u00dfe@x", "strasse@x", False),
        ("\u0130@x", "i@x", False),
        ("a@x ", "a@x", False),
    ],
    ids=ascii,
)
def test_addresses_differ_unless_in_the_case_of_ascii_letters_only(one: str, other: str, is_same: bool) -> None:
    assert (email_key(one) == email_key(other)) is is_same
