"""Who may do what. Pure: no clock, no database.

For now the owner and admins may do everything and nobody else anything. The same rule stands in SQL in
``db.visibility``; both are made from ``reach_of``, so that they cannot drift apart.
"""

from enum import Enum

from graphql_api.model.delivery import ReadGrant
from graphql_api.model.file import File
from graphql_api.model.ids import UserId
from graphql_api.model.principal import Permission, Principal


class Reach(Enum):
    """How far a principal's permissions go."""

    EVERYTHING = "everything"
    OWN = "own"
    NOTHING = "nothing"


def reach_of(principal: Principal) -> Reach:
    """How far ``principal`` may go with any permission; deny by default."""
    if principal.user_id is None:
        return Reach.NOTHING
    return Reach.EVERYTHING if principal.is_admin else Reach.OWN


def may(principal: Principal, permission: Permission, *, owner_id: UserId | None) -> bool:
    """Whether ``principal`` has ``permission`` on a thing of ``owner_id`` (None: the root, which nobody owns)."""
    match reach_of(principal):
        case Reach.EVERYTHING:
            return permission in Permission
        case Reach.OWN:
            return permission in Permission and owner_id == principal.user_id
        case Reach.NOTHING:
            return False


def read_grant(file: File) -> ReadGrant | None:
    """The proof that the one for whom ``file`` was found may download it, or None. The only place where a grant is
    made.
    """
    return None if file.terms is None else ReadGrant(file, file.terms)
