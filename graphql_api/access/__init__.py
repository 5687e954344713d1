"""Who may do what. Pure: no clock, no database.

``standing`` is the meaning of the rules and decides. ``plan`` turns the rules about READ into what a list has to look
at, ``explain`` tells why, and ``authority`` says who may change whose rules. A naive reference in the tests holds them
to one another.
"""

from graphql_api.model.delivery import ReadGrant
from graphql_api.model.file import File


def read_grant(file: File) -> ReadGrant | None:
    """The proof that the one for whom ``file`` was found may download it, or None; nobody may download bytes that are
    not those that were uploaded. The only place where a grant is made.
    """
    return None if file.terms is None or file.altered_at is not None else ReadGrant(file, file.terms)


def revocable(grant: ReadGrant, by: str) -> ReadGrant:
    """The same grant for a link that can be revoked by what it says of itself."""
    return ReadGrant(grant.file, grant.terms, by)
