"""Users: whoever presented a verified token, or was named before they did.

Whoever signs in for the first time, or with another address than before, may be somebody who was named. ``meet_user``
and ``find_or_invite`` therefore begin by locking each other out until the transaction ends: nobody is invited and signs
in as somebody else at the same time.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FolderRow, PolicyStateRow, UserRow
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.group import User, email_key
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.principal import Identity

COLUMNS: tuple[Any, ...] = (UserRow.id, UserRow.display_name, UserRow.email, UserRow.signed_in_at, UserRow.created_at)

_INVITED_BY_EMAIL = "\x01"  # no token's subject begins with a control character
IS_RELEASED = and_(UserRow.signed_in_at.is_(None), UserRow.email_key.is_(None), UserRow.subject < " ")

_Invited = aliased(UserRow)
_FIND = select(
    UserRow.id,
    UserRow.display_name,
    UserRow.email,
    UserRow.email_key,
    UserRow.claim_groups,
    UserRow.claim_is_admin,
    exists()
    .where(
        _Invited.issuer == bindparam("issuer"),
        _Invited.email_key == bindparam("email_key"),
        _Invited.signed_in_at.is_(None),
    )
    .label("is_invited_too"),
).where(
    UserRow.issuer == bindparam("issuer"), UserRow.subject == bindparam("subject"), UserRow.signed_in_at.is_not(None)
)
_LAST_TOKEN = select(
    UserRow.issuer,
    UserRow.subject,
    UserRow.display_name,
    UserRow.claim_groups,
    UserRow.claim_is_admin,
).where(UserRow.id == bindparam("user_id"), UserRow.signed_in_at.is_not(None))
_HOME = select(FolderRow.id).where(FolderRow.home_of == bindparam("user_id"))


def user_of(row: Any) -> User:
    """``row``: has the values of ``COLUMNS`` as attributes."""
    return User(
        id=UserId(row.id),
        display_name=row.display_name,
        email=row.email,
        has_signed_in=row.signed_in_at is not None,
        created_at=row.created_at,
    )


async def find_user(connection: AsyncConnection, identity: Identity) -> UserId | None:
    """Who has signed in as this issuer and subject before; name, e-mail and groups follow what the token says now.

    None, too, when somebody was or might at this moment be named by the address, which they have not signed in with so
    far: then ``meet_user``.
    """
    said = _said(identity)
    row = await _find(connection, identity, said)
    if row is None or row.is_invited_too or said["email_key"] not in (None, row.email_key):
        return None
    await _follow(connection, row, said)
    return UserId(row.id)


async def meet_user(connection: AsyncConnection, identity: Identity) -> UserId | None:
    """The same, whatever the address is, in a transaction: nobody is named by it before that ends. Whom it names, if
    anybody, is then for ``release_invitation`` to tell.
    """
    await _one_at_a_time(connection)
    said = _said(identity)
    row = await _find(connection, identity, said)
    if row is None:
        return None
    await _follow(connection, row, said)
    return UserId(row.id)


async def claim_invitation(connection: AsyncConnection, identity: Identity, now: datetime) -> UserId | None:
    """The user that was named by this subject, or else by this (verified) e-mail, before they signed in for the first
    time, which is now. None when nobody was named so; then ``insert_user``. All after ``meet_user`` has met nobody, in
    its transaction.
    """
    named = [UserRow.subject == identity.subject]
    if identity.email is not None:
        named.append(UserRow.email_key == email_key(identity.email))
    for is_named in named:
        statement = (
            update(UserRow)
            .where(UserRow.issuer == identity.issuer, is_named, UserRow.signed_in_at.is_(None))
            .values(subject=identity.subject, signed_in_at=now, **_said(identity))
            .returning(UserRow.id)
        )
        claimed = await connection.scalar(statement)
        if claimed is not None:
            return UserId(claimed)
    return None


async def release_invitation(connection: AsyncConnection, identity: Identity) -> UserId | None:
    """Whom this (verified) e-mail named besides somebody who is known: what waits for them is to go to that one.

    The row stays for the audit log; it has lost the address, so that nothing can be given to it any more.
    """
    if identity.email is None:
        return None
    statement = (
        update(UserRow)
        .where(
            UserRow.issuer == identity.issuer,
            UserRow.email_key == email_key(identity.email),
            UserRow.signed_in_at.is_(None),
        )
        .values(email=None, email_key=None)
        .returning(UserRow.id)
    )
    released = await connection.scalar(statement)
    return None if released is None else UserId(released)


async def insert_user(connection: AsyncConnection, user_id: UserId, identity: Identity, *, now: datetime) -> bool:
    """Whether the user is new; False when another request was first."""
    statement = insert_unless_taken(connection, UserRow).values(
        id=user_id,
        issuer=identity.issuer,
        subject=identity.subject,
        signed_in_at=now,
        created_at=now,
        **_said(identity),
    )
    return await connection.scalar(statement.returning(UserRow.id)) is not None


async def recall_identity(connection: AsyncConnection, user_id: UserId) -> Identity | None:
    """What the token said of the user that was written down last, but for the e-mail; None when they have never signed
    in.
    """
    row = (await connection.execute(_LAST_TOKEN, {"user_id": user_id})).one_or_none()
    if row is None:
        return None
    groups = frozenset(orjson.loads(row.claim_groups or "[]"))
    return Identity(row.issuer, row.subject, row.display_name, groups=groups, is_admin=row.claim_is_admin)


async def find_users(connection: AsyncConnection, ids: Collection[UserId]) -> Mapping[UserId, User]:
    """Those of ``ids`` that there are. Authorised by nobody, like all of this module."""
    rows = await connection.execute(select(*COLUMNS).where(UserRow.id.in_(ids)))
    return {user.id: user for user in map(user_of, rows)}


async def find_nameable(connection: AsyncConnection, ids: Collection[UserId]) -> frozenset[UserId]:
    """Those of ``ids`` that a rule or a group can be about: not those whose place somebody else has taken."""
    return frozenset(map(UserId, await connection.scalars(select(UserRow.id).where(UserRow.id.in_(ids), ~IS_RELEASED))))


async def find_user_by(
    connection: AsyncConnection, *, issuer: str, email: str | None = None, subject: str | None = None
) -> User | None:
    """Who has this subject, or this verified address, or else was named by it; one of the two is given.

    Raises: InvalidInput: more than one user has signed in with the address.
    """
    is_meant = UserRow.subject == subject
    if email is not None:
        is_meant = UserRow.email_key == email_key(email)
    statement = select(*COLUMNS).where(UserRow.issuer == issuer, is_meant).order_by(UserRow.signed_in_at.is_(None))
    found = [user_of(row) for row in await connection.execute(statement.limit(2))]
    if len(found) > 1 and found[1].has_signed_in:
        raise InvalidInput(InputFault("more than one user has this e-mail address", ("email",)))
    return found[0] if found else None


async def find_or_invite(
    connection: AsyncConnection,
    user_id: UserId,
    *,
    issuer: str,
    email: str | None = None,
    subject: str | None = None,
    now: datetime,
) -> User:
    """The user with this e-mail or subject; one with ``user_id``, who has yet to sign in, if there is none.

    Raises: InvalidInput: more than one user has the address.
    """
    await _one_at_a_time(connection)
    found = await find_user_by(connection, issuer=issuer, email=email, subject=subject)
    if found is not None:
        return found
    statement = insert_unless_taken(connection, UserRow).values(
        id=user_id,
        issuer=issuer,
        subject=subject or _INVITED_BY_EMAIL + user_id,
        display_name=email or subject,
        email=email,
        email_key=None if email is None else email_key(email),
        created_at=now,
    )
    return user_of((await connection.execute(statement.returning(*COLUMNS))).one())


async def find_home(connection: AsyncConnection, user_id: UserId) -> FolderId | None:
    """The folder made for this user at the first sign-in, unless it was deleted since."""
    found = await connection.scalar(_HOME, {"user_id": user_id})
    return None if found is None else FolderId(found)


async def _find(connection: AsyncConnection, identity: Identity, said: Mapping[str, Any]) -> Any:
    asked = {"issuer": identity.issuer, "subject": identity.subject, "email_key": said["email_key"]}
    return (await connection.execute(_FIND, asked)).one_or_none()


async def _follow(connection: AsyncConnection, row: Any, said: Mapping[str, Any]) -> None:
    if any(getattr(row, name) != value for name, value in said.items()):
        await connection.execute(update(UserRow).where(UserRow.id == row.id).values(**said))


def _said(identity: Identity) -> dict[str, Any]:
    """The columns that follow the token."""
    return {
        "display_name": identity.display_name,
        "email": identity.email,
        "email_key": None if identity.email is None else email_key(identity.email),
        "claim_groups": orjson.dumps(sorted(identity.groups)).decode(),
        "claim_is_admin": identity.is_admin,
    }


async def _one_at_a_time(connection: AsyncConnection) -> None:
    # The same row that changes of policy lock: they may invite, and first sign-ins make rules about homes.
    await connection.execute(select(PolicyStateRow.version).with_for_update())
